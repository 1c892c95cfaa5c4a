/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * waits.h - the wait-for graph of one look at a job; private to diag.
 *
 *   rank ──waits in──► operation k of a communicator ──misses──► members that have not entered k
 *   rank ──waits for──► point-to-point peers
 *
 * A wait is valid only if the waiter itself is alive, not stopped, and somebody is missing: a rank
 * inside an operation everybody has entered waits for the network, not for a rank. Following the
 * edges from any waiter ends at ranks that do not wait (the roots), or runs in a circle.
 * Only waits of WAIT_MIN_NS and more are followed: younger ones are everyday life.
 *
 * On GPUs nobody is in a call: a rank waits in the operation whose kernel has run longest, for
 * members whose kernel of the same operation has not begun (begun, below); if there is none, but a
 * point-to-point one, for the peers its connections wait for. Of a process stopped
 * inside an unfinished operation the others wait for, they wait as if it had not come.
 */
#ifndef C4_COLLECTOR_DIAG_WAITS_H
#define C4_COLLECTOR_DIAG_WAITS_H

#include "collector/diag/diag.h"
#include "collector/diag/memory.h"

#define C4_WAIT_MIN_NS 1000000000u

struct c4_wait_comm {
	uint64_t op;	   /* the operation waited in (the newest, should they differ) */
	uint64_t age_ns;   /* of its longest waiter */
	uint32_t nwaiters; /* inside op for C4_WAIT_MIN_NS or more; 0: nothing to see */
	uint32_t nmissing; /* members known not to have entered op */
	uint32_t nunknown; /* members nobody can say anything about (silent, never seen) */
	uint32_t first;	   /* missing[first … first + nmissing): world ranks */
	bool explained;	   /* the chain from here reaches a root */
	bool transport;	   /* its connections show the fault: nobody else in it hangs */
	bool mismatched;   /* its members disagree on what they do: nobody in it hangs */
};

struct c4_waits {
	const struct c4_diag_job *job;
	struct c4_diag_call *calls; /* per rank: what it is inside, kernels included */
	bool suspended;		    /* the whole job is stopped: nobody waits */
	uint64_t *age_ns;	    /* per rank: how long its call counts as waiting; 0: not */
	bool *p2p_open;		    /* per rank: in a point-to-point kernel, peers known or not */
	bool *waiting;		    /* per rank: valid wait, see above */
	bool *explained;	    /* per rank: its chain reaches a root */
	uint32_t *blocks;	    /* per rank: ranks that wait directly for it */
	uint64_t *blocks_age_ns;    /* per rank: longest of those */
	uint32_t *blocks_comm;	    /* per rank: where that one waits, C4_DIAG_NONE = p2p */
	struct c4_wait_comm *comms; /* per communicator */
	int32_t *missing;
};

/* 0 or -ENOMEM. Updates memory's resumed_ns. Release in any case. */
int c4_waits_init(struct c4_waits *w, const struct c4_diag_job *job, struct c4_diag_memory *memory);
void c4_waits_release(struct c4_waits *w);

/* Time asleep with the whole job does not count as waiting: the part of age that does. */
uint64_t c4_waits_awake_ns(const struct c4_diag_job *job, const struct c4_diag_memory *memory,
			   uint64_t age_ns);

/* Operations of a member that have really begun: kernels, where those are seen. */
uint64_t c4_waits_begun(const struct c4_diag_comm *c, uint32_t member);

/* How long the last of them has been running. */
uint64_t c4_waits_inside_ns(const struct c4_diag_comm *c, uint32_t member);

/* Kind of operation op, of what its members remember; C4_OP_NONE: nobody does. */
uint32_t c4_waits_op_kind(const struct c4_diag_comm *c, uint64_t op);

/* The member of a communicator that is this rank; -1: it is not in there. */
int64_t c4_waits_member(const struct c4_diag_comm *c, int32_t rank);

/* Is r inside an operation that other members have already left? Then comm/op tell which. */
bool c4_waits_left_behind(const struct c4_waits *w, int32_t r, uint32_t *comm, uint64_t *op);

#endif
