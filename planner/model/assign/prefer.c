// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/prefer.h"

#include <errno.h>
#include <stdlib.h>

/* A QP that may trade, with the way it has. */
struct trader {
	uint32_t from, to; /* leaves */
	float size;
	float util; /* of the fullest link of its way, in loads per Gb/s */
	uint32_t route;
	uint32_t job;
};

static float fullest(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		     const double *load)
{
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(f, c, r, hops);
	double most = 0;

	for (int i = 0; i < n; i++) {
		double util;

		if (hops[i].link == C4_NONE)
			continue;
		util = load[2 * (uint64_t)hops[i].link + !hops[i].up] /
		       (double)f->links[hops[i].link].now_gbps;
		most = util > most ? util : most;
	}
	return (float)most;
}

static uint32_t collect(const struct c4_fabric *f, const struct c4_demand *d,
			const struct c4_plan *p, const double *load, struct trader *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		for (uint32_t q = c->first; q < c->first + c->qps; q++) {
			const struct c4_route *r = &p->routes[q];

			if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
				continue;
			t[n++] = (struct trader){
				.from = f->nics[c->src].leaf,
				.to = f->nics[c->dst].leaf,
				.size = c->weight * r->share,
				.util = fullest(f, c, r, load),
				.route = q,
				.job = c->job,
			};
		}
	}
	return n;
}

/* ---- orders ---------------------------------------------------------------------------------- */

#define BY(field)                                                                                  \
	do {                                                                                       \
		if (x->field != y->field)                                                          \
			return x->field < y->field ? -1 : 1;                                       \
	} while (0)

static int by_ends(const struct trader *x, const struct trader *y)
{
	BY(from);
	BY(to);
	BY(size);
	return 0;
}

/* The ways of a group, the emptiest first. */
static int by_way(const void *a, const void *b)
{
	const struct trader *x = a, *y = b;
	int order = by_ends(x, y);

	if (order)
		return order;
	BY(util);
	BY(route);
	return 0;
}

/* Those who get them, the most intense first. */
static int by_claim(const void *a, const void *b, void *jobs)
{
	const struct trader *x = a, *y = b;
	const struct c4_job *list = jobs;
	int order = by_ends(x, y);

	if (order)
		return order;
	if (list[x->job].intensity != list[y->job].intensity)
		return list[x->job].intensity > list[y->job].intensity ? -1 : 1;
	BY(job);
	BY(route);
	return 0;
}

/* ---- trade ----------------------------------------------------------------------------------- */

static void take_way(struct c4_route *r, const struct c4_route *way)
{
	float share = r->share;

	*r = *way;
	r->share = share;
}

int c4_prefer(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
	      const double *load)
{
	struct trader *t = malloc(((size_t)d->n_qps + 1) * sizeof *t);
	struct c4_route *ways = malloc(((size_t)d->n_qps + 1) * sizeof *ways);
	uint32_t n;

	if (!t || !ways) {
		free(t);
		free(ways);
		return -ENOMEM;
	}
	n = collect(f, d, p, load, t);
	qsort(t, n, sizeof *t, by_way);
	for (uint32_t i = 0; i < n; i++)
		ways[i] = p->routes[t[i].route];
	qsort_r(t, n, sizeof *t, by_claim, d->jobs);
	for (uint32_t i = 0; i < n; i++)
		take_way(&p->routes[t[i].route], &ways[i]);
	free(t);
	free(ways);
	return 0;
}
