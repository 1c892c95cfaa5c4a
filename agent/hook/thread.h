/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread.h - each thread's line in the segment, and whether it is inside a call already.
 *
 * A thread takes a line at its first call and gives it back when it ends; sums stay in the line, so
 * the process's totals never go back. Threads beyond the table write into a line of their own that
 * nobody sees, and are counted.
 */
#ifndef C4_HOOK_THREAD_H
#define C4_HOOK_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/hook.h"

struct c4_self {
	struct c4_seg_thread *line; /* NULL before the first call */
	uintptr_t frame;	    /* stack address of the call it is in, 0 outside */
	uint64_t poll_start;	    /* ticks: first and last of consecutive fruitless polls, */
	uint64_t poll_last;	    /* … 0 if the last call was none */
	uint32_t index;		    /* of the line; C4_SEG_THREADS: beyond the table */
	struct c4_seg_thread beyond;
	struct c4_seg_comm nowhere; /* stands for a communicator that has no slot */
};

extern _Thread_local struct c4_self c4_self __attribute__((visibility("hidden")));

/* Once, when the segment exists. */
void c4_threads_init(void);

/* Gives the calling thread a line; always succeeds. Preserves errno. */
void c4_thread_claim(struct c4_self *self);

/*
 * True for the outermost call of a thread. A call made by the library itself, or by a callback, is
 * deeper on the same stack; one that is not deeper proves that the call before it never returned
 * (an error handler jumped or threw out of it).
 */
static inline bool c4_thread_outermost(const struct c4_self *self, const void *frame)
{
	return (uintptr_t)frame >= self->frame;
}

#endif
