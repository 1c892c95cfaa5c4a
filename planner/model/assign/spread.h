/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spread.h - which of parallel links a route takes: each time the one that stays emptiest.
 *
 * For equal QPs that is exact: no other choice has a lower largest utilisation within the bundle.
 * Both ends of a route choose for themselves. Pure, one thread.
 */
#ifndef C4_PLANNER_SPREAD_H
#define C4_PLANNER_SPREAD_H

#include <stdbool.h>

#include "planner/model/plan.h"

/* One route of connection c: chooses its links on top of what `load` says, and counts it there. */
void c4_spread_route(const struct c4_fabric *f, const struct c4_conn *c, struct c4_route *r,
		     double *load);

/* Counts a route by the links that it names; false, and nothing counted, if one is not alive. */
bool c4_spread_keep(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		    double *load);

/* Takes a route that was counted off the loads. */
void c4_spread_drop(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		    double *load);

/* Sets parallel_up, _down and _core of every placed route. load: 2 * n_links, scratch. */
void c4_spread(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
	       double *load);

#endif
