/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plugin.h - the profiler plugin behind all versions of NCCL's interface.
 *
 * NCCL is told success whatever happens. When the hook cannot record (switched off, no room in
 * /dev/shm, a forked child) the mask is 0 and nothing will be told. NULL handles and contexts are
 * tolerated everywhere. Nothing but opening and closing allocates, locks or calls the kernel (the
 * streams of tests/nccl are replayed under a guard that sees it); in versions 1 to 3 a communicator
 * is told with its first operation, so it is that which opens it.
 */
#ifndef C4_NCCL_PLUGIN_H
#define C4_NCCL_PLUGIN_H

#include <stdint.h>

#include "agent/nccl/abi.h"
#include "agent/nccl/event.h"

struct c4_prof_init {
	uint64_t comm_id; /* as NCCL has it; valid if ranks > 0 */
	int32_t ranks;	  /* 0: this version does not say */
	int32_t rank;
	const char *comm_name; /* may be NULL */
	int *mask;
	c4_abi_log log; /* may be NULL */
	uint32_t version;
};

/* The context for a communicator. NULL: there is nothing to be recorded. */
void *c4_prof_init(const struct c4_prof_init *init);
void c4_prof_finalize(const void *ctx);

/* A handle for an event, NULL: not followed. */
void *c4_prof_start(const void *ctx, const struct c4_prof_event *ev);
void c4_prof_stop(const void *handle);

/* A step of a proxy operation, told again at each pass of the proxy. */
void *c4_prof_step(const void *proxy, uint32_t number);

/* An event is in a state (enum c4_abi_state). value: bytes of a step, GPU time of a kernel; 0: not
 * told. */
void c4_prof_state(const void *handle, int state, uint64_t value);

/* The same, as versions 1 to 3 tell it of proxy operations. */
void c4_prof_old_state(const void *handle, int state, int steps, uint64_t bytes);

#endif
