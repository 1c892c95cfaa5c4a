// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/replan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/model/replan_live.h"
#include "planner/model/spread.h"

#define MOVES_KEPT (1u << 22)

const char *c4_move_reason_name(enum c4_move_reason reason)
{
	static const char *const names[] = {"arrival", "link-down", "link-weak", "make-room",
					    "rebalance"};

	return reason < C4_MOVE_REASONS ? names[reason] : "unknown";
}

static_assert(sizeof(struct c4_live_qp) + sizeof(struct c4_kempe_edge) + 4 == 56,
	      "what replan.h says of memory");

/* ---- life ------------------------------------------------------------------------------------ */

static void net_release(struct c4_live_net *n)
{
	c4_place_release(&n->place);
	c4_net_release(&n->net);
	free(n->count[0]);
	free(n->count[1]);
	free(n->next_backup);
}

static int net_init(struct c4_replan *r, uint32_t index, struct c4_fault *fault)
{
	struct c4_live_net *n = &r->nets[index];
	int rc = c4_net_init(&n->net, r->f, index, r->local, fault);
	size_t leaves;

	if (rc)
		return rc;
	leaves = n->net.n_leaves + 1;
	c4_place_init(&n->place, &n->net);
	c4_place_set_util(&n->place, r->o.full);
	for (int side = 0; side < 2; side++)
		n->count[side] = calloc(leaves * C4_PLACE_LAYERS_MAX, sizeof *n->count[side]);
	n->next_backup = calloc(leaves * (n->net.colours + 1), sizeof *n->next_backup);
	return n->count[0] && n->count[1] && n->next_backup ? 0 : -ENOMEM;
}

static void set_defaults(struct c4_replan_opts *o)
{
	o->move_budget = o->move_budget ? o->move_budget : 256;
	o->full = o->full > 0 ? o->full : 1.0;
	o->gain = o->gain > 0 ? o->gain : 0.05;
	o->hold_ns = o->hold_ns ? o->hold_ns : 30ull * 1000000000;
}

int c4_replan_new(struct c4_replan **ret, struct c4_fabric *f, const struct c4_replan_opts *o,
		  struct c4_fault *fault)
{
	struct c4_replan *r = calloc(1, sizeof *r);
	int rc = 0;

	if (!r)
		return -ENOMEM;
	r->f = f;
	r->o = o ? *o : (struct c4_replan_opts){0};
	set_defaults(&r->o);
	r->free_conn = C4_NONE;
	memset(r->free_run, 0xff, sizeof r->free_run);
	r->nets = calloc(f->n_nets + 1, sizeof *r->nets);
	r->local = malloc((f->n_switches + 1) * sizeof *r->local);
	r->load = calloc(2 * (size_t)f->n_links + 1, sizeof *r->load);
	if (!r->nets || !r->local || !r->load)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < f->n_nets && !rc; i++)
		rc = net_init(r, i, fault);
	if (rc)
		c4_replan_free(r);
	else
		*ret = r;
	return rc;
}

void c4_replan_free(struct c4_replan *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; r->nets && i < r->f->n_nets; i++)
		net_release(&r->nets[i]);
	free(r->nets);
	free(r->local);
	free(r->load);
	free(r->conns);
	free(r->qps);
	free(r->holds);
	free(r->flaps);
	free(r->moves);
	free(r->work);
	free(r);
}

/* ---- handles --------------------------------------------------------------------------------- */

static int64_t take_conn(struct c4_replan *r)
{
	uint32_t i = r->free_conn;
	struct c4_live_conn *grown;

	if (i != C4_NONE) {
		r->free_conn = r->conns[i].dst;
		return i;
	}
	if (r->n_conns == C4_DEMAND_CONNS_MAX)
		return -E2BIG;
	grown = c4_vec_reserve_tight(r->conns, &r->cap_conns, r->n_conns + 1, C4_DEMAND_CONNS_MAX,
				     sizeof *grown);
	if (!grown)
		return -ENOMEM;
	r->conns = grown;
	return r->n_conns++;
}

static void give_conn(struct c4_replan *r, uint32_t i)
{
	r->conns[i] = (struct c4_live_conn){.src = C4_NONE, .dst = r->free_conn};
	r->free_conn = i;
}

/* QPs of a connection are neighbours. Runs given back are used again for the same number. */
static int64_t take_run(struct c4_replan *r, uint32_t n)
{
	uint32_t first = r->free_run[n];
	struct c4_live_qp *grown;

	if (first != C4_NONE) {
		r->free_run[n] = r->qps[first].conn;
		return first;
	}
	if (n > C4_DEMAND_QPS_MAX - r->n_qps)
		return -E2BIG;
	grown = c4_vec_reserve_tight(r->qps, &r->cap_qps, r->n_qps + n, C4_DEMAND_QPS_MAX,
				     sizeof *grown);
	if (!grown)
		return -ENOMEM;
	r->qps = grown;
	first = r->n_qps;
	r->n_qps += n;
	return first;
}

static void give_run(struct c4_replan *r, uint32_t first, uint32_t n)
{
	for (uint32_t i = first; i < first + n; i++)
		r->qps[i].edge = C4_NONE;
	r->qps[first].conn = r->free_run[n];
	r->free_run[n] = first;
}

static uint32_t leaf_of(const struct c4_replan *r, uint32_t nic)
{
	return r->f->nics[nic].leaf;
}

struct c4_live_net *c4_live_net_of(struct c4_replan *r, const struct c4_live_conn *c)
{
	return &r->nets[r->f->switches[leaf_of(r, c->src)].net];
}

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

/* ---- connections ----------------------------------------------------------------------------- */

static int make_conn(struct c4_replan *r, uint32_t src, uint32_t dst, double weight, uint32_t qps,
		     uint32_t *ret)
{
	int64_t first, conn;

	if (!((float)weight > 0) || !isfinite((float)weight) || !qps || qps > C4_CONN_QPS_MAX ||
	    src >= r->f->n_nics || dst >= r->f->n_nics)
		return -EINVAL;
	first = take_run(r, qps);
	if (first < 0)
		return (int)first;
	conn = take_conn(r);
	if (conn < 0) {
		give_run(r, (uint32_t)first, qps);
		return (int)conn;
	}
	r->conns[conn] = (struct c4_live_conn){.src = src,
					       .dst = dst,
					       .weight = (float)weight,
					       .first = (uint32_t)first & 0xffffff,
					       .qps = (uint8_t)qps};
	for (uint32_t q = (uint32_t)first; q < first + qps; q++)
		r->qps[q] = (struct c4_live_qp){
			.conn = (uint32_t)conn,
			.edge = C4_NONE,
			.backup = C4_UNCOLOURED,
			.route = {.share = 1.0f / (float)qps,
				  .state = (uint8_t)c4_route_plain_state(r->f, src, dst)},
		};
	r->stats.conns++;
	r->stats.qps += qps;
	*ret = (uint32_t)conn;
	return 0;
}

static void change_count(struct c4_live_net *n, const struct c4_live_qp *q, int by)
{
	const uint16_t *end = n->place.layers[q->layer].top.edges[q->edge].end;

	for (int side = 0; side < 2; side++)
		n->count[side][end[side] * C4_PLACE_LAYERS_MAX + q->layer] += (uint32_t)by;
	n->of_layer[q->layer] += (uint32_t)by;
}

/* Edges for the QPs of a connection that has something to plan. */
static int make_edges(struct c4_replan *r, struct c4_live_net *n, const struct c4_live_conn *c)
{
	int64_t layer = c4_place_layer(&n->place, (double)c->weight / c->qps);

	if (layer < 0)
		return (int)layer;
	for (uint32_t q = c->first, end = q + c->qps; q < end; q++) {
		int64_t edge =
			c4_place_add(&n->place, (uint32_t)layer, r->local[leaf_of(r, c->src)],
				     r->local[leaf_of(r, c->dst)], q);

		if (edge < 0)
			return (int)edge;
		r->qps[q].layer = (uint8_t)layer;
		r->qps[q].edge = (uint32_t)edge;
		change_count(n, &r->qps[q], 1);
	}
	return 0;
}

/* Handle in *ret, edges made; what is left is to place them. */
static int begin_conn(struct c4_replan *r, uint32_t src, uint32_t dst, double weight, uint32_t qps,
		      uint32_t *ret)
{
	int rc = make_conn(r, src, dst, weight, qps, ret);
	const struct c4_live_conn *c;

	if (rc)
		return rc;
	c = &r->conns[*ret];
	switch (r->qps[c->first].route.state) {
	case C4_ROUTE_NONE: rc = make_edges(r, c4_live_net_of(r, c), c); break;
	case C4_ROUTE_NO_PATH:
	case C4_ROUTE_TWO_PLANES: r->stats.unplaced += qps; break;
	default: break;
	}
	if (rc)
		c4_replan_remove(r, *ret);
	return rc;
}

int64_t c4_replan_add(struct c4_replan *r, uint32_t src, uint32_t dst, double weight, uint32_t qps)
{
	uint32_t conn = 0;
	int rc = begin_conn(r, src, dst, weight, qps, &conn);
	struct c4_live_event e = {C4_MOVE_ARRIVAL, C4_MOVE_ARRIVAL, conn, r->o.move_budget, true};

	if (rc)
		return rc;
	for (uint32_t q = r->conns[conn].first; q < r->conns[conn].first + qps; q++)
		if (r->qps[q].edge != C4_NONE)
			c4_live_place(r, c4_live_net_of(r, &r->conns[conn]), q, false, &e);
	return conn;
}

static bool keep(struct c4_live_net *n, const struct c4_live_qp *q, const struct c4_route *route)
{
	const struct c4_net *net = &n->net;
	const uint16_t *end = n->place.layers[q->layer].top.edges[q->edge].end;
	uint32_t colour, core = 0;

	if (route->state != C4_ROUTE_SPINE && route->state != C4_ROUTE_CORE)
		return false;
	colour = c4_net_colour(net, net->pod[end[0]], route->up);
	if (colour != C4_NONE && route->state == C4_ROUTE_CORE)
		core = c4_net_core(net, colour, route->core);
	return !c4_place_keep(&n->place, (struct c4_placed){q->layer, q->edge}, colour, core);
}

int64_t c4_replan_adopt(struct c4_replan *r, uint32_t src, uint32_t dst, double weight,
			uint32_t qps, const struct c4_route *routes)
{
	uint32_t conn = 0;
	int rc = begin_conn(r, src, dst, weight, qps, &conn);
	struct c4_live_event e = {C4_MOVE_ARRIVAL, C4_MOVE_ARRIVAL, conn, r->o.move_budget, true};

	if (rc)
		return rc;
	for (uint32_t i = 0; i < qps; i++) {
		uint32_t q = r->conns[conn].first + i;
		struct c4_live_net *n = c4_live_net_of(r, &r->conns[conn]);

		if (r->qps[q].edge == C4_NONE)
			continue;
		if (!keep(n, &r->qps[q], &routes[i])) {
			c4_live_place(r, n, q, false, &e);
			continue;
		}
		n->place.n_touched = 0;
		r->qps[q].route = routes[i];
		r->qps[q].route.share = 1.0f / (float)qps;
		c4_live_update(r, n, q, C4_MOVE_ARRIVAL, conn, true);
	}
	return conn;
}

static void remove_qp(struct c4_replan *r, uint32_t qp)
{
	struct c4_live_qp *q = &r->qps[qp];

	r->stats.unplaced -=
		q->route.state == C4_ROUTE_NO_PATH || q->route.state == C4_ROUTE_TWO_PLANES;
	uncount(r, q, &q->route);
	if (q->edge != C4_NONE) {
		struct c4_live_net *n = c4_live_net_of(r, &r->conns[q->conn]);

		change_count(n, q, -1);
		c4_place_remove(&n->place, (struct c4_placed){q->layer, q->edge});
		if (!n->of_layer[q->layer])
			c4_place_retire(&n->place, q->layer);
	}
}

void c4_replan_remove(struct c4_replan *r, uint32_t conn)
{
	struct c4_live_conn c = r->conns[conn];

	for (uint32_t q = c.first, end = q + c.qps; q < end; q++)
		remove_qp(r, q);
	r->stats.conns--;
	r->stats.qps -= c.qps;
	give_run(r, c.first, c.qps);
	give_conn(r, conn);
}

/* ---- answers --------------------------------------------------------------------------------- */

struct c4_route *c4_replan_route(struct c4_replan *r, uint32_t conn, uint32_t qp)
{
	return &r->qps[r->conns[conn].first + qp].route;
}

struct c4_route c4_replan_backup(const struct c4_replan *r, uint32_t conn, uint32_t qp)
{
	uint32_t i = r->conns[conn].first + qp;
	const struct c4_live_qp *q = &r->qps[i];
	struct c4_conn no_load = {.src = r->conns[conn].src, .dst = r->conns[conn].dst};
	struct c4_route route = {.state = C4_ROUTE_NO_PATH, .share = q->route.share};
	const struct c4_live_net *n = &r->nets[r->f->switches[leaf_of(r, no_load.src)].net];
	const struct c4_net *net = &n->net;
	uint32_t colour, from, to;

	if (q->edge == C4_NONE)
		return q->route;
	colour = q->route.state == C4_ROUTE_NO_PATH ? C4_UNCOLOURED : backup_colour(n, q, i);
	if (colour == C4_UNCOLOURED)
		return route;
	from = net->pod[r->local[leaf_of(r, no_load.src)]];
	to = net->pod[r->local[leaf_of(r, no_load.dst)]];
	route.state = q->route.state;
	route.up = (uint16_t)net->spine[from * net->colours + colour];
	route.down = (uint16_t)net->spine[to * net->colours + colour];
	if (route.state == C4_ROUTE_CORE)
		route.core =
			(uint16_t)net->core[colour * net->cores + backup_core(n, q, i, colour)];
	c4_spread_route(r->f, &no_load, &route, r->load); /* weight 0: nothing is counted */
	return route;
}

const struct c4_move *c4_replan_moves(const struct c4_replan *r, uint32_t *ret_n)
{
	*ret_n = r->n_moves;
	return r->moves;
}

void c4_replan_clear_moves(struct c4_replan *r)
{
	r->n_moves = 0;
}

const struct c4_replan_stats *c4_replan_stats(const struct c4_replan *r)
{
	return &r->stats;
}
