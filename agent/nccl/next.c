// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/next.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hook/hook.h"
#include "agent/nccl/handle.h"
#include "agent/nccl/shared.h"
#include "c4/env.h"
#include "common/base/clock.h"
#include "common/base/fence.h"
#include "common/base/hash.h"
#include "common/base/str.h"

#define KIND_PAIR 7u /* beyond enum c4_handle_kind */
#define KIND_CTX  6u /* a context where we have none ourselves */
#define PAIRS	  65536u
#define CONTEXTS  512u
#define DESCR_MAX 192u

/* Its functions, of whatever version: they differ in what they point to only, but for init. */
struct table {
	const char *name;
	void *init;
	int (*start)(void *ctx, void **handle, void *descr);
	int (*stop)(void *handle);
	int (*state)(void *handle, int state, void *args);
	int (*finalize)(void *ctx);
};

struct pair {
	uint64_t number; /* atomic; the handle that names it, 0: being written or none */
	void *ours, *theirs;
};

struct context {
	void *key; /* atomic; what NCCL has, NULL: free */
	void *theirs;
};

uint32_t c4_next_loaded;

static _Thread_local const struct c4_next_init *first; /* communicator, while loading */
static const struct table *next;
static int their_mask;	     /* theirs to change */
static uint64_t next_number; /* atomic; of the next pair */
static struct pair pairs[PAIRS];
static struct context contexts[CONTEXTS];

/* ---- pairs ----------------------------------------------------------------------------------- */

static struct pair *pair_at(uint64_t number)
{
	return &pairs[number >> 3 & (PAIRS - 1)];
}

static void *pair_make(void *ours, void *theirs)
{
	uint64_t n = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED) << 3 | KIND_PAIR;
	struct pair *p = pair_at(n);

	__atomic_store_n(&p->number, 0, __ATOMIC_RELAXED);
	c4_fence_release();
	__atomic_store_n(&p->ours, ours, __ATOMIC_RELAXED);
	__atomic_store_n(&p->theirs, theirs, __ATOMIC_RELAXED);
	__atomic_store_n(&p->number, n, __ATOMIC_RELEASE);
	return (void *)(uintptr_t)n;
}

/* A pair that is over reads as two NULLs; a handle that never was one as ours. */
static struct pair pair_read(void *handle)
{
	uint64_t n = (uintptr_t)handle;
	struct pair *p = pair_at(n), copy = {.ours = handle};

	if ((n & 7) != KIND_PAIR)
		return copy;
	copy.ours = NULL;
	if (__atomic_load_n(&p->number, __ATOMIC_ACQUIRE) != n)
		return copy;
	copy.ours = __atomic_load_n(&p->ours, __ATOMIC_ACQUIRE);
	copy.theirs = __atomic_load_n(&p->theirs, __ATOMIC_ACQUIRE);
	if (__atomic_load_n(&p->number, __ATOMIC_RELAXED) != n)
		copy = (struct pair){0};
	return copy;
}

void *c4_next_half(void *handle)
{
	return pair_read(handle).ours;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static struct context *context_of(const void *key)
{
	for (uint32_t i = 0; key && i < CONTEXTS; i++)
		if (__atomic_load_n(&contexts[i].key, __ATOMIC_ACQUIRE) == key)
			return &contexts[i];
	return NULL;
}

static void *their_context(const void *key)
{
	struct context *c = context_of(key);

	return c ? c->theirs : NULL;
}

/* The key: ours, or a number in its place. NULL: no room. */
static void *context_add(void *ours, void *theirs)
{
	for (uint32_t i = 0; i < CONTEXTS; i++) {
		void *key = ours ? ours : (void *)(uintptr_t)(((uint64_t)i + 1) << 3 | KIND_CTX);
		void *free_key = NULL;

		/* reserved by its own address until it is complete */
		if (!__atomic_compare_exchange_n(&contexts[i].key, &free_key, (void *)&contexts[i],
						 false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			continue;
		contexts[i].theirs = theirs;
		__atomic_store_n(&contexts[i].key, key, __ATOMIC_RELEASE);
		return key;
	}
	return NULL;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* As NCCL reads NCCL_PROFILER_PLUGIN: a file, else the NAME of libnccl-profiler-NAME.so. */
static void *open_library(const char *name)
{
	void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	char file[PATH_MAX];
	struct c4_str s;

	if (library)
		return library;
	c4_str_init(&s, file, sizeof file);
	c4_str_add(&s, "libnccl-profiler-");
	c4_str_add(&s, name);
	c4_str_add(&s, ".so");
	return s.cut ? NULL : dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

/* Ourselves, under whatever name: that would go round in circles. */
static bool is_ours(const void *table)
{
	Dl_info a, b;

	return dladdr(table, &a) && dladdr(&c4_next_loaded, &b) && a.dli_fbase == b.dli_fbase;
}

static const struct table *find_table(const char *name, uint32_t version)
{
	void *library = open_library(name), *table;
	char symbol[32];
	struct c4_str s;

	if (!library)
		return NULL;
	c4_str_init(&s, symbol, sizeof symbol);
	c4_str_add(&s, "ncclProfiler_v");
	c4_str_add_u64(&s, version);
	table = dlsym(library, symbol);
	return table && !is_ours(table) ? table : NULL;
}

static void load(void)
{
	const struct c4_next_init *init = first;
	const char *name = getenv(C4_ENV_NEXT_PROFILER);

	if (!name || !*name || !strcmp(name, "none"))
		return;
	next = find_table(name, init->version);
	if (next) {
		/* numbers of another process shall not be mistaken for ours */
		next_number = c4_mix64(c4_ticks(C4_CLOCK_MONO_NS) ^ (uintptr_t)name) >> 16;
		__atomic_store_n(&c4_next_loaded, 1, __ATOMIC_RELEASE);
	} else if (init->log) {
		init->log(C4_ABI_LOG_WARN, C4_ABI_LOG_ALL, __FILE__, __LINE__,
			  "c4: the profiler plugin %s (C4_NEXT_PROFILER) cannot be loaded, or does "
			  "not speak version %u: it is left out",
			  name, init->version);
	}
}

static int call_init(const struct c4_next_init *in, void **ctx)
{
	if (in->version <= 3)
		return ((int (*)(void **, int *))next->init)(ctx, &their_mask);
	if (in->version == 4)
		return ((int (*)(void **, int *, const char *, uint64_t, int, int, int,
				 c4_abi_log))next->init)(ctx, &their_mask, in->name, in->id,
							 in->nodes, in->ranks, in->rank, in->log);
	return ((int (*)(void **, uint64_t, int *, const char *, int, int, int,
			 c4_abi_log))next->init)(ctx, in->id, &their_mask, in->name, in->nodes,
						 in->ranks, in->rank, in->log);
}

void *c4_next_open(const struct c4_next_init *init, void *ours)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	void *theirs = NULL, *key;

	first = init;
	pthread_once(&once, load);
	if (!c4_next_on() || call_init(init, &theirs) || !theirs)
		return ours;
	key = context_add(ours, theirs);
	if (!key)
		next->finalize(theirs);
	else if (init->mask)
		c4_set(init->mask, c4_get(init->mask) | c4_next_mask());
	return key ? key : ours;
}

void c4_next_close(const void *ctx)
{
	struct context *c = c4_next_on() ? context_of(ctx) : NULL;

	if (!c)
		return;
	next->finalize(c->theirs);
	__atomic_store_n(&c->key, NULL, __ATOMIC_RELEASE);
}

int c4_next_mask(void)
{
	return c4_next_on() ? c4_get(&their_mask) : 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

#define TASKS	      (C4_ABI_COLL | C4_ABI_P2P)
#define CHILDREN      (C4_ABI_PROXY_OP | C4_ABI_KERNEL_CH)
#define GRANDCHILDREN (C4_ABI_PROXY_STEP | C4_ABI_NET_PLUGIN)
#define COPIES	      (C4_ABI_CE_SYNC | C4_ABI_CE_BATCH)
#define API	      (C4_ABI_GROUP_API | C4_ABI_COLL_API | C4_ABI_P2P_API)

/* With an event NCCL tells of all it belongs to. */
static uint32_t with_parents(uint32_t mask)
{
	if (mask & C4_ABI_NET_PLUGIN)
		mask |= C4_ABI_PROXY_STEP;
	if (mask & C4_ABI_PROXY_STEP)
		mask |= C4_ABI_PROXY_OP;
	if (mask & CHILDREN)
		mask |= TASKS;
	if (mask & COPIES)
		mask |= C4_ABI_CE_COLL;
	if (mask & (TASKS | C4_ABI_CE_COLL))
		mask |= C4_ABI_GROUP | API;
	if (mask & C4_ABI_KERNEL_LAUNCH)
		mask |= C4_ABI_GROUP_API;
	return mask;
}

static void translate(char *descr, size_t at)
{
	void *handle;

	memcpy(&handle, descr + at, sizeof handle);
	handle = pair_read(handle).theirs;
	memcpy(descr + at, &handle, sizeof handle);
}

/* It was not told of the event this one belongs to, so it could not make anything of it. */
static bool orphan(uint32_t type, const char *descr)
{
	void *parent;

	memcpy(&parent, descr + offsetof(struct c4_abi_descr_v6, parent), sizeof parent);
	return !parent && type & (CHILDREN | GRANDCHILDREN | COPIES);
}

static void *their_start(const void *ctx, uint32_t type, const void *descr,
			 const struct c4_next_layout *l)
{
	char copy[DESCR_MAX] __attribute__((aligned(16)));
	void *theirs = NULL, *their_ctx = their_context(ctx);

	if (!their_ctx || l->bytes > sizeof copy)
		return NULL; /* closed, or another process's */
	memcpy(copy, descr, l->bytes);
	translate(copy, offsetof(struct c4_abi_descr_v6, parent));
	if (orphan(type, copy))
		return NULL;
	if (type == C4_ABI_COLL && l->coll_group)
		translate(copy, l->coll_group);
	if (type == C4_ABI_P2P && l->p2p_group)
		translate(copy, l->p2p_group);
	return next->start(their_ctx, &theirs, copy) ? NULL : theirs;
}

void *c4_next_start(void *ours, const void *ctx, uint32_t type, const void *descr,
		    const struct c4_next_layout *layout)
{
	void *theirs = NULL;

	if (with_parents((uint32_t)c4_get(&their_mask)) & type)
		theirs = their_start(ctx, type, descr, layout);
	return theirs ? pair_make(ours, theirs) : ours;
}

void *c4_next_stop(void *handle)
{
	struct pair p = pair_read(handle);

	if (p.theirs)
		next->stop(p.theirs);
	return p.ours;
}

void *c4_next_state(void *handle, int state, void *args)
{
	struct pair p = pair_read(handle);

	if (p.theirs)
		next->state(p.theirs, state, args);
	return p.ours;
}
