/* SPDX-License-Identifier: BSD-3-Clause */
/* bucket.h - a rate limit: so many a second, so many at once. Pure; time is passed in. */
#ifndef C4_AGENT_ROUTES_BUCKET_H
#define C4_AGENT_ROUTES_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct c4_bucket {
	uint64_t step_ns;  /* between two */
	uint64_t burst_ns; /* how far the clock of spending may lag */
	uint64_t spent_ns; /* up to when everything is spent */
};

static inline void c4_bucket_init(struct c4_bucket *b, uint32_t per_second, uint32_t burst)
{
	b->step_ns = 1000000000u / per_second;
	b->burst_ns = b->step_ns * burst;
	b->spent_ns = 0;
}

static inline bool c4_bucket_take(struct c4_bucket *b, uint64_t now_ns)
{
	uint64_t floor = now_ns > b->burst_ns ? now_ns - b->burst_ns : 0;

	if (b->spent_ns < floor)
		b->spent_ns = floor;
	if (b->spent_ns + b->step_ns > now_ns)
		return false;
	b->spent_ns += b->step_ns;
	return true;
}

#endif
