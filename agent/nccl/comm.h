/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * comm.h - NCCL's communicators: who they are, and the order of what was done on them.
 *
 * NCCL's sequence numbers are per function and leave messages out, so each communicator counts for
 * itself: every collective handed to a stream has a number (opno), the same on all members; and
 * every operation, messages too, has a place in a ring of those in flight. A plan is what NCCL
 * launches as one kernel; plans of a communicator run one after the other, so a kernel that has
 * begun proves that those of older plans are over.
 *
 * Its handle carries the upper bits of its id. A proxy that works for another process of the node
 * gets that process's handle, which tells it the communicator: of which it is a member, too.
 *
 * Opening and closing happen under c4_comm_lock(); everything else from any thread. Nothing
 * allocates.
 */
#ifndef C4_NCCL_COMM_H
#define C4_NCCL_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/hook.h"
#include "agent/nccl/gpuclock.h"

#define C4_PROF_COMMS C4_SEG_COMMS
#define C4_PROF_RING  1024u /* operations of one communicator in flight; power of two */
#define C4_PROF_OPEN  1008u /* … at most: the count of finished ones needs some room */

struct c4_prof_comm {
	uint64_t tag;  /* atomic; generation of its handle, 0: not in use */
	uint64_t id;   /* 0: not known yet (versions 1 to 3 tell it with the first operation) */
	uint32_t slot; /* of the segment, C4_SEG_NO_COMM while not known; atomic */
	uint32_t ranks;
	int32_t rank;
	int *mask;	  /* NCCL's activation mask: one for all its communicators */
	uint32_t version; /* of the interface */
	uint32_t index;	  /* in the table */

	/* atomic, all of them */
	uint64_t next_opno __attribute__((aligned(64)));
	uint64_t next_seq;  /* of operations, messages included */
	uint64_t tail_seq;  /* all older ones are done */
	uint64_t plan;	    /* plans launched */
	uint64_t gpu_plan;  /* newest plan whose kernel has begun */
	uint64_t own_ticks; /* Σ kernel time */
	uint32_t kernels;   /* 1: this communicator has kernel events */
	uint32_t silent;    /* operations that had none */
	struct c4_gpuclock clock;
	uint16_t ring[C4_PROF_RING]; /* at seq: index of the operation + 1 */
};

/* What NCCL says at init. */
struct c4_prof_comm_desc {
	uint64_t id; /* as NCCL has it; valid if ranks > 0 */
	int32_t ranks;
	int32_t rank;
	const char *name; /* NULL: none */
	int *mask;
	uint32_t version;
};

/* Once, before all else. */
void c4_prof_comms_init(void);

/*
 * Registers a communicator: its handle, never NULL. If there was no room, one whose events are
 * ignored (counted).
 */
void *c4_prof_comm_open(const struct c4_prof_comm_desc *d);

/* Versions 1 to 3: what its first operation tells. They do not tell the size: it cannot be judged.
 */
void c4_prof_comm_learn(struct c4_prof_comm *c, uint64_t hash, int32_t rank, const char *name);

/* True: it was the last one. */
bool c4_prof_comm_close(const void *handle);

/* The communicator of a handle, NULL if there is none (any more). */
struct c4_prof_comm *c4_prof_comm_find(const void *handle);

/* The communicator that a handle of another process on this node means, or NULL. */
struct c4_prof_comm *c4_prof_comm_namesake(const void *handle);

/* The one at this place of the table. */
struct c4_prof_comm *c4_prof_comm_at(uint32_t index);

/* Whether events can be recorded of it: it has an id and a slot. */
static inline bool c4_prof_comm_known(const struct c4_prof_comm *c)
{
	return __atomic_load_n(&c->slot, __ATOMIC_ACQUIRE) < C4_SEG_COMMS;
}

static inline struct c4_seg_comm *c4_prof_comm_seg(const struct c4_prof_comm *c)
{
	return &c4_hook.seg.comms[c->slot];
}

#endif
