// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/bound.h"
#include "planner/model/colour.h"
#include "planner/model/net.h"
#include "planner/model/place.h"
#include "planner/model/spread.h"

/* Moves that one QP may cause, and how far above the bound chains are tried before force. */
#define CHAIN_BUDGET 4096
#define RAISES_MAX   8

/* The QPs of one net, as a graph of its leaves. */
struct group {
	const struct c4_fabric *f;
	const struct c4_assign_opts *opts;
	struct c4_plan *plan;
	struct c4_net net;
	uint32_t n;
	struct c4_colour_edge *edges; /* id: index of the three below */
	uint32_t *route;
	uint16_t *colour;
	uint8_t *layer;
	double size[C4_PLACE_LAYERS_MAX];
	uint32_t n_layers;
};

/* ---- who goes where -------------------------------------------------------------------------- */

static bool two_leaves(const struct c4_fabric *f, const struct c4_conn *c)
{
	return f->nics[c->src].leaf != f->nics[c->dst].leaf;
}

static uint32_t net_of(const struct c4_fabric *f, uint32_t nic)
{
	return f->switches[f->nics[nic].leaf].net;
}

/* What can be said of a connection without planning. NONE: it has to be planned. */
static enum c4_route_state plain_state(const struct c4_fabric *f, const struct c4_conn *c)
{
	if (!two_leaves(f, c))
		return C4_ROUTE_LOCAL;
	if (net_of(f, c->src) == net_of(f, c->dst))
		return C4_ROUTE_NONE;
	return f->nics[c->src].plane == f->nics[c->dst].plane ? C4_ROUTE_NO_PATH
							      : C4_ROUTE_TWO_PLANES;
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
static uint32_t layer_of(struct group *g, double size)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < g->n_layers; i++)
		if (fabs(g->size[i] - size) <= 1e-6 * size)
			return i;
	if (g->n_layers < C4_PLACE_LAYERS_MAX) {
		g->size[g->n_layers] = size;
		return g->n_layers++;
	}
	for (uint32_t i = 1; i < g->n_layers; i++) {
		double now = g->size[best], other = g->size[i];

		if (now < size ? other > now : other >= size && other < now)
			best = i;
	}
	return best;
}

static void add_conn(struct group *g, const struct c4_conn *c, const uint32_t *local)
{
	uint32_t from = local[g->f->nics[c->src].leaf], to = local[g->f->nics[c->dst].leaf];
	uint32_t layer;

	if (!c4_net_joined(&g->net, from, to)) {
		set_state(g->plan, c, C4_ROUTE_NO_PATH);
		return;
	}
	layer = layer_of(g, (double)c->weight / c->qps);
	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		uint32_t i = g->n++;

		g->edges[i] = (struct c4_colour_edge){{(uint16_t)from, (uint16_t)to}, i};
		g->route[i] = q;
		g->layer[i] = (uint8_t)layer;
	}
}

static void collect(struct group *g, const struct c4_demand *d, uint32_t index,
		    const uint32_t *local)
{
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		if (two_leaves(g->f, c) && net_of(g->f, c->src) == index &&
		    net_of(g->f, c->dst) == index)
			add_conn(g, c, local);
	}
}

static int group_init(struct group *g, uint32_t qps)
{
	size_t n = (size_t)qps + 1;

	g->edges = malloc(n * sizeof *g->edges);
	g->route = malloc(n * sizeof *g->route);
	g->colour = malloc(n * sizeof *g->colour);
	g->layer = malloc(n);
	return g->edges && g->route && g->colour && g->layer ? 0 : -ENOMEM;
}

static void group_release(struct group *g)
{
	free(g->edges);
	free(g->route);
	free(g->colour);
	free(g->layer);
	c4_net_release(&g->net);
}

/* ---- exact: a uniform net, QPs of one size --------------------------------------------------- */

static bool crosses(const struct c4_net *n, const struct c4_colour_edge *e)
{
	return n->pod[e->end[0]] != n->pod[e->end[1]];
}

static int colour_spines(struct group *g, struct c4_colour_edge *edges, uint32_t n_edges)
{
	const struct c4_net *n = &g->net;
	struct c4_colour_graph graph = {
		.n = {n->n_leaves, n->n_leaves},
		.pod = n->n_pods > 1 ? n->pod : NULL,
		.n_pods = n->n_pods > 1 ? n->n_pods : 0,
		.edges = edges,
		.n_edges = n_edges,
	};

	return c4_colour(&graph, n->colours, g->colour);
}

/* Groups the edges by colour (counting sort): those of colour c are [at[c], at[c + 1]). */
static void sort_by_colour(const struct group *g, struct c4_colour_edge *sorted, uint32_t *at)
{
	uint32_t colours = g->net.colours;

	memset(at, 0, (colours + 2) * sizeof *at);
	for (uint32_t i = 0; i < g->n; i++)
		at[g->colour[g->edges[i].id] + 2]++;
	for (uint32_t c = 0; c < colours; c++)
		at[c + 2] += at[c + 1];
	for (uint32_t i = 0; i < g->n; i++)
		sorted[at[g->colour[g->edges[i].id] + 1]++] = g->edges[i];
}

/* The edges of one colour that leave their pod, pod × pod, coloured by core. */
static int colour_cores_of(struct group *g, struct c4_colour_edge *edges, uint32_t n_edges,
			   uint16_t *core)
{
	const struct c4_net *n = &g->net;
	struct c4_colour_graph graph = {.n = {n->n_pods, n->n_pods}, .edges = edges};
	uint32_t *id = malloc((n_edges + 1) * sizeof *id);
	uint16_t *colour = malloc((n_edges + 1) * sizeof *colour);
	int rc = -ENOMEM;

	if (id && colour) {
		for (uint32_t i = 0; i < n_edges; i++) {
			struct c4_colour_edge e = edges[i];

			if (!crosses(n, &e))
				continue;
			id[graph.n_edges] = e.id;
			edges[graph.n_edges] = (struct c4_colour_edge){
				{n->pod[e.end[0]], n->pod[e.end[1]]}, graph.n_edges};
			graph.n_edges++;
		}
		rc = c4_colour(&graph, n->cores, colour);
		for (uint32_t i = 0; i < graph.n_edges && !rc; i++)
			core[id[i]] = colour[i];
	}
	free(id);
	free(colour);
	return rc;
}

static int colour_cores(struct group *g, uint16_t *core)
{
	struct c4_colour_edge *sorted = malloc((g->n + 1) * sizeof *sorted);
	uint32_t *at = malloc((g->net.colours + 2) * sizeof *at);
	int rc = sorted && at ? 0 : -ENOMEM;

	if (!rc)
		sort_by_colour(g, sorted, at);
	for (uint32_t c = 0; c < g->net.colours && !rc; c++)
		rc = colour_cores_of(g, sorted + at[c], at[c + 1] - at[c], core);
	free(sorted);
	free(at);
	return rc;
}

static void write_exact(struct group *g, const uint16_t *core)
{
	const struct c4_net *n = &g->net;

	for (uint32_t i = 0; i < g->n; i++) {
		const struct c4_colour_edge *e = &g->edges[i];
		struct c4_route *r = &g->plan->routes[g->route[e->id]];
		uint16_t c = g->colour[e->id];

		r->state = C4_ROUTE_SPINE;
		r->up = (uint16_t)n->spine[n->pod[e->end[0]] * n->colours + c];
		r->down = (uint16_t)n->spine[n->pod[e->end[1]] * n->colours + c];
		if (crosses(n, e)) {
			r->state = C4_ROUTE_CORE;
			r->core = (uint16_t)n->core[c * n->cores + core[e->id]];
		}
	}
}

static int plan_exact(struct group *g)
{
	uint16_t *core = g->net.cores ? malloc((g->n + 1) * sizeof *core) : NULL;
	int rc = colour_spines(g, g->edges, g->n);

	if (!rc && g->net.cores)
		rc = core ? colour_cores(g, core) : -ENOMEM;
	if (!rc)
		write_exact(g, core);
	free(core);
	return rc;
}

/* ---- repaired: everything else --------------------------------------------------------------- */

static uint32_t position(const uint32_t *list, uint32_t n, uint32_t wanted)
{
	uint32_t i = 0;

	while (i < n && list[i] != wanted)
		i++;
	return i;
}

/* The way a QP had in the previous plan. False when it had none. */
static bool previous_way(const struct group *g, const struct c4_colour_edge *e,
			 uint32_t *ret_colour, uint32_t *ret_core)
{
	const struct c4_net *n = &g->net;
	const struct c4_plan *old = g->opts->previous;
	const struct c4_route *r = &old->routes[g->route[e->id]];

	if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
		return false;
	*ret_colour = position(n->spine + n->pod[e->end[0]] * n->colours, n->colours, r->up);
	*ret_core = 0;
	if (r->state == C4_ROUTE_CORE && *ret_colour < n->colours)
		*ret_core = position(n->core + *ret_colour * n->cores, n->cores, r->core);
	return *ret_colour < n->colours;
}

/* Edge of the place for each of the group's, in its order of ids. */
static int add_all(struct group *g, struct c4_place *p, uint32_t *edge)
{
	uint32_t count[C4_PLACE_LAYERS_MAX] = {0};

	for (uint32_t i = 0; i < g->n; i++)
		count[g->layer[i]]++;
	for (uint32_t l = 0; l < g->n_layers; l++)
		if (c4_place_layer(p, g->size[l]) < 0 || c4_place_reserve(p, l, count[l]))
			return -ENOMEM;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct c4_colour_edge *e = &g->edges[i];
		int64_t at =
			c4_place_add(p, g->layer[e->id], e->end[0], e->end[1], g->route[e->id]);

		if (at < 0)
			return -ENOMEM;
		edge[e->id] = (uint32_t)at;
	}
	return 0;
}

/* Ways that fit as they are: those of the previous plan, else those of the uniform colouring. */
static void put_first(struct group *g, struct c4_place *p, const uint32_t *edge, uint32_t layer)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct c4_colour_edge *e = &g->edges[i];
		struct c4_placed at = {layer, edge[e->id]};
		uint32_t colour = g->colour[e->id], core = e->id % (g->net.cores + !g->net.cores);

		if (g->layer[e->id] != layer)
			continue;
		if (g->opts->previous && !previous_way(g, e, &colour, &core))
			continue;
		c4_place_put(p, at, colour, core);
		p->n_touched = 0;
	}
}

static bool placed(const struct c4_place *p, struct c4_placed at)
{
	return p->layers[at.layer].top.edges[at.edge].colour != C4_UNCOLOURED;
}

/* How many found no way under the limit. */
static uint32_t insert_rest(struct group *g, struct c4_place *p, const uint32_t *edge,
			    uint32_t layer, bool force)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t id = g->edges[i].id;
		struct c4_placed at = {layer, edge[id]};

		if (g->layer[id] != layer || placed(p, at))
			continue;
		if (c4_place_insert(p, at, CHAIN_BUDGET))
			left += !force || c4_place_force(p, at);
		p->n_touched = 0;
	}
	return left;
}

/* Larger QPs first: smaller ones find room between them. */
static void order_layers(const struct group *g, uint32_t *order)
{
	for (uint32_t i = 0; i < g->n_layers; i++) {
		uint32_t at = i;

		for (; at && g->size[order[at - 1]] < g->size[i]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

static void place_layer(struct group *g, struct c4_place *p, const uint32_t *edge, uint32_t layer)
{
	put_first(g, p, edge, layer);
	for (int raises = 0;; raises++) {
		double next;

		if (!insert_rest(g, p, edge, layer, raises == RAISES_MAX))
			return;
		next = c4_place_next_util(p);
		if (raises == RAISES_MAX || !isfinite(next))
			return;
		c4_place_set_util(p, next);
	}
}

static void write_placed(struct group *g, const struct c4_place *p, const uint32_t *edge)
{
	for (uint32_t i = 0; i < g->n; i++)
		c4_place_route(p, (struct c4_placed){g->layer[i], edge[i]},
			       &g->plan->routes[g->route[i]]);
}

static int plan_repaired(struct group *g, double util)
{
	uint32_t *edge = malloc((g->n + 1) * sizeof *edge), order[C4_PLACE_LAYERS_MAX];
	struct c4_place p;
	int rc = edge ? colour_spines(g, g->edges, g->n) : -ENOMEM;

	c4_place_init(&p, &g->net);
	if (!rc)
		rc = add_all(g, &p, edge);
	if (!rc) {
		order_layers(g, order);
		c4_place_set_util(&p, util);
		for (uint32_t i = 0; i < g->n_layers; i++)
			place_layer(g, &p, edge, order[i]);
		write_placed(g, &p, edge);
	}
	c4_place_release(&p);
	free(edge);
	return rc;
}

/* ---- all nets -------------------------------------------------------------------------------- */

static int plan_group(struct group *g)
{
	struct c4_bound_input in = {g->edges, g->n, g->layer, g->size, g->n_layers};
	struct c4_bound bound;
	int rc = c4_bound_net(&g->net, &in, &bound);

	if (rc)
		return rc;
	g->plan->lower_bound = fmax(g->plan->lower_bound, bound.load);
	g->plan->util_bound = fmax(g->plan->util_bound, bound.util);
	if (g->n_layers == 1 && !g->opts->previous && c4_net_uniform(&g->net))
		return plan_exact(g);
	return plan_repaired(g, bound.util);
}

static int plan_net(const struct c4_fabric *f, const struct c4_demand *d,
		    const struct c4_assign_opts *o, struct c4_plan *p, uint32_t index, uint32_t qps,
		    uint32_t *local, struct c4_fault *fault)
{
	struct group g = {.f = f, .opts = o, .plan = p};
	int rc = c4_net_init(&g.net, f, index, local, fault);

	if (rc)
		return rc;
	rc = group_init(&g, qps);
	if (!rc)
		collect(&g, d, index, local);
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
		enum c4_route_state state = plain_state(f, c);

		set_state(p, c, state);
		if (state == C4_ROUTE_NONE)
			qps[net_of(f, c->src)] += c->qps;
	}
}

static int measure(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p)
{
	double *load = malloc((2 * (size_t)f->n_links + 1) * sizeof *load);

	if (!load)
		return -ENOMEM;
	c4_spread(f, d, p, load);
	c4_plan_measure(f, d, p, load);
	free(load);
	return 0;
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
	return rc ? rc : measure(f, d, p);
}
