// SPDX-License-Identifier: BSD-3-Clause
/* Dead, weak or unequal links, unequal QPs, or a previous plan: what fits stays, chains do the
 * rest. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "planner/model/assign/assign_group.h"
#include "planner/model/assign/squeeze.h"

/* Moves that one QP may cause, and how the limit is raised before force. */
#define CHAIN_BUDGET   4096
#define SQUEEZE_BUDGET 256
#define SINGLE_RAISES  8
#define RAISE	       1.05
#define RAISES_MAX     200

/* The way a QP had in the previous plan. False when it had none. */
static bool previous_way(const struct c4_group *g, const struct c4_colour_edge *e,
			 uint32_t *ret_colour, uint32_t *ret_core)
{
	const struct c4_net *n = &g->net;
	const struct c4_plan *old = g->opts->previous;
	const struct c4_route *r = &old->routes[g->route[e->id]];

	if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
		return false;
	*ret_colour = c4_net_colour(n, n->pod[e->end[0]], r->up);
	*ret_core = 0;
	if (r->state == C4_ROUTE_CORE && *ret_colour != C4_NONE)
		*ret_core = c4_net_core(n, *ret_colour, r->core);
	return *ret_colour != C4_NONE;
}

/* Edge of the place for each of the group's, in its order of ids. */
static int add_all(struct c4_group *g, struct c4_place *p, uint32_t *edge)
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
static void put_first(struct c4_group *g, struct c4_place *p, const uint32_t *edge, uint32_t layer)
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
static uint32_t insert_rest(struct c4_group *g, struct c4_place *p, const uint32_t *edge,
			    uint32_t layer, bool force)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t id = g->edges[i].id;
		struct c4_placed at = {layer, edge[id]};

		if (g->layer[id] != layer || placed(p, at))
			continue;
		if (c4_place_insert(p, at, CHAIN_BUDGET) && c4_squeeze(p, at, SQUEEZE_BUDGET))
			left += !force || c4_place_force(p, at);
		p->n_touched = 0;
	}
	return left;
}

/* Larger QPs first: smaller ones find room between them. */
static void order_layers(const struct c4_group *g, uint32_t *order)
{
	for (uint32_t i = 0; i < g->n_layers; i++) {
		uint32_t at = i;

		for (; at && g->size[order[at - 1]] < g->size[i]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}

/* A limit to try when this one is too low: single steps first, then larger ones. */
static double next_limit(const struct c4_place *p, int raises)
{
	double next = c4_place_next_util(p);

	return raises < SINGLE_RAISES ? next : fmax(next, p->util * RAISE);
}

static void place_layer(struct c4_group *g, struct c4_place *p, const uint32_t *edge,
			uint32_t layer)
{
	put_first(g, p, edge, layer);
	for (int raises = 0;; raises++) {
		double next = next_limit(p, raises);
		bool last = raises == RAISES_MAX || !isfinite(next);

		if (!insert_rest(g, p, edge, layer, last) || last)
			return;
		c4_place_set_util(p, next);
	}
}

static void write_placed(struct c4_group *g, const struct c4_place *p, const uint32_t *edge)
{
	for (uint32_t i = 0; i < g->n; i++)
		c4_place_route(p, (struct c4_placed){g->layer[i], edge[i]},
			       &g->plan->routes[g->route[i]]);
}

/* *ret_util: the limit that was needed in the end. */
static int place_all(struct c4_group *g, double util, double *ret_util)
{
	uint32_t *edge = malloc((g->n + 1) * sizeof *edge), order[C4_PLACE_LAYERS_MAX];
	struct c4_place p;
	int rc = edge ? 0 : -ENOMEM;

	c4_place_init(&p, &g->net);
	if (!rc)
		rc = add_all(g, &p, edge);
	if (!rc) {
		order_layers(g, order);
		c4_place_set_util(&p, util);
		for (uint32_t i = 0; i < g->n_layers; i++)
			place_layer(g, &p, edge, order[i]);
		write_placed(g, &p, edge);
		*ret_util = p.util;
	}
	c4_place_release(&p);
	free(edge);
	return rc;
}

/*
 * A limit that was tried in vain has moved QPs in vain: with a previous plan once more at the limit
 * that was needed, unless keeping so much needs a higher one.
 */
int c4_group_repair(struct c4_group *g, double util)
{
	double first, second;
	int rc = g->opts->previous ? 0 : c4_group_colour(g);

	if (!rc)
		rc = place_all(g, util, &first);
	if (rc || !g->opts->previous || first <= util)
		return rc;
	rc = place_all(g, first, &second);
	return rc || second <= first ? rc : place_all(g, util, &first);
}
