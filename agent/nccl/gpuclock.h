/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gpuclock.h - the GPU's globaltimer (nanoseconds) in ticks of the host.
 *
 * Each kernel event gives a pair: what the GPU's clock said, and when the host learnt of it, some
 * time later. So every pair lies above the true line ticks = offset + rate · gpu, and the lowest
 * pair of a window lies close to it. The line is fitted to the lowest pairs of the last windows
 * (least squares, for the clocks drift against each other) and then lowered until it lies above
 * none of them: mapped times are never later than the moment the host learnt of them.
 *
 * One clock for each communicator, as each has one GPU. Any thread adds and maps; if two add at a
 * time, one pair is left out.
 */
#ifndef C4_NCCL_GPUCLOCK_H
#define C4_NCCL_GPUCLOCK_H

#include <stdint.h>

#include "common/base/clock.h"

#define C4_GPUCLOCK_WINDOWS 16u

struct c4_gpuclock_line {
	uint64_t gpu0, ticks0;
	double rate; /* ticks a nanosecond */
};

struct c4_gpuclock {
	uint32_t busy; /* a thread is adding */
	uint32_t used; /* windows closed so far, at most C4_GPUCLOCK_WINDOWS are kept */
	double rate;   /* of the host's ticks, per nanosecond */
	struct c4_tick_rate host;
	uint32_t source;       /* enum c4_seg_clock */
	uint32_t settled;      /* `rate` is known well: it was measured over a second */
	uint64_t gpu0, ticks0; /* of the first pair */
	uint64_t window_end;   /* in ticks */
	/* lowest pair of the open window and of each closed one, relative to (gpu0, ticks0): ns of
	 * the GPU, and ticks above gpu · rate */
	double open_gpu, open_above;
	double gpu[C4_GPUCLOCK_WINDOWS], above[C4_GPUCLOCK_WINDOWS];
	/* the newest is at `at`; a reader has until seven more to take it */
	uint32_t at;
	struct c4_gpuclock_line line[8];
};

/* The host's clock, and an instant of some time ago in its ticks and in nanoseconds. */
void c4_gpuclock_init(struct c4_gpuclock *c, uint32_t source, uint64_t ticks0, uint64_t mono0_ns);

/* At `ticks` the host has learnt what happened at gpu_ns. */
void c4_gpuclock_add(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks);

/* 0 before the first pair. */
uint64_t c4_gpuclock_ticks(const struct c4_gpuclock *c, uint64_t gpu_ns);

#endif
