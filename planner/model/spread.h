/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spread.h - which of parallel links a route takes: each time the one that stays emptiest.
 *
 * For equal QPs that is exact: no other choice has a lower largest utilisation within the bundle.
 * Both ends of a route choose for themselves. Pure, one thread.
 */
#ifndef C4_PLANNER_SPREAD_H
#define C4_PLANNER_SPREAD_H

#include "planner/model/plan.h"

/* Sets parallel_up, _down and _core of every placed route. load: 2 * n_links, scratch. */
void c4_spread(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
	       double *load);

#endif
