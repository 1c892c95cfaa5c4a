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
 * Pairs that say "later than now" by far are no pairs (a host that lags reads strange times); many
 * in a row are a clock that was set: the line begins anew. So it does when a whole window lies far
 * above it.
 *
 * One clock for each communicator, as each has one GPU. Any thread adds and maps; if two add at a
 * time, one pair is left out.
 */
#ifndef C4_NCCL_GPUCLOCK_H
#define C4_NCCL_GPUCLOCK_H

#include <stdint.h>

#define C4_GPUCLOCK_WINDOWS 16u

/* The host's clock: which, and an instant both in its ticks and on CLOCK_MONOTONIC. */
struct c4_gpuclock_host {
	uint32_t source; /* enum c4_seg_clock */
	uint64_t ticks0, mono0_ns;
};

struct c4_gpuclock_line {
	uint64_t gpu0, ticks0;
	double rate; /* ticks a nanosecond */
};

struct c4_gpuclock {
	uint32_t busy; /* a thread is adding */
	uint32_t odd;  /* pairs from the future, in a row */
	uint32_t used; /* windows closed so far, at most C4_GPUCLOCK_WINDOWS are kept */
	double rate;   /* of the host's ticks, per nanosecond */
	const struct c4_gpuclock_host *host;
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

/* Once, as early as possible. */
void c4_gpuclock_host_init(struct c4_gpuclock_host *h, uint32_t source);

/* Waits, 2 ms at most, until the host's rate can be told. The host's clock stays the caller's. */
void c4_gpuclock_init(struct c4_gpuclock *c, const struct c4_gpuclock_host *host);

/* At `ticks` the host has learnt what happened at gpu_ns. */
void c4_gpuclock_add(struct c4_gpuclock *c, uint64_t gpu_ns, uint64_t ticks);

/* A length of time in ticks; of more than an hour: UINT64_MAX. */
uint64_t c4_gpuclock_length(const struct c4_gpuclock *c, uint64_t gpu_ns);

/* An instant in ticks; 0 before the first pair. */
uint64_t c4_gpuclock_ticks(const struct c4_gpuclock *c, uint64_t gpu_ns);

#endif
