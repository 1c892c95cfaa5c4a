// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/connwatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/routes/qpshare.h"
#include "common/ds/vec.h"
#include "common/log.h"

#define FLOWS_ROOM    (C4_CONNWATCH_MAX + C4_QPAIRS_MAX)
#define LOOPBACK_NET  127u
#define PLANNED_PORTS 61000u

struct look {
	struct c4_connwatch *w;
	const struct c4_connwatch_scene *scene;
	uint64_t now_ns, interval_ns;
};

int c4_connwatch_open(struct c4_connwatch *w)
{
	*w = (struct c4_connwatch){.nl = c4_sockdiag_open()};
	return w->nl ? 0 : -errno;
}

void c4_connwatch_close(struct c4_connwatch *w)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &w->conns)
		free(e->value);
	c4_map_release(&w->conns);
	free(w->flows);
	c4_sockdiag_close(w->nl);
	*w = (struct c4_connwatch){0};
}

/* ---- one connection ------------------------------------------------------------------------- */

static uint64_t grown(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

struct c4_flow c4_connwatch_delta(const struct c4_sock *last, const struct c4_sock *x,
				  uint64_t interval_ns)
{
	return (struct c4_flow){
		.src = x->src,
		.dst = x->dst,
		.sport = x->sport,
		.dport = x->dport,
		.proto = C4_ROUTE_TCP,
		.sent_bytes = grown(last->acked_bytes, x->acked_bytes),
		.received_bytes = grown(last->received_bytes, x->received_bytes),
		.interval_ms = (uint32_t)(interval_ns / 1000000u),
		.busy_ms = (uint32_t)(grown(last->busy_us, x->busy_us) / 1000u),
		.limited_ms = (uint32_t)(grown(last->limited_us, x->limited_us) / 1000u),
		.rtt_us = x->rtt_us,
		.min_rtt_us = x->min_rtt_us,
		.retransmits = (uint32_t)grown(last->retransmits, x->retransmits),
	};
}

/* Among hosts of the fabric; before anybody told who they are, whoever is not of this node. */
static bool is_wanted(const struct c4_connwatch_scene *scene, uint32_t src, uint32_t dst)
{
	if (dst >> 24 == LOOPBACK_NET || c4_locals_has(scene->locals, dst) ||
	    !c4_locals_has(scene->locals, src))
		return false;
	if (!scene->plan || !scene->plan->npeers)
		return true;
	return c4_plan_peer(scene->plan, dst) || c4_pairs_to(scene->dests->pairs, dst);
}

/* The kernel does not say who connected: a planned port did, a port somebody listens on did not. */
static bool seems_initiated(const struct c4_connwatch *w, const struct c4_sock *x)
{
	if (w->listening[x->sport / 64] >> x->sport % 64 & 1)
		return false;
	if (x->sport >= PLANNED_PORTS)
		return true;
	return x->dport < PLANNED_PORTS;
}

/* What is remembered of it, made if it is new; NULL: no room. */
static struct c4_conn_seen *remembered(struct look *l, const struct c4_sock *x)
{
	struct c4_connwatch *w = l->w;
	struct c4_conn_seen *seen = c4_map_get(&w->conns, x->cookie);

	if (seen)
		return seen;
	seen = w->conns.used < C4_CONNWATCH_MAX ? calloc(1, sizeof *seen) : NULL;
	if (!seen || c4_map_put(&w->conns, x->cookie, seen)) {
		free(seen);
		w->crowded++;
		return NULL;
	}
	seen->initiated = seems_initiated(w, x);
	if (!w->looked_ns)
		seen->last = *x; /* it began before we did: nobody knows when */
	return seen;
}

static void add_flow(struct c4_connwatch *w, const struct c4_flow *flow)
{
	struct c4_flow *room =
		c4_vec_reserve(w->flows, &w->flows_cap, w->nflows + 1, FLOWS_ROOM, sizeof *room);

	if (!room)
		return;
	w->flows = room;
	w->flows[w->nflows++] = *flow;
}

static void visit_connection(void *arg, const struct c4_sock *x)
{
	struct look *l = arg;
	struct c4_conn_seen *seen;
	struct c4_flow flow;

	if (!is_wanted(l->scene, x->src, x->dst))
		return;
	seen = remembered(l, x);
	if (!seen)
		return;
	flow = c4_connwatch_delta(&seen->last, x, l->interval_ns);
	flow.initiated = seen->initiated;
	seen->last = *x;
	seen->round = l->w->round;
	flow.route = c4_dests_count(l->scene->dests, C4_ROUTE_TCP, x->dst, x->dport, x->sport,
				    &flow.reversed);
	if (flow.sent_bytes || flow.received_bytes)
		add_flow(l->w, &flow);
}

/* No connection, but nobody else gets its port. */
static void visit_bound(void *arg, const struct c4_sock *x)
{
	c4_dests_bound(arg, C4_ROUTE_TCP, x->dst, x->dport, x->sport);
}

static void visit_listener(void *arg, const struct c4_sock *x)
{
	struct c4_connwatch *w = arg;

	w->listening[x->sport / 64] |= 1ull << x->sport % 64;
}

/* ---- queue pairs ---------------------------------------------------------------------------- */

/* Claims, and what could follow the plan but was made before there was one for it. */
static void visit_queue_pairs(struct look *l)
{
	struct c4_dests *dests = l->scene->dests;
	const struct c4_pair *pair;
	struct c4_map_entry *e;

	c4_map_for_each (e, &l->scene->qpairs->by_name) {
		const struct c4_qpair *x = e->value;

		c4_dests_claimed(dests, x->dst, x->slot);
		pair = c4_pairs_oneway(dests->pairs, x->dst);
		if (pair && pair->src == x->src)
			c4_dests_want(dests, C4_ROUTE_UDP, x->dst, C4_ROUTE_RDMA_PORT, l->now_ns);
	}
}

static void add_group(struct look *l, const struct c4_qpshare *share,
		      const struct c4_qpair_group *g)
{
	const struct c4_flow flow = {
		.src = g->src,
		.dst = g->dst,
		.sport = g->sport,
		.dport = C4_ROUTE_RDMA_PORT,
		.proto = C4_ROUTE_UDP,
		.initiated = true,
		.sent_bytes = c4_qpshare_of(share, g),
		.interval_ms = (uint32_t)(l->interval_ns / 1000000u),
		.connections = g->n,
		.route = c4_dests_route(l->scene->dests, g->dst, g->sport),
	};

	if (is_wanted(l->scene, g->src, g->dst))
		add_flow(l->w, &flow);
}

/* After all others: what these carried is not queue pairs'. */
static void add_queue_pairs(struct look *l)
{
	struct c4_qpshare_scene scene = {
		.locals = l->scene->locals,
		.before = l->scene->ports_before,
		.now = l->scene->ports,
		.tcp = l->w->flows,
		.ntcp = l->w->nflows,
		.now_ns = l->now_ns,
		.interval_ns = l->interval_ns,
	};
	struct c4_qpshare share;

	scene.ngroups = c4_qpairs_group(l->scene->qpairs, &scene.groups);
	c4_qpshare_make(&share, &scene);
	l->w->port_missing = share.missing;
	for (uint32_t i = 0; l->interval_ns && i < scene.ngroups; i++)
		add_group(l, &share, &scene.groups[i]);
}

/* ---- a look at all -------------------------------------------------------------------------- */

static void forget_ended(struct c4_connwatch *w)
{
	uint64_t ended[256];
	uint32_t n;

	do {
		struct c4_map_entry *e;

		n = 0;
		c4_map_for_each (e, &w->conns)
			if (((struct c4_conn_seen *)e->value)->round != w->round &&
			    n < sizeof ended / sizeof ended[0])
				ended[n++] = e->key;
		for (uint32_t i = 0; i < n; i++)
			free(c4_map_del(&w->conns, ended[i]));
	} while (n == sizeof ended / sizeof ended[0]);
}

static int by_bytes(const void *a, const void *b)
{
	const struct c4_flow *x = a, *y = b;
	uint64_t n = x->sent_bytes + x->received_bytes, m = y->sent_bytes + y->received_bytes;

	return n > m ? -1 : n < m;
}

void c4_connwatch_look(struct c4_connwatch *w, const struct c4_connwatch_scene *scene,
		       uint64_t now_ns)
{
	struct look l = {w, scene, now_ns, w->looked_ns ? now_ns - w->looked_ns : 0};
	int rc;

	w->nflows = 0;
	if (!w->nl)
		return;
	w->round++;
	memset(w->listening, 0, sizeof w->listening);
	c4_dests_count_begin(scene->dests);
	rc = c4_sockdiag_dump(w->nl, C4_SOCK_LISTEN, visit_listener, w);
	if (!rc)
		rc = c4_sockdiag_dump(w->nl, C4_SOCK_ESTABLISHED, visit_connection, &l);
	if (!rc)
		rc = c4_sockdiag_dump(w->nl, C4_SOCK_OPENING | C4_SOCK_CLOSING, visit_bound,
				      scene->dests);
	if (rc) {
		c4_debug("connections: %s", strerror(-rc));
		c4_sockdiag_close(w->nl); /* answers to this question may still come there */
		w->nl = c4_sockdiag_open();
		return;
	}
	visit_queue_pairs(&l);
	c4_dests_count_end(scene->dests, now_ns);
	add_queue_pairs(&l);
	forget_ended(w);
	w->looked_ns = now_ns;
	if (w->nflows)
		qsort(w->flows, w->nflows, sizeof *w->flows, by_bytes);
	if (w->nflows > C4_FLOWS_MAX)
		w->nflows = C4_FLOWS_MAX;
}
