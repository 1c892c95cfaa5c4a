// SPDX-License-Identifier: BSD-3-Clause
/* The half of replan.h that is about links: failure, weakness, return, and relief. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/model/replan/replan_live.h"

#define SLACK 1e-6

/* Where a link is in its net. */
struct where {
	struct c4_live_net *n;
	bool over;	 /* spine–core, else leaf–spine */
	uint32_t vertex; /* leaf, or pod * colours + colour */
	uint32_t colour; /* of the vertex's links: spine's position, or core's */
};

/* False for a link that no route takes: a spine that goes nowhere, cores of a single pod. */
static bool find_link(struct c4_replan *r, uint32_t link, struct where *ret)
{
	const struct c4_link *l = &r->f->links[link];
	struct c4_live_net *n = &r->nets[r->f->switches[l->a].net];
	const struct c4_net *net = &n->net;
	uint32_t pod = r->f->switches[l->a].pod;

	*ret = (struct where){.n = n, .over = r->f->switches[l->a].tier == C4_SPINE};
	if (ret->over) {
		uint32_t c = c4_net_colour(net, pod, l->a);

		ret->vertex = pod * net->colours + c;
		ret->colour = c == C4_NONE ? C4_NONE : c4_net_core(net, c, l->b);
	} else {
		ret->vertex = r->local[l->a];
		ret->colour = c4_net_colour(net, pod, l->b);
	}
	return ret->colour != C4_NONE;
}

static const struct c4_kempe *colouring(const struct where *w, uint32_t layer)
{
	const struct c4_place_layer *l = &w->n->place.layers[layer];

	return w->over ? &l->over : &l->top;
}

static const struct c4_bundle *bundle(const struct where *w)
{
	const struct c4_net *net = &w->n->net;

	return w->over ? &net->over[(uint64_t)w->vertex * net->cores + w->colour]
		       : c4_net_up(net, w->vertex, w->colour);
}

static void recap(const struct where *w)
{
	uint32_t colours = w->n->net.colours;

	if (w->over)
		c4_place_recap_over(&w->n->place, w->vertex / colours, w->vertex % colours,
				    w->colour);
	else
		c4_place_recap(&w->n->place, w->vertex, w->colour);
}

static uint64_t place_of(const struct where *w)
{
	return (uint64_t)w->vertex * (w->over ? w->n->net.cores : w->n->net.colours) + w->colour;
}

/* ---- what must leave ------------------------------------------------------------------------- */

/* Room to note every QP of the bundle, so that nothing fails once the link is changed. */
static int reserve_work(struct c4_replan *r, const struct where *w)
{
	uint64_t at = place_of(w), n = 1;
	uint32_t *grown;

	for (uint32_t l = 0; l < w->n->place.n_layers; l++)
		n += (uint64_t)colouring(w, l)->load[0][at] + colouring(w, l)->load[1][at];
	grown = c4_vec_reserve(r->work, &r->cap_work, (uint32_t)n, C4_DEMAND_QPS_MAX * 2,
			       sizeof *grown);
	if (!grown)
		return -ENOMEM;
	r->work = grown;
	return 0;
}

/* Lifts at most `most` QPs of one direction of the bundle, in one layer; returns how many. `link`:
 * only those on it, not on links parallel to it; else C4_NONE. */
static uint32_t lift_some(struct c4_replan *r, const struct where *w, uint32_t layer, int side,
			  uint32_t link, uint32_t most)
{
	const struct c4_kempe *k = colouring(w, layer);
	uint64_t at = place_of(w);
	uint32_t e = k->head[side][at], lifted = 0;

	for (uint32_t i = k->load[side][at]; i && lifted < most; i--) {
		uint32_t qp = w->n->place.layers[layer].route[e];

		e = k->edges[e].next[side];
		if (link != C4_NONE && !c4_live_crosses(r, qp, link))
			continue;
		r->work[r->n_work++] = qp;
		c4_live_lift(r, w->n, qp);
		lifted++;
	}
	return lifted;
}

static uint32_t excess(const struct c4_kempe *k, int side, uint64_t at)
{
	return k->load[side][at] > k->cap[side][at] ? k->load[side][at] - k->cap[side][at] : 0;
}

/* The layer of the smallest QPs larger than `unit`, or C4_NONE. */
static uint32_t next_larger(const struct c4_place *p, double unit)
{
	uint32_t best = C4_NONE;

	for (uint32_t l = 0; l < p->n_layers; l++)
		if (p->layers[l].unit > unit &&
		    (best == C4_NONE || p->layers[l].unit < p->layers[best].unit))
			best = l;
	return best;
}

/*
 * Everything too large for the bundle (on a dead one: all) leaves; then of the rest what is too
 * much, small QPs first: they fit elsewhere more easily. What is lifted makes room for what comes
 * after it.
 */
static void lift_work(struct c4_replan *r, const struct where *w, uint32_t link)
{
	const struct c4_place *p = &w->n->place;

	r->n_work = 0;
	for (uint32_t l = 0; l < p->n_layers; l++)
		for (int side = 0; side < 2; side++)
			if (!c4_bundle_fits(&w->n->net, bundle(w), p->layers[l].unit, p->util))
				lift_some(r, w, l, side, C4_NONE, UINT32_MAX);
	for (uint32_t l = next_larger(p, 0); l != C4_NONE; l = next_larger(p, p->layers[l].unit))
		for (int side = 0; side < 2; side++) {
			uint32_t most = excess(colouring(w, l), side, place_of(w));

			most -= lift_some(r, w, l, side, link, most);
			lift_some(r, w, l, side, C4_NONE, most);
		}
}

/* All are lifted before the first is placed: their room is for all of them. */
static void move_work(struct c4_replan *r, struct c4_live_net *n, struct c4_live_event *e)
{
	for (uint32_t i = 0; i < r->n_work; i++)
		c4_live_place(r, n, r->work[i], true, e);
}

/* ---- a link changes -------------------------------------------------------------------------- */

static void next_epoch(struct c4_replan *r, uint32_t link)
{
	r->f->switches[r->f->links[link].a].epoch++;
	r->f->switches[r->f->links[link].b].epoch++;
}

/* What counting says that the ends of a worse link need now. */
static void raise_for(const struct where *w)
{
	const struct c4_net *net = &w->n->net;

	if (!w->over) {
		c4_live_raise(w->n, w->vertex);
		return;
	}
	for (uint32_t leaf = 0; leaf < net->n_leaves; leaf++)
		if (net->pod[leaf] == w->vertex / net->colours)
			c4_live_raise(w->n, leaf);
}

/* Load that a link may have in one direction. */
static double link_limit(const struct c4_replan *r, const struct c4_live_net *n, uint32_t link)
{
	return n->place.util * (double)r->f->links[link].now_gbps / (double)n->net.rate + SLACK;
}

/* QPs on one of several parallel links that has too much take the others; same way, other link.
 * Returns how many, at most `most`. */
static uint32_t reselect(struct c4_replan *r, const struct where *w, uint32_t link,
			 enum c4_move_reason reason, uint32_t cause, uint32_t most)
{
	double limit = link_limit(r, w->n, link);
	uint32_t moved = 0;

	for (uint32_t l = 0; l < w->n->place.n_layers; l++)
		for (int side = 0; side < 2; side++) {
			const struct c4_kempe *k = colouring(w, l);
			uint64_t at = place_of(w);
			uint32_t e = k->head[side][at];

			for (uint32_t i = 0; i < k->load[side][at] && moved < most &&
					     r->load[2 * (uint64_t)link + side] > limit;
			     i++) {
				uint32_t qp = w->n->place.layers[l].route[e];

				e = k->edges[e].next[side];
				moved += c4_live_crosses(r, qp, link) &&
					 c4_live_reselect(r, qp, link, reason, cause);
			}
		}
	return moved;
}

static int worsen(struct c4_replan *r, uint32_t link, float gbps)
{
	struct c4_live_event e = {
		.own = gbps > 0 ? C4_MOVE_LINK_WEAK : C4_MOVE_LINK_DOWN,
		.others = C4_MOVE_MAKE_ROOM,
		.cause = link,
		.budget = r->o.move_budget,
	};
	struct where w;
	bool used = find_link(r, link, &w);

	if (used && reserve_work(r, &w))
		return -ENOMEM;
	r->f->links[link].now_gbps = gbps;
	if (gbps <= 0)
		next_epoch(r, link);
	if (!used)
		return 0;
	recap(&w);
	raise_for(&w);
	lift_work(r, &w, link);
	move_work(r, w.n, &e);
	if (bundle(&w)->n > 1)
		reselect(r, &w, link, e.own, link, UINT32_MAX);
	return 0;
}

/* QPs that had no path may have one now. */
static void retry_unplaced(struct c4_replan *r, struct c4_live_net *n, uint32_t link)
{
	struct c4_live_event e = {
		.own = C4_MOVE_LINK_DOWN,
		.others = C4_MOVE_MAKE_ROOM,
		.cause = link,
		.budget = r->o.move_budget,
		.arriving = true,
	};

	for (uint32_t q = 0; q < r->n_qps && r->stats.unplaced; q++)
		if (r->qps[q].edge != C4_NONE && r->qps[q].route.state == C4_ROUTE_NO_PATH &&
		    c4_live_net_of(r, &r->conns[r->qps[q].conn]) == n)
			c4_live_place(r, n, q, false, &e);
}

static void improve(struct c4_replan *r, uint32_t link, float gbps)
{
	bool returns = r->f->links[link].now_gbps <= 0;
	struct where w;

	r->f->links[link].now_gbps = gbps;
	if (returns)
		next_epoch(r, link);
	if (!find_link(r, link, &w))
		return;
	recap(&w);
	if (returns)
		retry_unplaced(r, w.n, link);
}

/* ---- news
 * ---------------------------------------------------------------------------------------*/

int c4_replan_link(struct c4_replan *r, uint32_t link, double now_gbps, uint64_t now_ns)
{
	float gbps = (float)now_gbps;
	int rc = 0;

	if (link >= r->f->n_links || !(now_gbps >= 0) || gbps > r->f->links[link].gbps)
		return -EINVAL;
	if (gbps > r->f->links[link].now_gbps)
		return c4_live_hold(r, link, gbps, now_ns);
	if (gbps < r->f->links[link].now_gbps)
		rc = worsen(r, link, gbps);
	else if (!c4_live_unhold(r, link))
		return 0; /* no news */
	c4_live_unhold(r, link);
	if (!rc)
		c4_live_failed(r, link, now_ns);
	return rc;
}

/* ---- relief ---------------------------------------------------------------------------------- */

static double busiest(const struct c4_live_net *n, bool over)
{
	const struct c4_net *net = &n->net;
	uint64_t all = over ? (uint64_t)net->n_pods * net->colours * net->cores
			    : (uint64_t)net->n_leaves * net->colours;
	double most = 0;

	for (uint64_t at = 0; at < all; at++) {
		double rate = c4_bundle_rate(net, over ? &net->over[at] : &net->up[at]);
		double load[2] = {0, 0};

		for (uint32_t l = 0; l < n->place.n_layers; l++) {
			const struct c4_place_layer *layer = &n->place.layers[l];
			const struct c4_kempe *k = over ? &layer->over : &layer->top;

			load[0] += layer->unit * k->load[0][at];
			load[1] += layer->unit * k->load[1][at];
		}
		if (rate > 0)
			most = fmax(most, fmax(load[0], load[1]) / rate);
	}
	return most;
}

/* One QP off a bundle that has too many, onto any way that is not too much for its links. */
static bool relieve_one(struct c4_replan *r, const struct where *w, uint32_t layer, int side,
			struct c4_live_event *e)
{
	const struct c4_kempe *k = colouring(w, layer);
	uint32_t edge = k->head[side][(uint64_t)w->vertex * k->colours + w->colour];
	struct c4_placed at = {layer, edge};
	struct c4_place *p = &w->n->place;
	uint32_t qp = p->layers[layer].route[edge];
	uint32_t colour = p->layers[layer].top.edges[edge].colour;
	uint32_t core = p->net->cores ? p->layers[layer].over.edges[edge].colour : 0;

	c4_live_lift(r, w->n, qp);
	if (c4_place_insert(p, at, e->budget - 1)) { /* it counts itself */
		c4_place_keep(p, at, colour, core);
		p->n_touched = 0;
		c4_live_update(r, w->n, qp, e->own, e->cause, false);
		return false;
	}
	c4_live_tell(r, w->n, qp, e);
	return true;
}

static void relieve(struct c4_replan *r, const struct where *w, struct c4_live_event *e)
{
	for (uint32_t l = 0; l < w->n->place.n_layers; l++)
		for (int side = 0; side < 2; side++) {
			const struct c4_kempe *k = colouring(w, l);
			uint64_t at = (uint64_t)w->vertex * k->colours + w->colour;

			while (excess(k, side, at) && e->budget && relieve_one(r, w, l, side, e))
				e->budget--;
			r->stats.forced += excess(k, side, at);
		}
}

static void relieve_net(struct c4_replan *r, struct c4_live_net *n, struct c4_live_event *e)
{
	const struct c4_net *net = &n->net;

	for (uint32_t v = 0; v < net->n_leaves; v++)
		for (uint32_t c = 0; c < net->colours; c++)
			relieve(r, &(struct where){n, false, v, c}, e);
	for (uint32_t v = 0; v < net->n_pods * net->colours; v++)
		for (uint32_t c = 0; c < net->cores; c++)
			relieve(r, &(struct where){n, true, v, c}, e);
}

/* Parallel links that departures and returns have left uneven. */
static void even_out(struct c4_replan *r, struct c4_live_event *e)
{
	const struct c4_fabric *f = r->f;

	for (uint32_t link = 0; link < f->n_links; link++) {
		double most = fmax(r->load[2 * (uint64_t)link], r->load[2 * (uint64_t)link + 1]);
		struct where w;

		if (most > (double)f->links[link].now_gbps / (double)r->nets->net.rate *
				    (1 + r->o.gain) * r->o.full &&
		    find_link(r, link, &w) && bundle(&w)->n > 1)
			e->budget -= reselect(r, &w, link, e->own, e->cause, e->budget);
	}
}

/* Only where a link is above its rate and the best plan would be better by the hysteresis. What a
 * limit was raised for may have left. */
static void rebalance(struct c4_replan *r, struct c4_live_net *n, struct c4_live_event *e)
{
	double need = c4_live_need(r, n);
	double now = fmax(busiest(n, false), busiest(n, true));

	if (fabs(need - n->place.util) > SLACK)
		c4_place_set_util(&n->place, need);
	if (now > need * (1 + r->o.gain)) /* need: at least full */
		relieve_net(r, n, e);
}

uint32_t c4_replan_tick(struct c4_replan *r, uint64_t now_ns)
{
	struct c4_live_event e = {
		.own = C4_MOVE_REBALANCE,
		.others = C4_MOVE_REBALANCE,
		.cause = C4_NONE,
		.budget = r->o.move_budget,
	};
	uint32_t moves = r->n_moves;
	struct c4_live_hold due;

	while (c4_live_due(r, now_ns, &due))
		improve(r, due.link, due.gbps);
	r->stats.forced = 0;
	for (uint32_t i = 0; i < r->f->n_nets; i++)
		rebalance(r, &r->nets[i], &e);
	even_out(r, &e);
	return r->n_moves - moves;
}

void c4_replan_measure(const struct c4_replan *r, double *ret_load, double *ret_util)
{
	float rate = 0;

	*ret_load = *ret_util = 0;
	for (uint32_t i = 0; i < r->f->n_links; i++)
		rate = fmaxf(rate, r->f->links[i].gbps);
	for (uint32_t i = 0; i < r->f->n_links; i++) {
		double most = fmax(r->load[2 * (uint64_t)i], r->load[2 * (uint64_t)i + 1]);

		*ret_load = fmax(*ret_load, most);
		if (most > 1e-6)
			*ret_util = fmax(*ret_util,
					 most * (double)rate / (double)r->f->links[i].now_gbps);
	}
}
