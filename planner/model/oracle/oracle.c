// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/ds/vec.h"

void c4_oracle_free(struct c4_oracle *o)
{
	if (o)
		o->ops->free(o);
}

int c4_oracle_begin(struct c4_oracle *o, const struct c4_fabric *f)
{
	int rc = o->ops->begin(o, f);

	if (rc == 0)
		o->fabric = f;
	return rc;
}

int c4_oracle_path(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		   struct c4_path *ret)
{
	const struct c4_nic *nics = o->fabric->nics;

	if (nics[src].leaf == nics[dst].leaf) {
		*ret = (struct c4_path){.hops = 0};
		return 0;
	}
	return o->ops->path(o, src, dst, sport, ret);
}

int c4_oracle_learn(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		    const struct c4_path *seen)
{
	const struct c4_fabric *f = o->fabric;
	struct c4_route r;

	if (!o->ops->learn)
		return -EOPNOTSUPP;
	if (src >= f->n_nics || dst >= f->n_nics || sport < C4_PORT_FIRST)
		return -EINVAL;
	if (c4_path_to_route(f, f->nics[src].leaf, f->nics[dst].leaf, seen, &r))
		return -EINVAL;
	return seen->hops ? o->ops->learn(o, src, dst, sport, seen) : 0;
}

uint32_t c4_oracle_probe(struct c4_oracle *o, uint32_t src, uint32_t dst,
			 const struct c4_want *wants, uint32_t n, uint16_t *ports, uint32_t cap)
{
	if (!o->ops->probe || o->fabric->nics[src].leaf == o->fabric->nics[dst].leaf)
		return 0;
	return o->ops->probe(o, src, dst, wants, n, ports, cap);
}

uint16_t c4_oracle_start(uint32_t src, uint32_t dst)
{
	return (uint16_t)(C4_PORT_FIRST + (c4_hash_u64(src, dst) & (C4_PORTS - 1)));
}

/* Odd factors and right shifts are bijections of 14 bits. */
uint16_t c4_oracle_nth_port(uint32_t src, uint32_t dst, uint32_t i)
{
	uint32_t x = (i + c4_oracle_start(src, dst)) & (C4_PORTS - 1);

	x = x * 0x2A5D & (C4_PORTS - 1);
	x ^= x >> 7;
	x = x * 0x19D5 & (C4_PORTS - 1);
	return (uint16_t)(C4_PORT_FIRST | (x ^ x >> 6));
}

/* ---- one pair ---------------------------------------------------------------------------- */

/* Ports from earlier that still lead where they should. */
static void keep_ports(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
		       uint32_t n)
{
	struct c4_path path;

	for (uint32_t i = 0; i < n; i++) {
		struct c4_want *w = &wants[i];
		uint16_t port = w->sport;

		w->answer = C4_PORT_UNKNOWN;
		w->sport = 0;
		if (port < C4_PORT_FIRST || c4_oracle_taken(o, port) ||
		    c4_oracle_path(o, src, dst, port, &path) || !c4_path_equal(&path, &w->path))
			continue;
		c4_oracle_take(o, w, port);
		o->stats.kept++;
	}
}

/* Under one leaf every port does. */
static void local_ports(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
			uint32_t n)
{
	uint32_t at = c4_oracle_start(src, dst);

	for (uint32_t i = 0; i < n; i++) {
		if (wants[i].answer == C4_PORT_FOUND || wants[i].path.hops)
			continue;
		while (c4_oracle_taken(o, (uint16_t)(C4_PORT_FIRST | at)))
			at++; /* n <= C4_PORTS: there is one */
		c4_oracle_take(o, &wants[i], (uint16_t)(C4_PORT_FIRST | at));
	}
}

static void count(struct c4_oracle *o, const struct c4_want *wants, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		o->stats.found += wants[i].answer == C4_PORT_FOUND;
		o->stats.unknown += wants[i].answer == C4_PORT_UNKNOWN;
		o->stats.unreachable += wants[i].answer == C4_PORT_UNREACHABLE;
	}
}

void c4_oracle_want(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
		    uint32_t n)
{
	uint32_t fits = n < C4_PORTS ? n : C4_PORTS;

	for (uint32_t i = fits; i < n; i++) {
		wants[i].sport = 0;
		wants[i].answer = C4_PORT_UNREACHABLE;
		o->stats.crowded++;
	}
	keep_ports(o, src, dst, wants, fits);
	if (o->fabric->nics[src].leaf == o->fabric->nics[dst].leaf)
		local_ports(o, src, dst, wants, fits);
	else
		o->ops->ports(o, src, dst, wants, fits);
	count(o, wants, fits);
	for (uint32_t i = 0; i < fits; i++)
		if (wants[i].sport)
			o->used[(wants[i].sport - C4_PORT_FIRST) / 64] = 0;
}

/* ---- a whole plan ------------------------------------------------------------------------ */

/* Connections by pair, pairs by destination leaf: what an oracle derives from it serves all. */
struct place {
	uint32_t leaf, from_leaf;
	uint32_t dst, src;
	uint32_t conn;
};

static int compare_places(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;
	const uint32_t *x = &a->leaf, *y = &b->leaf;

	for (int i = 0; i < 5; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static struct place *sort_pairs(const struct c4_fabric *f, const struct c4_demand *d)
{
	struct place *at = malloc(((size_t)d->n_conns + 1) * sizeof *at);

	for (uint32_t i = 0; at && i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		at[i] = (struct place){f->nics[c->dst].leaf, f->nics[c->src].leaf, c->dst, c->src,
				       i};
	}
	if (at)
		qsort(at, d->n_conns, sizeof *at, compare_places);
	return at;
}

struct wants {
	struct c4_want *list;
	uint32_t n, cap;
};

static bool placed(const struct c4_route *r)
{
	return r->state == C4_ROUTE_LOCAL || r->state == C4_ROUTE_SPINE ||
	       r->state == C4_ROUTE_CORE;
}

static int add_wants(struct wants *w, const struct c4_fabric *f, const struct c4_conn *c,
		     struct c4_plan *p)
{
	struct c4_want *grown =
		c4_vec_reserve(w->list, &w->cap, w->n + c->qps, C4_DEMAND_QPS_MAX, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	w->list = grown;
	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		struct c4_route *r = &p->routes[q];

		if (!placed(r)) {
			r->sport = 0;
			continue;
		}
		grown[w->n] = (struct c4_want){.sport = r->sport, .route = q};
		c4_path_of_route(f, c, r, &grown[w->n++].path);
	}
	return 0;
}

static void answer_pair(struct c4_oracle *o, uint32_t src, uint32_t dst, struct wants *w,
			struct c4_plan *p)
{
	if (w->n)
		c4_oracle_want(o, src, dst, w->list, w->n);
	for (uint32_t i = 0; i < w->n; i++)
		p->routes[w->list[i].route].sport = w->list[i].sport;
	w->n = 0;
}

int c4_oracle_ports(struct c4_oracle *o, const struct c4_fabric *f, const struct c4_demand *d,
		    struct c4_plan *p)
{
	struct place *at = sort_pairs(f, d);
	struct wants w = {0};
	int rc = at ? c4_oracle_begin(o, f) : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < d->n_conns; i++) {
		rc = add_wants(&w, f, &d->conns[at[i].conn], p);
		if (i + 1 < d->n_conns && at[i].src == at[i + 1].src && at[i].dst == at[i + 1].dst)
			continue;
		if (rc == 0)
			answer_pair(o, at[i].src, at[i].dst, &w, p);
	}
	free(w.list);
	free(at);
	return rc;
}

static void trace_conn(struct c4_oracle *o, const struct c4_fabric *f, const struct c4_conn *c,
		       struct c4_plan *p)
{
	uint32_t from = f->nics[c->src].leaf, to = f->nics[c->dst].leaf;

	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		struct c4_route *r = &p->routes[q];
		struct c4_path path;
		int rc = c4_oracle_path(o, c->src, c->dst, r->sport, &path);

		if (rc == -EAGAIN || (rc == 0 && c4_path_to_route(f, from, to, &path, r)))
			r->state = C4_ROUTE_NONE;
		else if (rc)
			r->state = f->switches[from].net == f->switches[to].net
					   ? C4_ROUTE_NO_PATH
					   : C4_ROUTE_TWO_PLANES;
	}
}

int c4_oracle_trace(struct c4_oracle *o, const struct c4_fabric *f, const struct c4_demand *d,
		    struct c4_plan *p)
{
	struct place *at = sort_pairs(f, d);
	int rc = at ? c4_oracle_begin(o, f) : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < d->n_conns; i++)
		trace_conn(o, f, &d->conns[at[i].conn], p);
	free(at);
	return rc;
}
