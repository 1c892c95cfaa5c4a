/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weights.h - unequal shares for the QPs of a connection: more on emptier ways.
 *
 * Routes stay; only shares move, so nothing reconnects. Multiplicative weights (Plotkin, Shmoys,
 * Tardos 1995): round after round each connection takes share from its ways by what their links
 * cost, a steep power of utilisation, so the fullest links are relieved first; the best round is
 * kept. The largest utilisation comes near what splitting can reach on these routes, which equal
 * shares cannot when the live spines do not divide the QPs. Pure, one thread.
 */
#ifndef C4_PLANNER_WEIGHTS_H
#define C4_PLANNER_WEIGHTS_H

#include "planner/model/plan.h"

/* load: of the links, as c4_plan_measure() leaves it; kept up to date. Shares sum to 1. 0 or
 * -ENOMEM (plan untouched). */
int c4_weights_balance(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		       double *load);

#endif
