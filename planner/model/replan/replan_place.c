// SPDX-License-Identifier: BSD-3-Clause
/* The part of replan.h that all events share: a QP's route, its links, its backup, and the moves.
 */
#include <math.h>

#include "common/ds/vec.h"
#include "planner/model/replan/replan_live.h"
#include "planner/model/assign/spread.h"

#define MOVES_KEPT (1u << 22)

/* ---- routes ---------------------------------------------------------------------------------- */

static struct c4_conn as_conn(const struct c4_live_conn *c)
{
	return (struct c4_conn){.src = c->src, .dst = c->dst, .weight = c->weight, .qps = c->qps};
}

static void remember_move(struct c4_replan *r, uint32_t qp, const struct c4_route *from,
			  enum c4_move_reason reason, uint32_t cause)
{
	const struct c4_live_qp *q = &r->qps[qp];
	struct c4_move *grown =
		c4_vec_reserve(r->moves, &r->cap_moves, r->n_moves + 1, MOVES_KEPT, sizeof *grown);

	r->stats.moves[reason]++;
	if (!grown)
		return;
	r->moves = grown;
	grown[r->n_moves++] = (struct c4_move){
		.conn = q->conn,
		.qp = (uint16_t)(qp - r->conns[q->conn].first),
		.reason = (uint8_t)reason,
		.cause = cause,
		.from = *from,
		.to = q->route,
	};
}

/* The QPs of an uplink take the other spines in turn; each leaf begins with another one, so that
 * those of a downlink, which come from many leaves, do not all take the same. */
static void choose_backup(struct c4_live_net *n, struct c4_live_qp *q)
{
	const struct c4_kempe_edge *e = &n->place.layers[q->layer].top.edges[q->edge];
	uint32_t colours = n->net.colours, turn;

	q->backup = C4_UNCOLOURED;
	if (e->colour == C4_UNCOLOURED || colours < 2)
		return;
	turn = e->end[0] + n->next_backup[e->end[0] * colours + e->colour]++;
	for (uint32_t i = 0; i < colours - 1 && q->backup == C4_UNCOLOURED; i++) {
		uint32_t c = (e->colour + 1 + (turn + i) % (colours - 1)) % colours;

		if (c4_net_joined_by(&n->net, e->end[0], e->end[1], c))
			q->backup = (uint16_t)c;
	}
}

static bool same_way(const struct c4_route *a, const struct c4_route *b)
{
	return a->state == b->state && a->up == b->up && a->core == b->core && a->down == b->down;
}

static bool same_links(const struct c4_route *a, const struct c4_route *b)
{
	return same_way(a, b) && a->parallel_up == b->parallel_up &&
	       a->parallel_down == b->parallel_down && a->parallel_core == b->parallel_core;
}

static void uncount(struct c4_replan *r, struct c4_live_qp *q, const struct c4_route *route)
{
	struct c4_conn c = as_conn(&r->conns[q->conn]);

	if (q->counted)
		c4_spread_drop(r->f, &c, route, r->load);
	q->counted = 0;
}

/* `keep`: by the same parallel links as before, if they are alive. */
static void count(struct c4_replan *r, struct c4_live_qp *q, bool keep)
{
	struct c4_conn c = as_conn(&r->conns[q->conn]);

	if (!keep || !c4_spread_keep(r->f, &c, &q->route, r->load))
		c4_spread_route(r->f, &c, &q->route, r->load);
	q->counted = 1;
}

void c4_live_update(struct c4_replan *r, struct c4_live_net *n, uint32_t qp,
		    enum c4_move_reason reason, uint32_t cause, bool arriving)
{
	struct c4_live_qp *q = &r->qps[qp];
	struct c4_route from = q->route;

	c4_place_route(&n->place, (struct c4_placed){q->layer, q->edge}, &q->route);
	if (same_way(&from, &q->route) && q->counted)
		return;
	r->stats.unplaced +=
		(q->route.state == C4_ROUTE_NO_PATH) - (from.state == C4_ROUTE_NO_PATH);
	uncount(r, q, &from);
	count(r, q, same_way(&from, &q->route));
	if (!same_way(&from, &q->route) || q->backup == C4_UNCOLOURED)
		choose_backup(n, q);
	if (same_links(&from, &q->route))
		return;
	q->route.sport = 0;
	if (!arriving)
		remember_move(r, qp, &from, reason, cause);
}

bool c4_live_crosses(const struct c4_replan *r, uint32_t qp, uint32_t link)
{
	struct c4_conn c = as_conn(&r->conns[r->qps[qp].conn]);
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(r->f, &c, &r->qps[qp].route, hops);

	for (int i = 0; i < n; i++)
		if (hops[i].link == link)
			return true;
	return false;
}

bool c4_live_reselect(struct c4_replan *r, uint32_t qp, uint32_t link, enum c4_move_reason reason,
		      uint32_t cause)
{
	struct c4_live_qp *q = &r->qps[qp];
	struct c4_route from = q->route;

	uncount(r, q, &from);
	count(r, q, false);
	if (c4_live_crosses(r, qp, link)) {
		uncount(r, q, &q->route);
		q->route = from;
		count(r, q, true);
		return false;
	}
	q->route.sport = 0;
	remember_move(r, qp, &from, reason, cause);
	return true;
}

/* ---- placing --------------------------------------------------------------------------------- */

static double leaf_need(const struct c4_live_net *n, int side, uint32_t leaf)
{
	double size[C4_PLACE_LAYERS_MAX];

	for (uint32_t i = 0; i < n->place.n_layers; i++)
		size[i] = n->place.layers[i].unit;
	return c4_bound_links(&n->net, c4_net_up(&n->net, leaf, 0), n->net.colours, size,
			      &n->count[side][leaf * C4_PLACE_LAYERS_MAX], n->place.n_layers);
}

void c4_live_raise(struct c4_live_net *n, uint32_t leaf)
{
	double need = fmax(leaf_need(n, 0, leaf), leaf_need(n, 1, leaf));

	if (need > n->place.util * (1 + 1e-9))
		c4_place_set_util(&n->place, need);
}

double c4_live_need(const struct c4_replan *r, const struct c4_live_net *n)
{
	double need = r->o.full;

	for (uint32_t leaf = 0; leaf < n->net.n_leaves; leaf++)
		need = fmax(need, fmax(leaf_need(n, 0, leaf), leaf_need(n, 1, leaf)));
	return need;
}

void c4_live_tell(struct c4_replan *r, struct c4_live_net *n, uint32_t qp, struct c4_live_event *e)
{
	struct c4_place *p = &n->place;

	for (uint32_t i = 0; i < p->n_touched; i++) {
		const struct c4_placed *t = &p->touched[i];
		uint32_t other = p->layers[t->layer].route[t->edge];
		bool own = other == qp;
		/* nobody has heard of the other QPs of a connection that comes, either */
		bool fresh = e->own == C4_MOVE_ARRIVAL && r->qps[other].conn == e->cause;
		uint64_t before = r->stats.moves[e->others];

		c4_live_update(r, n, other, own ? e->own : e->others, e->cause,
			       fresh || (own && e->arriving));
		if (!own && r->stats.moves[e->others] != before && e->budget)
			e->budget--;
	}
	p->n_touched = 0;
}

/* The backup, or when it has died since it was chosen some other spine, not the same for all. */
static uint32_t backup_colour(const struct c4_live_net *n, const struct c4_live_qp *q, uint32_t qp)
{
	const struct c4_kempe_edge *e = &n->place.layers[q->layer].top.edges[q->edge];
	uint32_t colours = n->net.colours;

	if (q->backup != C4_UNCOLOURED &&
	    c4_net_joined_by(&n->net, e->end[0], e->end[1], q->backup))
		return q->backup;
	for (uint32_t i = 0; i < colours; i++) {
		uint32_t c = (qp + i) % colours;

		if (c != e->colour && c4_net_joined_by(&n->net, e->end[0], e->end[1], c))
			return c;
	}
	return C4_UNCOLOURED;
}

/* A live core for the backup, another one for each QP. */
static uint32_t backup_core(const struct c4_live_net *n, const struct c4_live_qp *q, uint32_t qp,
			    uint32_t colour)
{
	const struct c4_net *net = &n->net;
	const uint16_t *end = n->place.layers[q->layer].top.edges[q->edge].end;

	for (uint32_t i = 0; i < net->cores; i++) {
		uint32_t core = (qp + i) % net->cores;

		if (c4_bundle_rate(net, c4_net_over(net, net->pod[end[0]], colour, core)) > 0 &&
		    c4_bundle_rate(net, c4_net_over(net, net->pod[end[1]], colour, core)) > 0)
			return core;
	}
	return 0;
}

static bool try_backup(struct c4_live_net *n, const struct c4_live_qp *q, uint32_t qp)
{
	uint32_t colour = backup_colour(n, q, qp);

	return colour != C4_UNCOLOURED &&
	       !c4_place_put(&n->place, (struct c4_placed){q->layer, q->edge}, colour,
			     backup_core(n, q, qp, colour));
}

void c4_live_place(struct c4_replan *r, struct c4_live_net *n, uint32_t qp, bool backup,
		   struct c4_live_event *e)
{
	const struct c4_live_qp *q = &r->qps[qp];
	struct c4_placed at = {q->layer, q->edge};
	const uint16_t *end = n->place.layers[q->layer].top.edges[q->edge].end;
	double util = n->place.util;
	bool done = backup && try_backup(n, q, qp);

	if (!done)
		done = !c4_place_insert(&n->place, at, e->budget);
	if (!done) {
		c4_live_raise(n, end[0]);
		c4_live_raise(n, end[1]);
		done = n->place.util > util && !c4_place_insert(&n->place, at, e->budget);
	}
	if (!done && !c4_place_force(&n->place, at))
		r->stats.forced++;
	c4_live_tell(r, n, qp, e);
	c4_live_update(r, n, qp, e->own, e->cause, e->arriving);
}

void c4_live_lift(struct c4_replan *r, struct c4_live_net *n, uint32_t qp)
{
	struct c4_live_qp *q = &r->qps[qp];

	uncount(r, q, &q->route);
	c4_place_lift(&n->place, (struct c4_placed){q->layer, q->edge});
	n->place.n_touched = 0;
}

/* ---- the backup, told ------------------------------------------------------------------------ */

struct c4_route c4_replan_backup(const struct c4_replan *r, uint32_t conn, uint32_t qp)
{
	uint32_t i = r->conns[conn].first + qp;
	const struct c4_live_qp *q = &r->qps[i];
	struct c4_conn no_load = {.src = r->conns[conn].src, .dst = r->conns[conn].dst};
	struct c4_route route = {.state = C4_ROUTE_NO_PATH, .share = q->route.share};
	const struct c4_live_net *n = &r->nets[r->f->switches[c4_live_leaf(r, no_load.src)].net];
	const struct c4_net *net = &n->net;
	uint32_t colour, from, to;

	if (q->edge == C4_NONE)
		return q->route;
	colour = q->route.state == C4_ROUTE_NO_PATH ? C4_UNCOLOURED : backup_colour(n, q, i);
	if (colour == C4_UNCOLOURED)
		return route;
	from = net->pod[r->local[c4_live_leaf(r, no_load.src)]];
	to = net->pod[r->local[c4_live_leaf(r, no_load.dst)]];
	route.state = q->route.state;
	route.up = (uint16_t)net->spine[from * net->colours + colour];
	route.down = (uint16_t)net->spine[to * net->colours + colour];
	if (route.state == C4_ROUTE_CORE)
		route.core =
			(uint16_t)net->core[colour * net->cores + backup_core(n, q, i, colour)];
	c4_spread_route(r->f, &no_load, &route, r->load); /* weight 0: nothing is counted */
	return route;
}
