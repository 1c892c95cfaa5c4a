/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trial.h - one way of routing, tried in one world, judged by what the switches do.
 *
 * Whatever a method claims, the judge sees its source ports only: each QP's path is recomputed from
 * (sip, dip, sport) through the switches' own hash, and loads and job rates follow from these
 * paths. QPs without a port get a random one, as a NIC that nobody told. One thread.
 */
#ifndef C4_PLANNER_CLI_TRIAL_H
#define C4_PLANNER_CLI_TRIAL_H

#include <stdint.h>

#include "planner/cli/scene.h"

enum c4_routing {
	C4_ROUTING_ECMP,
	C4_ROUTING_GREEDY,
	C4_ROUTING_TWO_CHOICES,
	C4_ROUTING_EXACT,
	C4_ROUTING_WEIGHTED, /* exact, with unequal shares */
	C4_ROUTING_GIVEN,    /* a plan from elsewhere */
};

/* What the planner knows of the switches' hash. */
enum c4_knowledge {
	C4_KNOWS_HASH,
	C4_KNOWS_WRONG,	 /* the kind, but not the seeds */
	C4_KNOWS_TABLE,	 /* by probing */
	C4_KNOWS_LINEAR, /* by probing, and learning a linear hash */
};

struct c4_method {
	const char *name;
	enum c4_routing routing;
	uint32_t qps; /* per connection; 0: matched to the live uplinks, C4_QPS_KEEP: as it is */
	enum c4_knowledge knowledge;
};

#define C4_QPS_KEEP UINT32_MAX

struct c4_outcome {
	double *rates; /* of the jobs, ascending; the caller frees it */
	uint32_t n_jobs;
	double slowest, mean;
	double max_util;
	double bound; /* no routes with these QPs let the slowest job run faster */
	uint32_t qps; /* per connection */
	uint64_t n_qps, unpinned, unplaced;
	uint64_t probes; /* spent on the oracle */
};

/* Changes the demand's QPs per connection. `given` is for C4_ROUTING_GIVEN. 0, or a negative errno
 * with the reason in *fault. */
int c4_trial_run(struct c4_world *w, const struct c4_method *m, uint64_t seed,
		 const struct c4_plan *given, struct c4_outcome *ret, struct c4_fault *fault);

/*
 * The judge: paths of the plan's ports through the switches into *p, rates of the jobs into
 * x[n_jobs]; *ret_unpinned counts placed routes that had no port. 0 or -ENOMEM.
 */
int c4_trial_judge(const struct c4_world *w, struct c4_oracle *switches, uint64_t seed,
		   struct c4_plan *p, double *x, uint64_t *ret_unpinned);

#endif
