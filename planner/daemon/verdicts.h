/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verdicts.h - asks the collector for its incidents of the network, and for the matrices of the jobs
 * that they are of. Blocking, for workers; one thread.
 */
#ifndef C4_PLANNER_VERDICTS_H
#define C4_PLANNER_VERDICTS_H

#include "planner/daemon/ask.h"
#include "planner/io/ratings.h"

/*
 * *ret, zeros before: the ratings of now, by the numbers of f; none where no incident stands. 0, or
 * a negative errno with the reason in why[n]; the caller releases *ret in any case.
 */
int c4_verdicts_ask(struct c4_asking *a, const struct c4_fabric *f, struct c4_ratings *ret,
		    char *why, size_t n);

#endif
