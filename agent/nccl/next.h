/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * next.h - another profiler plugin behind ours. NCCL knows one; users keep theirs: it is named in
 * C4_NEXT_PROFILER as NCCL_PROFILER_PLUGIN would name it, is told everything that it asks for, and
 * speaks the same version of the interface with us as NCCL does.
 *
 * It has an event mask of its own, which it may change at any time; NCCL gets the union of both.
 * It makes handles and contexts of its own, which are kept beside ours: NCCL then holds the number
 * of a pair, and each side is told of its own half. Contexts go by ours, pairs are numbers like our
 * handles (handle.h) in a ring: the oldest is forgotten when the ring comes round, long after its
 * event. Handles of other processes (PXN) are in no ring of ours, so what is done on their behalf
 * stays between NCCL and us.
 *
 * Without such a plugin all this is one test per event. Loading happens at the first communicator;
 * a plugin that cannot be loaded is left out, with a warning. What it costs is its own affair.
 * Any thread; opening and closing as NCCL calls them.
 */
#ifndef C4_NCCL_NEXT_H
#define C4_NCCL_NEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/nccl/abi.h"

extern uint32_t c4_next_loaded __attribute__((visibility("hidden"))); /* atomic */

static inline bool c4_next_on(void)
{
	return __builtin_expect(__atomic_load_n(&c4_next_loaded, __ATOMIC_ACQUIRE) != 0, 0);
}

/* What init was given. */
struct c4_next_init {
	uint32_t version;
	int *mask; /* as ours has set it; gets theirs added */
	const char *name;
	uint64_t id;
	int nodes, ranks, rank;
	c4_abi_log log;
};

/* Our context is ours, perhaps NULL: the one for NCCL. */
void *c4_next_open(const struct c4_next_init *init, void *ours);
void c4_next_close(const void *ctx);

/* What is wanted by it, as bits; 0 without one. */
int c4_next_mask(void);

/* Where in a descriptor handles are, besides its parent; 0: nowhere. */
struct c4_next_layout {
	size_t bytes, coll_group, p2p_group;
};

/* ours: what we made of it. The handle for NCCL. */
void *c4_next_start(void *ours, const void *ctx, uint32_t type, const void *descr,
		    const struct c4_next_layout *layout);

/* Pass on; the handle that is ours. */
void *c4_next_stop(void *handle);
void *c4_next_state(void *handle, int state, void *args);

/* Our half of a pair; what is none is ours already. */
void *c4_next_half(void *handle);
static inline void *c4_next_ours(void *handle)
{
	return c4_next_on() ? c4_next_half(handle) : handle;
}

#endif
