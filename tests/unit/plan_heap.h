/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_heap.h - the heap of the program under test: how much it holds, its peak, and an allocation
 * that fails on demand. For programs linked with --wrap of these four (tests.mk); one thread.
 */
#ifndef C4_TESTS_PLAN_HEAP_H
#define C4_TESTS_PLAN_HEAP_H

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

static struct {
	int64_t held, peak; /* bytes; what others allocate and free here may make held negative */
	int64_t blocks;
	uint64_t calls;
	uint64_t fail_at; /* the call with this number fails, and all after it; 0: none */
} plan_heap;

/* The linker's names for what is wrapped, and for what it wraps. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t item);
void *__real_reallocarray(void *old, size_t n, size_t item);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t item);
void *__wrap_reallocarray(void *old, size_t n, size_t item);
void __wrap_free(void *p);

static inline int plan_heap_fails(void)
{
	return ++plan_heap.calls >= plan_heap.fail_at && plan_heap.fail_at;
}

static inline void *plan_heap_count(void *p)
{
	if (p) {
		plan_heap.blocks++;
		plan_heap.held += (int64_t)malloc_usable_size(p);
	}
	if (plan_heap.held > plan_heap.peak)
		plan_heap.peak = plan_heap.held;
	return p;
}

static inline void plan_heap_uncount(void *p)
{
	if (p) {
		plan_heap.blocks--;
		plan_heap.held -= (int64_t)malloc_usable_size(p);
	}
}

void *__wrap_malloc(size_t n)
{
	return plan_heap_fails() ? NULL : plan_heap_count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t item)
{
	return plan_heap_fails() ? NULL : plan_heap_count(__real_calloc(n, item));
}

void *__wrap_reallocarray(void *old, size_t n, size_t item)
{
	int64_t was = old ? (int64_t)malloc_usable_size(old) : 0;
	int64_t both = plan_heap.held + (int64_t)(n * item);
	void *p;

	if (plan_heap_fails())
		return NULL;
	p = __real_reallocarray(old, n, item);
	if (!p)
		return NULL;
	if (both > plan_heap.peak)
		plan_heap.peak = both; /* while it moves both are there */
	plan_heap.blocks -= old != NULL;
	plan_heap.held -= was;
	return plan_heap_count(p);
}

void __wrap_free(void *p)
{
	plan_heap_uncount(p);
	__real_free(p);
}

#endif
