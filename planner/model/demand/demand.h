/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * demand.h - what wants to travel: connections between NICs, grouped in jobs.
 *
 * A connection is directed and carries `weight` (1 = one NIC's usual rate) over `qps` queue pairs
 * of equal share; a QP is what gets a route. All connections of a job progress together: the
 * slowest one sets the job's pace. Names are copied. Pure, one thread.
 */
#ifndef C4_PLANNER_DEMAND_H
#define C4_PLANNER_DEMAND_H

#include <stdint.h>

#include "common/ds/strmap.h"
#include "planner/model/fabric/fabric.h"

#define C4_DEMAND_CONNS_MAX (1u << 22)
#define C4_DEMAND_QPS_MAX   (1u << 23) /* in all */
#define C4_CONN_QPS_MAX	    128u

struct c4_job {
	const char *name;
	double intensity; /* who matters when not everybody can win; > 0, usually 1 */
};

struct c4_conn {
	const char *id;
	uint32_t job;
	uint32_t src, dst; /* NICs of the fabric */
	uint32_t first;	   /* its QPs are [first, first + qps) in the plan's routes */
	uint32_t qps;	   /* 1 … C4_CONN_QPS_MAX */
	float weight;	   /* > 0 */
};

struct c4_demand {
	struct c4_job *jobs;
	struct c4_conn *conns;
	uint32_t n_jobs, n_conns, n_qps;
	uint32_t cap_jobs, cap_conns;
	struct c4_strmap job_of; /* name → index + 1 */
	struct c4_strmap ids;	 /* interned connection ids, unique */
};

void c4_demand_init(struct c4_demand *d);
void c4_demand_release(struct c4_demand *d);

/* Index of the job of this name, made with intensity 1 if it is new. Negative errno. */
int64_t c4_demand_job(struct c4_demand *d, const char *name);

/*
 * Index of the new connection, or a negative errno with the reason in *fault (-EEXIST: id in use,
 * -EINVAL: value out of range, -E2BIG, -ENOMEM); the demand is then unchanged. src and dst must be
 * NICs of the fabric that the demand is planned on; they may be equal or under one leaf.
 */
int64_t c4_demand_add(struct c4_demand *d, const char *id, uint32_t job, uint32_t src, uint32_t dst,
		      double weight, uint32_t qps, struct c4_fault *fault);

/* The same number of QPs for every connection. 0, or -EINVAL or -E2BIG with the reason in *fault
 * and the demand unchanged. */
int c4_demand_set_qps(struct c4_demand *d, uint32_t qps, struct c4_fault *fault);

#endif
