/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vclock.h - the collector's own time: CLOCK_MONOTONIC less the periods in which the collector
 * itself did not run (SIGSTOP, a frozen virtual machine, a loop that hung). Nothing may age through
 * such a period: what was not heard then says nothing about those who were not heard.
 *
 * Starts at C4_VCLOCK_START, so that instants before the collector's start can be told, too.
 * Pure; the reading of the real clock is passed in.
 */
#ifndef C4_COLLECTOR_VCLOCK_H
#define C4_COLLECTOR_VCLOCK_H

#include <stdint.h>

#define C4_VCLOCK_START	 (365ull * 86400 * 1000000000)
#define C4_VCLOCK_GAP_NS 2000000000u /* looks are never farther apart while the loop runs */

struct c4_vclock {
	uint64_t offset_ns;  /* now = mono + offset */
	uint64_t looked_ns;  /* mono of the last look */
	uint64_t resumed_ns; /* when it last went on after a gap, 0 if never */
	uint32_t gaps;
};

void c4_vclock_init(struct c4_vclock *c, uint64_t mono_ns);

/* Must be called at least once per tick. Never goes back. */
uint64_t c4_vclock_now(struct c4_vclock *c, uint64_t mono_ns);

/* now - age, for an age told by somebody else: never below 1. */
static inline uint64_t c4_vclock_ago(uint64_t now_ns, uint64_t age_ns)
{
	return age_ns < now_ns ? now_ns - age_ns : 1;
}

/* Length of [since, now], 0 if since lies ahead. */
static inline uint64_t c4_vclock_since(uint64_t now_ns, uint64_t since_ns)
{
	return since_ns < now_ns ? now_ns - since_ns : 0;
}

#endif
