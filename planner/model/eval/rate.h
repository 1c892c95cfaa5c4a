/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rate.h - how fast jobs run under a plan: flow-level max–min fairness between jobs.
 *
 * All flows of a job progress together (a synchronous collective), so a job has one rate x, 1 = its
 * connections run at their weight. What a job at rate 1 puts on a link is weight·share of its QPs
 * there; links carry their present rate relative to the fabric's fastest link, NICs theirs in each
 * direction (1 when unknown). Progressive filling: all rates grow together, a job stops when
 * something it uses is full, or at 1 (Bertsekas, Gallager, Data Networks, 6.5.2). A job with a QP
 * that has no route cannot progress: 0. Pure, one thread.
 */
#ifndef C4_PLANNER_RATE_H
#define C4_PLANNER_RATE_H

#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/plan.h"

/* Rates of the demand's jobs into x[n_jobs]. 0 or -ENOMEM. O(hops · (QPs + log links)). */
int c4_rate_fill(const struct c4_fabric *f, const struct c4_demand *d, const struct c4_plan *p,
		 double *x);

/*
 * What the slowest job cannot exceed, whatever the routes, into *ret: 1, the NIC that has most to
 * do, and the fabric, whose largest utilisation is at least util_bound. 0 or -ENOMEM.
 */
int c4_rate_bound(const struct c4_fabric *f, const struct c4_demand *d, double util_bound,
		  double *ret);

#endif
