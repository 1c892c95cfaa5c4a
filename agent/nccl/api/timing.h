/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * timing.h - when each operation ran on the GPU, by an event of the GPU's runtime before and one
 * after it in its stream; and the records made of it.
 *
 *   begin ─ event ─ NCCL's kernel ─ event ─ end … later: both passed? → record
 *
 * One queue per communicator, in order of the operations, of bounded length; its events are made
 * once and used again. Nobody waits for a GPU: a queue is looked at when the next operation of its
 * communicator is issued, or the program asks for its asynchronous errors (frameworks have a
 * thread that does). Without such a thread the last operations before a pause are known to have
 * ended only after it: `finished` lags, but `gpu_started` does not run ahead of it, for that would
 * claim a kernel that runs now.
 *
 * Host times of GPU events: an operation cannot have begun before it was issued, nor ended after
 * it was seen to have; between these bounds each end follows from the previous one by the GPU's own
 * clock. Durations are the GPU's. Without a usable runtime an operation takes from its call to its
 * return, C4_EV_HOST. before_ticks of a record is the time inside operations of other
 * communicators.
 *
 * Threads: NCCL allows one at a time on a communicator, but others may ask for errors: whoever
 * finds a queue in use leaves it alone.
 */
#ifndef C4_NCCL_API_TIMING_H
#define C4_NCCL_API_TIMING_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/record.h"

#define C4_TIMING_OPS  256u	  /* of one communicator in flight */
#define C4_TIMING_NONE UINT32_MAX /* no ticket: not timed */

/* The slot has a new communicator, on this GPU (-1: whichever is current at its first operation).
 */
void c4_timing_open(uint32_t slot, int device);

/* Lets go of what is in flight: those operations count as finished, without records. */
void c4_timing_close(uint32_t slot);

/* Whether what is issued to the stream now goes into a graph instead of to the GPU. */
bool c4_timing_captured(void *stream);

/*
 * The operation call->opno of call->slot, as c4_op_set() described it, is about to be issued.
 * Returns a ticket for c4_timing_end() or _drop(), or C4_TIMING_NONE: it counts as finished
 * already, and as lost.
 */
uint32_t c4_timing_begin(const struct c4_call *call, void *stream);

/* It was issued. on_gpu: to be timed there, else from begin to now. */
void c4_timing_end(uint32_t slot, uint32_t ticket, void *stream, bool on_gpu);

/* It failed. */
void c4_timing_fail(uint32_t slot, uint32_t ticket);

/* Records operations that have ended. */
void c4_timing_poll(uint32_t slot);

/* Records one finished operation; ev lacks before_ticks and comm. Counts it as finished. */
void c4_timing_record(struct c4_event *ev);

#endif
