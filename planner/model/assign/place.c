// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/place.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/ds/vec.h"
#include "planner/model/assign/place_caps.h"

/* Entries in a log of a QP that is taken up or put down: two, and some for care. */
#define CHANGES_OF_ONE 4u

/* ---- life ------------------------------------------------------------------------------------ */

void c4_place_init(struct c4_place *p, const struct c4_net *net)
{
	*p = (struct c4_place){.net = net};
}

static void layer_release(struct c4_place_layer *l)
{
	c4_kempe_release(&l->top);
	c4_kempe_release(&l->over);
	free(l->route);
}

void c4_place_release(struct c4_place *p)
{
	for (uint32_t i = 0; i < p->n_layers; i++)
		layer_release(&p->layers[i]);
	free(p->touched);
	*p = (struct c4_place){0};
}

static uint32_t nearest_layer(const struct c4_place *p, double unit)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < p->n_layers; i++)
		if (c4_place_rounds_better(unit, p->layers[best].unit, p->layers[i].unit))
			best = i;
	return best;
}

int64_t c4_place_layer(struct c4_place *p, double unit)
{
	const struct c4_net *n = p->net;
	uint32_t spines = n->n_pods * n->colours;
	struct c4_place_layer *l = &p->layers[p->n_layers];

	for (uint32_t i = 0; i < p->n_layers; i++)
		if (c4_place_same_size(p->layers[i].unit, unit))
			return i;
	for (uint32_t i = 0; i < p->n_layers; i++)
		if (p->layers[i].unit <= 0) { /* retired */
			p->layers[i].unit = unit;
			c4_place_recap_layer(p, i);
			return i;
		}
	if (p->n_layers == C4_PLACE_LAYERS_MAX)
		return nearest_layer(p, unit);
	*l = (struct c4_place_layer){.unit = unit};
	if (c4_kempe_init(&l->top, n->n_leaves, n->n_leaves, n->colours))
		return -ENOMEM;
	if (c4_kempe_init(&l->over, n->cores ? spines : 0, n->cores ? spines : 0, n->cores)) {
		layer_release(l);
		return -ENOMEM;
	}
	c4_place_recap_layer(p, p->n_layers);
	return p->n_layers++;
}

void c4_place_retire(struct c4_place *p, uint32_t layer)
{
	p->layers[layer].unit = 0;
}

static int reserve_routes(struct c4_place_layer *l, uint32_t n)
{
	uint32_t *grown =
		c4_vec_reserve_tight(l->route, &l->cap_route, n, UINT32_MAX - 1, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	l->route = grown;
	return 0;
}

static int reserve_touched(struct c4_place *p, uint32_t n)
{
	struct c4_placed *grown = c4_vec_reserve(p->touched, &p->cap_touched, p->n_touched + n,
						 UINT32_MAX, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	p->touched = grown;
	return 0;
}

/* What changes a single QP then finds its memory there. */
static int reserve_changes(struct c4_place *p, struct c4_place_layer *l)
{
	int rc = c4_kempe_reserve_log(&l->top, CHANGES_OF_ONE);

	if (!rc && p->net->cores)
		rc = c4_kempe_reserve_log(&l->over, CHANGES_OF_ONE);
	return rc ? rc : reserve_touched(p, 2 * CHANGES_OF_ONE);
}

int c4_place_reserve(struct c4_place *p, uint32_t layer, uint32_t n)
{
	struct c4_place_layer *l = &p->layers[layer];
	int rc = c4_kempe_reserve(&l->top, n);

	if (!rc && p->net->cores)
		rc = c4_kempe_reserve(&l->over, n);
	if (!rc)
		rc = reserve_changes(p, l);
	return rc ? rc : reserve_routes(l, n);
}

static bool crosses(const struct c4_place *p, const struct c4_kempe_edge *e)
{
	return p->net->pod[e->end[0]] != p->net->pod[e->end[1]];
}

/* Both colourings give out and take back numbers in the same order. */
int64_t c4_place_add(struct c4_place *p, uint32_t layer, uint32_t from, uint32_t to, uint32_t route)
{
	struct c4_place_layer *l = &p->layers[layer];
	int64_t e;

	if (c4_place_reserve(p, layer, l->top.n_edges + 1))
		return -ENOMEM;
	e = c4_kempe_add(&l->top, from, to);
	if (p->net->cores)
		c4_kempe_add(&l->over, 0, 0);
	l->route[e] = route;
	return e;
}

/* ---- what changed ---------------------------------------------------------------------------- */

static void touch(struct c4_place *p, uint32_t layer, uint32_t edge)
{
	if (!reserve_touched(p, 1))
		p->touched[p->n_touched++] = (struct c4_placed){layer, edge};
}

static void settle_log(struct c4_place *p, uint32_t layer, bool over)
{
	struct c4_kempe *k = over ? &p->layers[layer].over : &p->layers[layer].top;

	for (uint32_t i = 0; i < k->n_log; i++) {
		c4_place_recap_others(p, layer, k, over, &k->log[i]);
		touch(p, layer, k->log[i].edge);
	}
	c4_kempe_mark(k);
}

/* The core with the smallest share of its links in use, dead ones excepted, and this share with the
 * QP on it: infinite when there is none. */
static uint32_t emptiest_core(const struct c4_place *p, const struct c4_place_layer *l, uint32_t e,
			      double *ret_util)
{
	const struct c4_kempe *k = &l->over;
	uint32_t best = C4_NONE;
	double least = INFINITY;

	for (uint32_t c = 0; c < k->colours; c++) {
		double worst = 0;

		for (int side = 0; side < 2; side++) {
			uint64_t at = (uint64_t)k->edges[e].end[side] * k->colours + c;
			double rate = c4_bundle_rate(p->net, &p->net->over[at]);
			double load = l->unit * (k->load[side][at] + 1) +
				      c4_place_others(p, (uint32_t)(l - p->layers), true, side, at);

			worst = fmax(worst, rate > 0 ? load / rate : INFINITY);
		}
		if (worst < least) {
			least = worst;
			best = c;
		}
	}
	*ret_util = least;
	return best;
}

/* Which spines the QP joins, from the colour it has in the first half. */
static void rejoin(const struct c4_place *p, struct c4_place_layer *l, uint32_t e, uint32_t colour)
{
	const uint16_t *end = l->top.edges[e].end;

	c4_kempe_rejoin(&l->over, e, p->net->pod[end[0]] * p->net->colours + colour,
			p->net->pod[end[1]] * p->net->colours + colour);
}

/* The second half of a way between pods: a core for the spines that the first half chose. */
static int join_core(struct c4_place *p, uint32_t layer, uint32_t e, uint32_t budget, bool force)
{
	struct c4_place_layer *l = &p->layers[layer];
	uint32_t core;
	double util;
	int rc;

	rejoin(p, l, e, l->top.edges[e].colour);
	if (c4_kempe_reserve_log(&l->over, 1))
		return -ENOMEM;
	rc = c4_kempe_insert(&l->over, e, budget);
	if (!rc || !force)
		return rc;
	core = emptiest_core(p, l, e, &util);
	if (core == C4_NONE)
		return -ENOSPC;
	c4_kempe_paint(&l->over, e, (uint16_t)core);
	return 0;
}

/* A QP goes back to the spines it had before its core is given back to it. */
static void undo_both(struct c4_place *p, struct c4_place_layer *l)
{
	c4_kempe_undo(&l->top);
	while (l->over.n_log) {
		const struct c4_kempe_change *c = &l->over.log[l->over.n_log - 1];

		if (c->to == C4_UNCOLOURED)
			rejoin(p, l, c->edge, l->top.edges[c->edge].colour);
		c4_kempe_undo_last(&l->over);
	}
}

static uint32_t less(uint32_t budget, uint32_t spent)
{
	return budget > spent ? budget - spent : 0;
}

/*
 * Those of the changed QPs that leave their pod use other spines now and need cores again: within
 * the limit unless forced. The budget is for both halves.
 */
static int settle_cores(struct c4_place *p, struct c4_placed at, uint32_t budget, bool force)
{
	struct c4_place_layer *l = &p->layers[at.layer];
	uint32_t left = less(budget, less(l->top.n_log, 1));
	int rc = c4_kempe_reserve_log(&l->over, l->top.n_log);

	for (uint32_t i = 0; i < l->top.n_log && !rc; i++)
		c4_kempe_paint(&l->over, l->top.log[i].edge, C4_UNCOLOURED);
	for (uint32_t i = 0; i < l->top.n_log && !rc; i++) {
		uint32_t e = l->top.log[i].edge, before = l->over.n_log;

		if (!crosses(p, &l->top.edges[e]) || l->top.edges[e].colour == C4_UNCOLOURED ||
		    l->over.edges[e].colour != C4_UNCOLOURED)
			continue;
		rc = join_core(p, at.layer, e, left, force);
		left = less(left, less(l->over.n_log, before + 1));
	}
	return rc;
}

/* Makes a change of the top colouring whole. Not 0: no room or no memory, all is as it was. */
static int settle(struct c4_place *p, struct c4_placed at, uint32_t budget, bool force)
{
	struct c4_place_layer *l = &p->layers[at.layer];
	int rc = p->net->cores ? settle_cores(p, at, budget, force) : 0;

	if (!rc)
		rc = reserve_touched(p, l->top.n_log + l->over.n_log);
	if (rc) {
		undo_both(p, l);
		return rc;
	}
	settle_log(p, at.layer, true);
	settle_log(p, at.layer, false);
	return 0;
}

/* ---- placing --------------------------------------------------------------------------------- */

void c4_place_lift(struct c4_place *p, struct c4_placed at)
{
	c4_kempe_paint(&p->layers[at.layer].top, at.edge, C4_UNCOLOURED);
	settle(p, at, 0, true);
}

void c4_place_remove(struct c4_place *p, struct c4_placed at)
{
	uint32_t touched = p->n_touched;

	c4_place_lift(p, at);
	p->n_touched = touched;
	c4_kempe_remove(&p->layers[at.layer].top, at.edge);
	if (p->net->cores)
		c4_kempe_remove(&p->layers[at.layer].over, at.edge);
}

static bool has_room(const struct c4_kempe *k, uint32_t e, uint32_t colour)
{
	for (int side = 0; side < 2; side++) {
		uint64_t at = (uint64_t)k->edges[e].end[side] * k->colours + colour;

		if (k->load[side][at] >= k->cap[side][at])
			return false;
	}
	return true;
}

/* The links of both ends at this colour are alive. */
static bool lives(const struct c4_net *n, const struct c4_bundle *all, const struct c4_kempe *k,
		  uint32_t e, uint32_t colour)
{
	const uint16_t *end = k->edges[e].end;

	return c4_bundle_rate(n, &all[(uint64_t)end[0] * k->colours + colour]) > 0 &&
	       c4_bundle_rate(n, &all[(uint64_t)end[1] * k->colours + colour]) > 0;
}

static bool may_take(const struct c4_place *p, const struct c4_kempe *k, bool over, uint32_t e,
		     uint32_t colour, bool within)
{
	if (colour >= k->colours)
		return false;
	return within ? has_room(k, e, colour)
		      : lives(p->net, over ? p->net->over : p->net->up, k, e, colour);
}

static int put(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t core, bool within)
{
	struct c4_place_layer *l = &p->layers[at.layer];

	if (!may_take(p, &l->top, false, at.edge, colour, within))
		return -ENOSPC;
	if (crosses(p, &l->top.edges[at.edge])) {
		rejoin(p, l, at.edge, colour);
		if (!may_take(p, &l->over, true, at.edge, core, within))
			return -ENOSPC;
		c4_kempe_paint(&l->over, at.edge, (uint16_t)core);
		settle_log(p, at.layer, true);
	}
	c4_kempe_paint(&l->top, at.edge, (uint16_t)colour);
	settle_log(p, at.layer, false);
	return 0;
}

int c4_place_put(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t core)
{
	return put(p, at, colour, core, true);
}

int c4_place_keep(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t core)
{
	return put(p, at, colour, core, false);
}

/* Every spine with room whose cores have room too: the chain chose one whose cores are full. */
static int insert_elsewhere(struct c4_place *p, struct c4_placed at, uint32_t budget)
{
	struct c4_place_layer *l = &p->layers[at.layer];

	for (uint32_t c = 0; c < l->top.colours; c++) {
		if (!has_room(&l->top, at.edge, c))
			continue;
		c4_kempe_paint(&l->top, at.edge, (uint16_t)c);
		if (!settle(p, at, budget, false))
			return 0;
	}
	return -ENOSPC;
}

int c4_place_insert(struct c4_place *p, struct c4_placed at, uint32_t budget)
{
	struct c4_place_layer *l = &p->layers[at.layer];
	int rc = c4_kempe_insert(&l->top, at.edge, budget);

	if (!rc)
		rc = settle(p, at, budget, false);
	return rc && p->net->cores ? insert_elsewhere(p, at, budget) : rc;
}

int c4_place_insert_as(struct c4_place *p, struct c4_placed at, uint32_t colour, uint32_t budget)
{
	int rc = c4_kempe_insert_as(&p->layers[at.layer].top, at.edge, (uint16_t)colour, budget);

	return rc ? rc : settle(p, at, budget, false);
}

/* The fullest link of the QP's way by this spine and the best core for it, with the QP on it. */
static double util_with(const struct c4_place *p, struct c4_place_layer *l, uint32_t e,
			uint32_t colour)
{
	const struct c4_kempe *k = &l->top;
	double worst = 0;

	if (crosses(p, &k->edges[e])) {
		rejoin(p, l, e, colour);
		emptiest_core(p, l, e, &worst);
	}
	for (int side = 0; side < 2; side++) {
		uint64_t at = (uint64_t)k->edges[e].end[side] * k->colours + colour;
		double rate = c4_bundle_rate(p->net, &p->net->up[at]);
		double load = l->unit * (k->load[side][at] + 1) +
			      c4_place_others(p, (uint32_t)(l - p->layers), false, side, at);

		worst = fmax(worst, rate > 0 ? load / rate : INFINITY);
	}
	return worst;
}

int c4_place_force(struct c4_place *p, struct c4_placed at)
{
	struct c4_place_layer *l = &p->layers[at.layer];
	uint32_t best = C4_NONE;
	double least = INFINITY;

	for (uint32_t c = 0; c < l->top.colours; c++) {
		double util = util_with(p, l, at.edge, c);

		if (util < least) {
			least = util;
			best = c;
		}
	}
	if (best == C4_NONE)
		return -ENOSPC;
	c4_kempe_paint(&l->top, at.edge, (uint16_t)best);
	return settle(p, at, 0, true);
}

void c4_place_route(const struct c4_place *p, struct c4_placed at, struct c4_route *r)
{
	const struct c4_net *n = p->net;
	const struct c4_place_layer *l = &p->layers[at.layer];
	const struct c4_kempe_edge *e = &l->top.edges[at.edge];

	if (e->colour == C4_UNCOLOURED) {
		r->state = C4_ROUTE_NO_PATH;
		r->up = r->core = r->down = 0;
		return;
	}
	r->up = (uint16_t)n->spine[n->pod[e->end[0]] * n->colours + e->colour];
	r->down = (uint16_t)n->spine[n->pod[e->end[1]] * n->colours + e->colour];
	r->core = 0;
	r->state = C4_ROUTE_SPINE;
	if (crosses(p, e)) {
		r->state = C4_ROUTE_CORE;
		r->core = (uint16_t)n->core[(uint64_t)e->colour * n->cores +
					    l->over.edges[at.edge].colour];
	}
}
