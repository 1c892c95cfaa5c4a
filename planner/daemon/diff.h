/* SPDX-License-Identifier: BSD-3-Clause */
/* diff.h - what became different from one plan to the next, and why. Pure, one thread. */
#ifndef C4_PLANNER_DIFF_H
#define C4_PLANNER_DIFF_H

#include "planner/daemon/carry.h"
#include "planner/daemon/edition.h"

/* What happened before a plan was made anew. */
struct c4_cause {
	bool fabric;   /* another fabric file */
	bool demand;   /* connections came or went */
	bool slowed;   /* links died or became slower */
	bool repaired; /* links became faster */
};

/* A plan with what it is a plan of. */
struct c4_planned {
	struct c4_carry_side side;
	const struct c4_plan *plan;
};

/*
 * Fills d with the moves and departures from `was` to `is`, y being the former carried over to the
 * latter, and changed[] (per QP of `is`) from before[] (per QP of `was`): d->version where the
 * route, its port or its share is another than before. Returns how many are.
 */
uint64_t c4_diff(const struct c4_planned *was, const struct c4_carry *y,
		 const struct c4_planned *is, const struct c4_cause *cause, const uint64_t *before,
		 uint64_t *changed, struct c4_delta *d);

#endif
