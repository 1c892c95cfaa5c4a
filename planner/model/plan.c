// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int c4_plan_init(struct c4_plan *p, const struct c4_demand *d)
{
	struct c4_route *routes = calloc((size_t)d->n_qps + 1, sizeof *routes);

	if (!routes)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_conns; i++)
		for (uint32_t q = 0; q < d->conns[i].qps; q++)
			routes[d->conns[i].first + q].share = 1.0f / (float)d->conns[i].qps;
	*p = (struct c4_plan){.routes = routes, .n_routes = d->n_qps};
	return 0;
}

void c4_plan_release(struct c4_plan *p)
{
	free(p->routes);
	*p = (struct c4_plan){0};
}

enum c4_route_state c4_route_plain_state(const struct c4_fabric *f, uint32_t src, uint32_t dst)
{
	const struct c4_nic *a = &f->nics[src], *b = &f->nics[dst];

	if (a->leaf == b->leaf)
		return C4_ROUTE_LOCAL;
	if (f->switches[a->leaf].net == f->switches[b->leaf].net)
		return C4_ROUTE_NONE;
	return a->plane == b->plane ? C4_ROUTE_NO_PATH : C4_ROUTE_TWO_PLANES;
}

/* ---- ways ------------------------------------------------------------------------------------ */

struct c4_way c4_way_of(const struct c4_fabric *f, const struct c4_conn *c,
			const struct c4_route *r)
{
	uint16_t src = (uint16_t)f->nics[c->src].leaf, dst = (uint16_t)f->nics[c->dst].leaf;

	switch (r->state) {
	case C4_ROUTE_LOCAL: return (struct c4_way){{src}, 1};
	case C4_ROUTE_SPINE: return (struct c4_way){{src, r->up, dst}, 3};
	case C4_ROUTE_CORE: return (struct c4_way){{src, r->up, r->core, r->down, dst}, 5};
	default: return (struct c4_way){{0}, 0};
	}
}

bool c4_way_equal(const struct c4_way *a, const struct c4_way *b)
{
	return a->n == b->n && !memcmp(a->at, b->at, a->n * sizeof *a->at);
}

/* ---- hops ------------------------------------------------------------------------------------ */

int c4_route_hops(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		  struct c4_hop hops[C4_HOPS_MAX])
{
	uint32_t src = f->nics[c->src].leaf, dst = f->nics[c->dst].leaf;
	uint32_t core_up = r->parallel_core & 15, core_down = r->parallel_core >> 4;

	if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
		return 0;
	hops[0] = (struct c4_hop){c4_fabric_link(f, src, r->up, r->parallel_up), true};
	if (r->state == C4_ROUTE_SPINE) {
		hops[1] = (struct c4_hop){c4_fabric_link(f, dst, r->up, r->parallel_down), false};
		return 2;
	}
	hops[1] = (struct c4_hop){c4_fabric_link(f, r->up, r->core, core_up), true};
	hops[2] = (struct c4_hop){c4_fabric_link(f, r->down, r->core, core_down), false};
	hops[3] = (struct c4_hop){c4_fabric_link(f, dst, r->down, r->parallel_down), false};
	return 4;
}

/* ---- loads ----------------------------------------------------------------------------------- */

static double fastest(const struct c4_fabric *f)
{
	double most = 0;

	for (uint32_t i = 0; i < f->n_links; i++)
		if ((double)f->links[i].gbps > most)
			most = (double)f->links[i].gbps;
	return most;
}

static void find_most(const struct c4_fabric *f, struct c4_plan *p, const double *load)
{
	double rate = fastest(f);

	p->max_load = p->max_util = 0;
	for (uint32_t i = 0; i < f->n_links; i++) {
		double more = load[2 * i] > load[2 * i + 1] ? load[2 * i] : load[2 * i + 1];
		double util;

		if (more <= 0)
			continue;
		util = more * rate / (double)f->links[i].now_gbps;
		p->max_load = more > p->max_load ? more : p->max_load;
		p->max_util = util > p->max_util ? util : p->max_util;
	}
}

void c4_plan_measure(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		     double *load)
{
	memset(load, 0, 2 * (size_t)f->n_links * sizeof *load);
	p->n_unplaced = 0;
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		for (uint32_t q = c->first; q < c->first + c->qps; q++) {
			const struct c4_route *r = &p->routes[q];
			struct c4_hop hops[C4_HOPS_MAX];
			int n = c4_route_hops(f, c, r, hops);

			p->n_unplaced += r->state >= C4_ROUTE_NO_PATH;
			for (int h = 0; h < n; h++)
				if (hops[h].link != C4_NONE)
					load[2 * (uint64_t)hops[h].link + !hops[h].up] +=
						(double)c->weight * (double)r->share;
		}
	}
	find_most(f, p, load);
}
