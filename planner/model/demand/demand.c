// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/demand/demand.h"

#include <errno.h>
#include <stdlib.h>

#include "common/ds/vec.h"

/* Far beyond any NIC, yet sums of millions of them stay exact enough to compare. */
#define WEIGHT_MIN 1e-6
#define WEIGHT_MAX 1e6

void c4_demand_init(struct c4_demand *d)
{
	*d = (struct c4_demand){0};
}

void c4_demand_release(struct c4_demand *d)
{
	free(d->jobs);
	free(d->conns);
	c4_strmap_release(&d->job_of);
	c4_strmap_release(&d->ids);
	*d = (struct c4_demand){0};
}

int64_t c4_demand_job(struct c4_demand *d, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_find(&d->job_of, name);
	struct c4_job *grown;

	if (e)
		return (int64_t)(uintptr_t)e->value - 1;
	if (d->n_jobs >= C4_DEMAND_CONNS_MAX)
		return -E2BIG;
	grown = c4_vec_reserve(d->jobs, &d->cap_jobs, d->n_jobs + 1, C4_DEMAND_CONNS_MAX,
			       sizeof *grown);
	if (!grown)
		return -ENOMEM;
	d->jobs = grown;
	e = c4_strmap_at(&d->job_of, name);
	if (!e)
		return -ENOMEM;
	d->jobs[d->n_jobs] = (struct c4_job){.name = e->key, .intensity = 1};
	e->value = (void *)(uintptr_t)++d->n_jobs;
	return d->n_jobs - 1;
}

static int check(const struct c4_demand *d, const char *id, uint32_t job, double weight,
		 uint32_t qps, struct c4_fault *fault)
{
	const struct c4_strmap_entry *e;

	if (!*id)
		return c4_fault_set(fault, -EINVAL, "the id is empty, expected a name");
	if (job >= d->n_jobs)
		return c4_fault_set(fault, -EINVAL, "job %u does not exist", job);
	if (!(weight >= WEIGHT_MIN && weight <= WEIGHT_MAX)) /* NaN too */
		return c4_fault_set(fault, -EINVAL, "weight %g, expected a number from %g to %g",
				    weight, WEIGHT_MIN, WEIGHT_MAX);
	if (!qps || qps > C4_CONN_QPS_MAX)
		return c4_fault_set(fault, -EINVAL, "%u QPs, expected 1 to %u", qps,
				    C4_CONN_QPS_MAX);
	if (d->n_conns >= C4_DEMAND_CONNS_MAX)
		return c4_fault_set(fault, -E2BIG, "more than %u connections", C4_DEMAND_CONNS_MAX);
	if (qps > C4_DEMAND_QPS_MAX - d->n_qps)
		return c4_fault_set(fault, -E2BIG, "more than %u QPs in all", C4_DEMAND_QPS_MAX);
	e = c4_strmap_find(&d->ids, id);
	if (e)
		return c4_fault_set(fault, -EEXIST, "connection %zu has this id, too",
				    (size_t)(uintptr_t)e->value - 1);
	return 0;
}

int64_t c4_demand_add(struct c4_demand *d, const char *id, uint32_t job, uint32_t src, uint32_t dst,
		      double weight, uint32_t qps, struct c4_fault *fault)
{
	struct c4_strmap_entry *e;
	struct c4_conn *grown;
	int rc = check(d, id, job, weight, qps, fault);

	if (rc)
		return rc;
	grown = c4_vec_reserve(d->conns, &d->cap_conns, d->n_conns + 1, C4_DEMAND_CONNS_MAX,
			       sizeof *grown);
	if (!grown)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	d->conns = grown;
	e = c4_strmap_at(&d->ids, id);
	if (!e)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	d->conns[d->n_conns] = (struct c4_conn){.id = e->key,
						.job = job,
						.src = src,
						.dst = dst,
						.first = d->n_qps,
						.qps = qps,
						.weight = (float)weight};
	e->value = (void *)(uintptr_t)++d->n_conns;
	d->n_qps += qps;
	return d->n_conns - 1;
}

int c4_demand_set_qps(struct c4_demand *d, uint32_t qps, struct c4_fault *fault)
{
	if (!qps || qps > C4_CONN_QPS_MAX)
		return c4_fault_set(fault, -EINVAL, "%u QPs, expected 1 to %u", qps,
				    C4_CONN_QPS_MAX);
	if ((uint64_t)qps * d->n_conns > C4_DEMAND_QPS_MAX)
		return c4_fault_set(fault, -E2BIG, "more than %u QPs in all", C4_DEMAND_QPS_MAX);
	for (uint32_t i = 0; i < d->n_conns; i++) {
		d->conns[i].qps = qps;
		d->conns[i].first = i * qps;
	}
	d->n_qps = d->n_conns * qps;
	return 0;
}
