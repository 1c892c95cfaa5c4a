// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/replan/replan.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/model/replan/replan_live.h"

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

struct c4_live_net *c4_live_net_of(struct c4_replan *r, const struct c4_live_conn *c)
{
	return &r->nets[r->f->switches[c4_live_leaf(r, c->src)].net];
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
			c4_place_add(&n->place, (uint32_t)layer, r->local[c4_live_leaf(r, c->src)],
				     r->local[c4_live_leaf(r, c->dst)], q);

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
	if (q->edge != C4_NONE) {
		struct c4_live_net *n = c4_live_net_of(r, &r->conns[q->conn]);

		c4_live_lift(r, n, qp);
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
