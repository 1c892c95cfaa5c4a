/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weights.h - unequal shares for the QPs of a connection: more on emptier ways.
 *
 * Routes stay; only shares move, so nothing reconnects. Each connection in turn fills its ways,
 * given what the others put on them, to one level (water-filling); round after round the largest
 * utilisation falls towards what splitting can reach on these routes. This is what equal shares
 * cannot do when live spines do not divide the QPs. Pure, one thread.
 */
#ifndef C4_PLANNER_WEIGHTS_H
#define C4_PLANNER_WEIGHTS_H

#include "planner/model/plan.h"

/* load: of the links, as c4_plan_measure() leaves it; kept up to date. Shares sum to 1. 0 or
 * -ENOMEM (plan untouched). */
int c4_weights_balance(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		       double *load);

#endif
