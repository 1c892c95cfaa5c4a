// SPDX-License-Identifier: BSD-3-Clause
/* How many QPs per connection: the number whose whole QPs divide best among the live uplinks. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "planner/model/assign/assign.h"
#include "planner/model/assign/bound.h"
#include "planner/model/fabric/net.h"

/* Connections of a net by leaf and weight. */
struct tally {
	struct c4_net net;
	double size[C4_BOUND_SIZES_MAX];
	uint32_t n_sizes;
	uint32_t *count; /* [(side * n_leaves + leaf) * C4_BOUND_SIZES_MAX + size] */
};

/* The size nearest to the weight once there are too many. */
static uint32_t size_of(struct tally *t, double weight)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < t->n_sizes; i++) {
		if (fabs(t->size[i] - weight) <= 1e-6 * weight)
			return i;
		if (fabs(t->size[i] - weight) < fabs(t->size[best] - weight))
			best = i;
	}
	if (t->n_sizes == C4_BOUND_SIZES_MAX)
		return best;
	t->size[t->n_sizes] = weight;
	return t->n_sizes++;
}

static void count(struct tally *t, const struct c4_fabric *f, const struct c4_demand *d,
		  uint32_t index, const uint32_t *local)
{
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];
		uint32_t end[2] = {f->nics[c->src].leaf, f->nics[c->dst].leaf}, size;

		if (c4_route_plain_state(f, c->src, c->dst) != C4_ROUTE_NONE ||
		    f->switches[end[0]].net != index)
			continue;
		size = size_of(t, (double)c->weight);
		for (uint32_t side = 0; side < 2; side++)
			t->count[(side * t->net.n_leaves + local[end[side]]) * C4_BOUND_SIZES_MAX +
				 size]++;
	}
}

/* Bound of the largest utilisation with k QPs per connection; a full link is good enough. */
static double bound_with(const struct tally *t, uint32_t k)
{
	double size[C4_BOUND_SIZES_MAX], most = 1;
	uint32_t many[C4_BOUND_SIZES_MAX];

	for (uint32_t i = 0; i < t->n_sizes; i++)
		size[i] = t->size[i] / k;
	for (uint32_t v = 0; v < 2 * t->net.n_leaves; v++) {
		for (uint32_t i = 0; i < t->n_sizes; i++)
			many[i] = t->count[v * C4_BOUND_SIZES_MAX + i] * k;
		most = fmax(most,
			    c4_bound_links(&t->net, c4_net_up(&t->net, v % t->net.n_leaves, 0),
					   t->net.colours, size, many, t->n_sizes));
	}
	return most;
}

/* Raises bound[k] to what this net cannot be below. */
static int look_at(const struct c4_fabric *f, const struct c4_demand *d, uint32_t index,
		   uint32_t *local, uint32_t most, double *bound)
{
	struct tally t = {0};
	struct c4_fault fault;
	int rc = c4_net_init(&t.net, f, index, local, &fault);

	if (rc)
		return rc;
	t.count = calloc(2 * (size_t)t.net.n_leaves * C4_BOUND_SIZES_MAX + 1, sizeof *t.count);
	if (t.count) {
		count(&t, f, d, index, local);
		for (uint32_t k = 1; k <= most && t.n_sizes; k++)
			bound[k] = fmax(bound[k], bound_with(&t, k));
	}
	rc = t.count ? 0 : -ENOMEM;
	free(t.count);
	c4_net_release(&t.net);
	return rc;
}

int c4_assign_qps(const struct c4_fabric *f, const struct c4_demand *d, uint32_t most,
		  uint32_t *ret)
{
	uint32_t *local = malloc((f->n_switches + 1) * sizeof *local), best = 1;
	double bound[C4_CONN_QPS_MAX + 1] = {0};
	int rc = local ? 0 : -ENOMEM;

	if (!most || most > C4_CONN_QPS_MAX)
		rc = -EINVAL;
	for (uint32_t i = 0; i < f->n_nets && !rc; i++)
		rc = look_at(f, d, i, local, most, bound);
	for (uint32_t k = 2; k <= most && !rc; k++)
		if (bound[k] < bound[best] * (1 - 1e-9))
			best = k;
	free(local);
	if (!rc)
		*ret = best;
	return rc;
}
