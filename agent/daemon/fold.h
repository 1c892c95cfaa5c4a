/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fold.h - finished operations of one process → sequence-aligned blocks (message Block, c4.proto).
 *
 *	op numbers   0       8      16      24
 *	             |-------|-------|-------|      level 3: blocks of 2^3 operations
 *	             |---|---|                      level 2, two pieces of one of level 3
 *	             |----|--|                      a partial piece (cut by time) and its rest
 *
 * Every rank cuts at multiples of a power of two, so blocks join without clocks and without the
 * ranks agreeing on a level. The level follows the communicator's own rate, averaged over seconds
 * (a burst followed by a long pause counts as one rate), so that each communicator fills at most
 * two blocks a second and a process with many active ones still about six in all.
 *
 * Operations that complete out of order (nonblocking) leave holes; a block waits for them until
 * its time is up, is then emitted with the holes as `missing`, and a straggler becomes a block of
 * its own with one operation. But for those, the blocks of a communicator leave in order.
 *
 * Pure: no clock, no I/O; now_ns and the tick rate are passed in. One thread. The owner takes the
 * blocks with c4_fold_blocks() and clears them. Bounded: C4_FOLD_OUT_MAX blocks wait, further ones
 * are lost and counted by operation.
 */
#ifndef C4_AGENT_FOLD_H
#define C4_AGENT_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/block.h"
#include "c4/segment.h"
#include "common/base/clock.h"

#define C4_FOLD_OUT_MAX	 1024
#define C4_FOLD_SLOT_MAX 4096 /* communicator slots a segment may have */

/* What was left out; cumulative. */
struct c4_fold_losses {
	uint64_t ops;	 /* operations in blocks nobody fetched in time */
	uint64_t strays; /* events that contradict what was seen before: repeated, absurd */
};

struct c4_fold;

/* For a process with so many communicator slots, at most C4_FOLD_SLOT_MAX. NULL: out of memory. */
struct c4_fold *c4_fold_new(uint32_t slots);
void c4_fold_free(struct c4_fold *f);

/* One finished operation, in the order of the ring. */
void c4_fold_add(struct c4_fold *f, const struct c4_event *ev, const struct c4_tick_rate *rate,
		 uint64_t now_ns);

/* Emits as partial what has waited longer than patience_ns (or three block lengths, if longer).
 * To be called regularly: it also counts the active communicators. */
void c4_fold_cut(struct c4_fold *f, uint64_t now_ns, uint64_t patience_ns);

/* Emits everything: the process is gone, or the agent is about to be. */
void c4_fold_flush(struct c4_fold *f);

/* Blocks emitted since the last clear, oldest first; owned by the fold. */
const struct c4_block *c4_fold_blocks(const struct c4_fold *f, size_t *ret_n);
void c4_fold_clear(struct c4_fold *f);

struct c4_fold_losses c4_fold_losses(const struct c4_fold *f);

#endif
