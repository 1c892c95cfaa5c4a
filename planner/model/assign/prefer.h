/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prefer.h - who gets the better ways: between the same two leaves, equal QPs trade routes so that
 * the less used ones go to the more intense jobs, and of equal jobs always to the same ones. No
 * link's load changes; a job with bad ways has them together. Pure, one thread.
 */
#ifndef C4_PLANNER_PREFER_H
#define C4_PLANNER_PREFER_H

#include "planner/model/plan.h"

/* load: of the links, as c4_plan_measure() leaves it. 0 or -ENOMEM (plan untouched). */
int c4_prefer(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
	      const double *load);

#endif
