// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/reply.h"

#include <errno.h>
#include <string.h>

#include "route.pb-c.h"

/* An answer being made: its parts lie in the arena of the exchange. */
struct reply {
	struct c4_routes *r;
	const struct c4_edition *e;
	const struct c4_fabric *f;
	uint32_t host;
	C4__V1__RouteAnswer msg;
	uint32_t *marks[2]; /* per switch: index in msg.switches + 1; per host: met */
	uint32_t n_qps;
	bool failed; /* no memory */
};

static void *take(struct reply *y, size_t n)
{
	void *p = c4_arena_alloc(&y->r->arena, n ? n : 1);

	y->failed |= !p;
	return p;
}

static void *text_of(struct reply *y, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = take(y, n);

	return copy ? memcpy(copy, text, n) : NULL;
}

/* ---- switches and peers ----------------------------------------------------------------------
 */

static void put_switch(struct reply *y, uint32_t s)
{
	const struct c4_switch *from = &y->f->switches[s];
	C4__V1__Switch *to = take(y, sizeof *to);
	uint32_t n = 0;

	if (!to)
		return;
	c4__v1__switch__init(to);
	to->name = text_of(y, from->name);
	to->epoch = y->r->epochs.v[s];
	for (uint32_t i = from->address; i; i = y->f->addresses[i - 1].next)
		n++;
	to->addresses = take(y, n * sizeof *to->addresses);
	for (uint32_t i = from->address; i && !y->failed; i = y->f->addresses[i - 1].next)
		to->addresses[to->n_addresses++] = y->f->addresses[i - 1].ipv4;
	y->msg.switches[y->msg.n_switches++] = to;
}

/* Where the switch is in the answer. */
static uint32_t index_of(struct reply *y, uint32_t s)
{
	if (!y->marks[0][s]) {
		put_switch(y, s);
		y->marks[0][s] = (uint32_t)y->msg.n_switches;
	}
	return y->marks[0][s] - 1;
}

static void put_peer(struct reply *y, uint32_t host)
{
	const struct c4_agent *a = c4_agents_at(&y->r->agents, host);
	const struct c4_host *h = &y->f->hosts[host];
	C4__V1__Peer *to;

	if (y->marks[1][host]++ || !a || !a->address)
		return;
	to = take(y, sizeof *to);
	if (!to)
		return;
	c4__v1__peer__init(to);
	to->agent = a->address;
	to->helper_port = a->helper_port;
	to->addresses = take(y, h->nics * sizeof *to->addresses);
	for (uint32_t i = h->nic; i < h->nic + h->nics && !y->failed; i++)
		if (y->f->nics[i].ipv4)
			to->addresses[to->n_addresses++] = y->f->nics[i].ipv4;
	y->msg.peers[y->msg.n_peers++] = to;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* One that leads through the network, between addresses that are known. */
static bool worth_telling(const struct reply *y, const struct c4_conn *c, const struct c4_route *r)
{
	if (r->state != C4_ROUTE_SPINE && r->state != C4_ROUTE_CORE)
		return false;
	return y->f->nics[c->src].ipv4 && y->f->nics[c->dst].ipv4;
}

static void put_route(struct reply *y, const struct c4_conn *c, uint32_t qp)
{
	const struct c4_route *from = &y->e->plan.routes[c->first + qp];
	struct c4_way way = c4_way_of(y->f, c, from);
	C4__V1__Route *to = take(y, sizeof *to);

	if (!to)
		return;
	c4__v1__route__init(to);
	to->id = (char *)c->id; /* the edition outlives the answer's making */
	to->job = (char *)y->e->demand->demand.jobs[c->job].name;
	to->qp = qp;
	to->src = y->f->nics[c->src].ipv4;
	to->dst = y->f->nics[c->dst].ipv4;
	to->sport = from->sport;
	to->load = c->weight * from->share;
	to->path = take(y, way.n * sizeof *to->path);
	for (uint16_t i = 0; i < way.n && !y->failed; i++)
		to->path[to->n_path++] = index_of(y, way.at[i]);
	y->msg.routes[y->msg.n_routes++] = to;
}

static void put_conn(struct reply *y, const struct c4_conn *c)
{
	uint32_t src = y->f->nics[c->src].host, dst = y->f->nics[c->dst].host;

	for (uint32_t q = 0; q < c->qps && !y->failed; q++) {
		if (!worth_telling(y, c, &y->e->plan.routes[c->first + q]))
			continue;
		if (y->msg.n_routes == y->n_qps) {
			y->r->counts[C4_ROUTES_UNTOLD]++;
			continue;
		}
		put_route(y, c, q);
		if (src != y->host)
			put_peer(y, src);
		if (dst != y->host)
			put_peer(y, dst);
	}
}

/* Connections at[host] … of one of the edition's lists. */
static void put_list(struct reply *y, const uint32_t *at, const uint32_t *by, bool into)
{
	const struct c4_demand *d = &y->e->demand->demand;

	for (uint32_t i = at[y->host]; i < at[y->host + 1] && !y->failed; i++) {
		const struct c4_conn *c = &d->conns[by[i]];

		if (into && y->f->nics[c->src].host == y->host)
			continue; /* it was among those that begin here */
		put_conn(y, c);
	}
}

static uint32_t count_qps(const struct reply *y, const uint32_t *at, const uint32_t *by)
{
	uint32_t n = 0;

	for (uint32_t i = at[y->host]; i < at[y->host + 1] && n < C4_ROUTES_QPS_MAX; i++)
		n += y->e->demand->demand.conns[by[i]].qps;
	return n;
}

/* All that the node's ports may lead to first, on a route or not: agents keep what they find. */
static void put_neighbours(struct reply *y)
{
	const struct c4_host *h = &y->f->hosts[y->host];

	for (uint32_t n = h->nic; n < h->nic + h->nics; n++) {
		uint32_t leaf = y->f->nics[n].leaf;

		for (uint32_t i = y->f->link_at[leaf]; i < y->f->link_at[leaf + 1]; i++) {
			const struct c4_link *l = &y->f->links[y->f->link_of[i]];

			if (!y->failed)
				index_of(y, c4_link_peer(l, leaf));
		}
	}
}

static void put_plan(struct reply *y)
{
	const struct c4_edition *e = y->e;
	uint32_t n = count_qps(y, e->host_at, e->by_host) + count_qps(y, e->into_at, e->by_into);
	uint32_t switches = y->f->n_switches;

	y->n_qps = n < C4_ROUTES_QPS_MAX ? n : C4_ROUTES_QPS_MAX;
	y->msg.routes = take(y, y->n_qps * sizeof(void *));
	y->msg.peers = take(y, (size_t)n * sizeof(void *)); /* at most one a QP */
	y->msg.switches = take(y, switches * sizeof(void *));
	if (y->failed)
		return;
	memset(y->r->mark, 0, y->r->n_marks * sizeof *y->r->mark);
	y->marks[0] = y->r->mark;
	y->marks[1] = y->r->mark + switches;
	put_list(y, e->host_at, e->by_host, false);
	put_list(y, e->into_at, e->by_into, true);
	if (y->msg.n_routes)
		put_neighbours(y);
}

static void put_watches(struct reply *y)
{
	const struct c4_watches *list = &y->r->suspects.watches;

	y->msg.watches = take(y, list->n * sizeof(void *));
	for (uint32_t i = 0; i < list->n && !y->failed; i++) {
		const struct c4_watch *w = &list->v[i];
		C4__V1__Watch *to = w->host == y->host ? take(y, sizeof *to) : NULL;

		if (!to)
			continue;
		c4__v1__watch__init(to);
		to->src = w->key.ip[w->from];
		to->dst = w->key.ip[!w->from];
		to->proto = w->key.proto;
		to->sport = w->key.port[w->from];
		to->dport = w->key.port[!w->from];
		y->msg.watches[y->msg.n_watches++] = to;
	}
}

/* ---- the answer ------------------------------------------------------------------------------ */

static uint32_t interval_ms(const struct c4_agents *r)
{
	return r->n <= C4_ROUTES_AGENTS_FULL
		       ? C4_ROUTES_INTERVAL_MS
		       : (uint32_t)((uint64_t)C4_ROUTES_INTERVAL_MS * r->n / C4_ROUTES_AGENTS_FULL);
}

static int pack(struct reply *y, struct c4_buf *out)
{
	size_t n = c4__v1__route_answer__get_packed_size(&y->msg);
	uint8_t *bytes = take(y, n);

	if (!bytes)
		return -ENOMEM;
	c4__v1__route_answer__pack(&y->msg, bytes);
	c4_buf_add(out, bytes, n);
	return out->failed ? -ENOMEM : 0;
}

int c4_reply_encode(struct c4_routes *r, const struct c4_reply_opts *o, struct c4_buf *out)
{
	struct reply y = {
		.r = r,
		.e = r->edition,
		.f = &r->edition->fabric->fabric,
		.host = o->host,
	};

	c4__v1__route_answer__init(&y.msg);
	y.msg.plan_instance = (char *)r->config.instance;
	y.msg.plan_version = y.e->version;
	y.msg.standing = o->standing;
	y.msg.unchanged = o->unchanged;
	y.msg.interval_ms = interval_ms(&r->agents);
	if (!o->unchanged && y.e->demand)
		put_plan(&y);
	put_watches(&y);
	return y.failed ? -ENOMEM : pack(&y, out);
}
