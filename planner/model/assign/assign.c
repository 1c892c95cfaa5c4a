// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/assign.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "planner/model/assign/assign_group.h"
#include "planner/model/assign/bound.h"
#include "planner/model/assign/prefer.h"
#include "planner/model/assign/spread.h"
#include "planner/model/assign/weights.h"

/* ---- who goes where -------------------------------------------------------------------------- */

static uint32_t net_of(const struct c4_fabric *f, uint32_t nic)
{
	return f->switches[f->nics[nic].leaf].net;
}

static void set_state(struct c4_plan *p, const struct c4_conn *c, enum c4_route_state state)
{
	for (uint32_t q = c->first; q < c->first + c->qps; q++)
		p->routes[q] = (struct c4_route){
			.state = (uint8_t)state,
			.share = p->routes[q].share,
			.sport = p->routes[q].sport,
		};
}

/* ---- the QPs of a net ------------------------------------------------------------------------ */

/* QPs of one size are one layer; past the limit a QP counts as the next larger size. */
static uint32_t layer_of(struct c4_group *g, double size)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < g->n_layers; i++)
		if (c4_place_same_size(g->size[i], size))
			return i;
	if (g->n_layers < C4_PLACE_LAYERS_MAX) {
		g->size[g->n_layers] = g->least[g->n_layers] = size;
		return g->n_layers++;
	}
	for (uint32_t i = 1; i < g->n_layers; i++)
		if (c4_place_rounds_better(size, g->size[best], g->size[i]))
			best = i;
	g->least[best] = fmin(g->least[best], size);
	return best;
}

static void add_conn(struct c4_group *g, const struct c4_conn *c, const uint32_t *local)
{
	uint32_t from = local[g->f->nics[c->src].leaf], to = local[g->f->nics[c->dst].leaf];
	uint32_t layer;

	if (!g->uniform && !c4_net_joined(&g->net, from, to)) {
		set_state(g->plan, c, C4_ROUTE_NO_PATH);
		return;
	}
	layer = layer_of(g, (double)c->weight / c->qps);
	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		uint32_t i = g->n++;

		g->edges[i] = (struct c4_colour_edge){{(uint16_t)from, (uint16_t)to}, i};
		g->route[i] = q;
		g->layer[i] = (uint8_t)layer;
		g->job[i] = c->job;
	}
}

static void collect(struct c4_group *g, uint32_t index, const uint32_t *local)
{
	for (uint32_t i = 0; i < g->d->n_conns; i++) {
		const struct c4_conn *c = &g->d->conns[i];

		if (net_of(g->f, c->src) == index &&
		    c4_route_plain_state(g->f, c->src, c->dst) == C4_ROUTE_NONE)
			add_conn(g, c, local);
	}
}

static int group_init(struct c4_group *g, uint32_t qps)
{
	size_t n = (size_t)qps + 1;

	g->edges = malloc(n * sizeof *g->edges);
	g->route = malloc(n * sizeof *g->route);
	g->colour = malloc(n * sizeof *g->colour);
	g->layer = malloc(n);
	g->job = malloc(n * sizeof *g->job);
	return g->edges && g->route && g->colour && g->layer && g->job ? 0 : -ENOMEM;
}

static void group_release(struct c4_group *g)
{
	free(g->edges);
	free(g->route);
	free(g->colour);
	free(g->layer);
	free(g->job);
	c4_net_release(&g->net);
}

/* ---- all nets -------------------------------------------------------------------------------- */

/* Routes are chosen for equal shares, whatever becomes of the shares afterwards. */
static int plan_group(struct c4_group *g)
{
	struct c4_bound_input in = {
		.edges = g->edges,
		.n_edges = g->n,
		.of = g->layer,
		.size = g->least,
		.n_sizes = g->n_layers,
	};
	struct c4_bound whole, bound;
	int rc = c4_bound_net(&g->net, &in, &whole);

	in.split = g->opts->weighted;
	bound = whole;
	if (!rc && in.split)
		rc = c4_bound_net(&g->net, &in, &bound);
	if (rc)
		return rc;
	g->plan->lower_bound = fmax(g->plan->lower_bound, bound.load);
	g->plan->util_bound = fmax(g->plan->util_bound, bound.util);
	if (g->n_layers == 1 && !g->opts->previous && g->uniform)
		rc = c4_group_exact(g, whole.util);
	else
		rc = -ENOSPC;
	return rc == -ENOSPC ? c4_group_repair(g, whole.util) : rc;
}

static int plan_net(const struct c4_fabric *f, const struct c4_demand *d,
		    const struct c4_assign_opts *o, struct c4_plan *p, uint32_t index, uint32_t qps,
		    uint32_t *local, struct c4_fault *fault)
{
	struct c4_group g = {.f = f, .d = d, .opts = o, .plan = p};
	int rc = c4_net_init(&g.net, f, index, local, fault);

	if (rc)
		return rc;
	g.uniform = c4_net_uniform(&g.net);
	rc = group_init(&g, qps);
	if (!rc)
		collect(&g, index, local);
	if (!rc && g.n)
		rc = plan_group(&g);
	group_release(&g);
	return rc;
}

/* QPs to plan in each net; the others get their state. */
static void sort_out(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		     uint32_t *qps)
{
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];
		enum c4_route_state state = c4_route_plain_state(f, c->src, c->dst);

		set_state(p, c, state);
		if (state == C4_ROUTE_NONE)
			qps[net_of(f, c->src)] += c->qps;
	}
}

/* Which links, who gets the better ways where somebody must wait, and unequal shares. */
static int finish(const struct c4_fabric *f, const struct c4_demand *d,
		  const struct c4_assign_opts *o, struct c4_plan *p)
{
	double *load = malloc((2 * (size_t)f->n_links + 1) * sizeof *load);
	int rc = load ? 0 : -ENOMEM;

	if (!rc) {
		c4_spread(f, d, p, load);
		c4_plan_measure(f, d, p, load);
		if (p->max_util > 1 && d->n_jobs > 1 && !o->previous)
			rc = c4_prefer(f, d, p, load);
	}
	if (!rc && o->weighted)
		rc = c4_weights_balance(f, d, p, load);
	free(load);
	return rc;
}

int c4_assign(const struct c4_fabric *f, const struct c4_demand *d, const struct c4_assign_opts *o,
	      struct c4_plan *p, struct c4_fault *fault)
{
	uint32_t *local = malloc((f->n_switches + 1) * sizeof *local);
	uint32_t *qps = calloc(f->n_nets + 1, sizeof *qps);
	int rc = local && qps ? 0 : -ENOMEM;

	p->lower_bound = p->util_bound = 0;
	if (!rc)
		sort_out(f, d, p, qps);
	for (uint32_t i = 0; i < f->n_nets && !rc; i++)
		if (qps[i])
			rc = plan_net(f, d, o, p, i, qps[i], local, fault);
	free(local);
	free(qps);
	return rc ? rc : finish(f, d, o, p);
}
