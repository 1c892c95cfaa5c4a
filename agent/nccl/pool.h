/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.h - which places of a static array are in use, and in which of their lives.
 *
 * A place's generation changes when it is given back, so whoever still holds the old one is told
 * so. Generations begin at a salt that differs between processes. Taking and giving back are
 * lock-free (a stack with a tag against reuse; places never used before are handed out in order, so
 * that memory nobody needs is never touched). The cells are the owner's.
 */
#ifndef C4_NCCL_POOL_H
#define C4_NCCL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/nccl/handle.h"
#include "agent/nccl/shared.h"

#define C4_POOL_EMPTY UINT32_MAX

struct c4_pool_cell {
	uint64_t gen;  /* times given back */
	uint32_t next; /* free: index + 1 of the next free one, 0 for none */
};

struct c4_pool {
	uint64_t top;	/* tag << 32 | index + 1 */
	uint32_t fresh; /* places never handed out begin here */
	uint32_t cap;
	uint64_t salt;
	struct c4_pool_cell *cells;
};

static inline uint64_t c4_pool_gen(const struct c4_pool *p, uint32_t i)
{
	return (p->salt + c4_get(&p->cells[i].gen)) & C4_HANDLE_GEN_MASK;
}

/* Whether the life a handle means is the present one. */
static inline bool c4_pool_alive(const struct c4_pool *p, struct c4_handle h)
{
	return h.index < p->cap && c4_pool_gen(p, h.index) == h.gen;
}

/* A place, or C4_POOL_EMPTY. */
static inline uint32_t c4_pool_take(struct c4_pool *p)
{
	uint64_t top = __atomic_load_n(&p->top, __ATOMIC_ACQUIRE);
	uint32_t i;

	while ((uint32_t)top) {
		uint32_t next = c4_get(&p->cells[(uint32_t)top - 1].next);

		if (__atomic_compare_exchange_n(&p->top, &top, ((top >> 32) + 1) << 32 | next, true,
						__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return (uint32_t)top - 1;
	}
	if (c4_get(&p->fresh) >= p->cap)
		return C4_POOL_EMPTY;
	i = __atomic_fetch_add(&p->fresh, 1, __ATOMIC_RELAXED);
	return i < p->cap ? i : C4_POOL_EMPTY;
}

/* Ends the life `gen` of a place; false if it is over already. */
static inline bool c4_pool_put(struct c4_pool *p, uint32_t i, uint64_t gen)
{
	uint64_t lives = c4_get(&p->cells[i].gen), top;

	if (((p->salt + lives) & C4_HANDLE_GEN_MASK) != gen ||
	    !__atomic_compare_exchange_n(&p->cells[i].gen, &lives, lives + 1, false,
					 __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		return false;
	top = c4_get(&p->top);
	do
		c4_set(&p->cells[i].next, (uint32_t)top);
	while (!__atomic_compare_exchange_n(&p->top, &top, ((top >> 32) + 1) << 32 | (i + 1), true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return true;
}

#endif
