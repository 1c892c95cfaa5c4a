/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock.h - time for code inside the training process. No syscalls after c4_clock_source().
 *
 * Ticks are the cheapest monotonic counter the kernel itself keeps time with; what a tick is
 * worth is found by the reader (segment.h). c4_mono_ns() is CLOCK_MONOTONIC.
 */
#ifndef C4_BASE_CLOCK_H
#define C4_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "c4/segment.h"

static inline uint64_t c4_mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Which counter this machine allows (enum c4_seg_clock). Opens a file: not for hot paths. */
uint32_t c4_clock_source(void);

static inline uint64_t c4_ticks(uint32_t source)
{
#if defined(__x86_64__)
	if (__builtin_expect(source == C4_CLOCK_TSC, 1))
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	if (__builtin_expect(source == C4_CLOCK_CNTVCT, 1)) {
		uint64_t v;

		__asm__ volatile("mrs %0, cntvct_el0" : "=r"(v));
		return v;
	}
#endif
	(void)source;
	return c4_mono_ns();
}

/*
 * Turns ticks into CLOCK_MONOTONIC: two readings of the pair (ticks, mono), the farther apart
 * the better the rate (100 ns of reading error over 1 s is 10^-7).
 */
struct c4_tick_rate {
	uint64_t ticks0;
	uint64_t mono0_ns;
	double ns_per_tick; /* 1.0 until known */
};

void c4_tick_rate_init(struct c4_tick_rate *r, uint32_t source, uint64_t ticks0, uint64_t mono0_ns);

/* Refreshes the rate from a pair taken now; cheap, call it once per drain. */
void c4_tick_rate_update(struct c4_tick_rate *r, uint32_t source);

/* Saturates: ticks may come from a peer that lies, and a double too large to convert is undefined.
 */
static inline uint64_t c4_ticks_to_ns(const struct c4_tick_rate *r, uint64_t ticks)
{
	double ns = (double)ticks * r->ns_per_tick;

	return ns < 0x1p62 ? (uint64_t)ns : (uint64_t)1 << 62;
}

/* An instant rather than a length; never below mono0_ns. */
static inline uint64_t c4_ticks_to_mono(const struct c4_tick_rate *r, uint64_t ticks)
{
	return ticks <= r->ticks0 ? r->mono0_ns
				  : r->mono0_ns + c4_ticks_to_ns(r, ticks - r->ticks0);
}

#endif
