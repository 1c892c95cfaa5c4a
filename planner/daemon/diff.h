/* SPDX-License-Identifier: BSD-3-Clause */
/* diff.h - what became different from one plan to the next, and why. Pure, one thread. */
#ifndef C4_PLANNER_DIFF_H
#define C4_PLANNER_DIFF_H

#include "planner/daemon/carry.h"
#include "planner/daemon/edition.h"

/* A plan with what it is a plan of. */
struct c4_planned {
	struct c4_carry_side side;
	const struct c4_plan *plan;
	const struct c4_route *backups; /* NULL: none are known */
	const uint64_t *changed;	/* of `was` */
};

#define C4_WHY_UNKNOWN UINT8_MAX

/*
 * Fills d with the moves and departures from `was` to `is`, y being the former carried over to the
 * latter, and changed[] (per QP of `is`): d->version where the route, its port or its backup is
 * another than before, else what it was. why[] (per QP of `is`) is an enum c4_shift_reason or
 * C4_WHY_UNKNOWN. Returns how many QPs are different.
 */
uint64_t c4_diff(const struct c4_planned *was, const struct c4_carry *y,
		 const struct c4_planned *is, const uint8_t *why, uint64_t *changed,
		 struct c4_delta *d);

#endif
