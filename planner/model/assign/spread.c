// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/spread.h"

#include <math.h>
#include <string.h>

/*
 * Of the links between two switches the one that is least used with this QP on it; counts the QP.
 * `limit`: how many can be told apart in a route.
 */
static uint8_t choose(const struct c4_fabric *f, uint32_t lower, uint32_t upper, bool up,
		      double weight, uint32_t limit, double *load)
{
	uint32_t n, at = c4_fabric_links_between(f, lower, upper, &n), best = 0;
	double least = INFINITY;

	for (uint32_t i = 0; i < n && i < limit; i++) {
		uint32_t link = f->link_of[at + i];
		double rate = (double)f->links[link].now_gbps;
		double util =
			rate > 0 ? (load[2 * (uint64_t)link + !up] + weight) / rate : INFINITY;

		if (util < least) {
			least = util;
			best = i;
		}
	}
	if (n)
		load[2 * (uint64_t)f->link_of[at + best] + !up] += weight;
	return (uint8_t)best;
}

void c4_spread_route(const struct c4_fabric *f, const struct c4_conn *c, struct c4_route *r,
		     double *load)
{
	double weight = (double)c->weight * (double)r->share;
	uint8_t core_up, core_down;

	if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
		return;
	r->parallel_up = choose(f, f->nics[c->src].leaf, r->up, true, weight, 256, load);
	r->parallel_down = choose(f, f->nics[c->dst].leaf, r->down, false, weight, 256, load);
	if (r->state != C4_ROUTE_CORE)
		return;
	core_up = choose(f, r->up, r->core, true, weight, 16, load);
	core_down = choose(f, r->down, r->core, false, weight, 16, load);
	r->parallel_core = (uint8_t)(core_up | core_down << 4);
}

bool c4_spread_keep(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		    double *load)
{
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(f, c, r, hops);

	for (int i = 0; i < n; i++)
		if (hops[i].link == C4_NONE || f->links[hops[i].link].now_gbps <= 0)
			return false;
	for (int i = 0; i < n; i++)
		load[2 * (uint64_t)hops[i].link + !hops[i].up] +=
			(double)c->weight * (double)r->share;
	return true;
}

void c4_spread_drop(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		    double *load)
{
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(f, c, r, hops);

	for (int i = 0; i < n; i++)
		if (hops[i].link != C4_NONE)
			load[2 * (uint64_t)hops[i].link + !hops[i].up] -=
				(double)c->weight * (double)r->share;
}

static bool any_parallel(const struct c4_fabric *f)
{
	for (uint32_t s = 0; s < f->n_switches; s++)
		for (uint32_t i = f->link_at[s] + 1; i < f->link_at[s + 1]; i++) {
			const struct c4_link *a = &f->links[f->link_of[i - 1]];
			const struct c4_link *b = &f->links[f->link_of[i]];

			if (a->a == b->a && a->b == b->b)
				return true;
		}
	return false;
}

void c4_spread(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
	       double *load)
{
	if (!any_parallel(f))
		return;
	memset(load, 0, 2 * (size_t)f->n_links * sizeof *load);
	for (uint32_t i = 0; i < d->n_conns; i++)
		for (uint32_t q = 0; q < d->conns[i].qps; q++)
			c4_spread_route(f, &d->conns[i], &p->routes[d->conns[i].first + q], load);
}
