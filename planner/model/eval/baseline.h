/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * baseline.h - what routes look like without a planner, or with a simple one: for comparison.
 *
 * Each fills a plan and measures it; bounds are left as they are. Routes that have a state already
 * stay (ECMP: that have a port), the others are added in the demand's order. The same seed gives
 * the same plan. Pure, one thread.
 */
#ifndef C4_PLANNER_BASELINE_H
#define C4_PLANNER_BASELINE_H

#include "planner/model/oracle/oracle.h"

/* Every QP gets a random source port and goes where the switches (an oracle that knows all) send
 * it. 0 or -ENOMEM. */
int c4_baseline_ecmp(struct c4_oracle *switches, const struct c4_fabric *f,
		     const struct c4_demand *d, uint64_t seed, struct c4_plan *p);

/*
 * QPs one by one, in the demand's order, never moved again: each takes the live shortest path whose
 * fullest link is least utilised; among equals the one with the smallest sum, then a random one.
 */
int c4_baseline_greedy(const struct c4_fabric *f, const struct c4_demand *d, uint64_t seed,
		       struct c4_plan *p);

/* The same, but each QP looks at two random paths only (Mitzenmacher 2001). */
int c4_baseline_two_choices(const struct c4_fabric *f, const struct c4_demand *d, uint64_t seed,
			    struct c4_plan *p);

/* Source ports of a NIC that nobody told any: random, for routes that have none. */
void c4_baseline_random_ports(const struct c4_demand *d, uint64_t seed, struct c4_plan *p);

#endif
