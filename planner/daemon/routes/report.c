// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/report.h"

#include <errno.h>
#include <string.h>

#include "common/ds/vec.h"
#include "common/base/label.h"

#define TCP	   6u
#define UDP	   C4_FLOW_UDP
#define RDMA_PORT  4791u
#define AGE_MAX_MS 10000u /* older observations may be of another epoch */

static bool is_name(const char *s)
{
	size_t n = 0;

	while (n <= C4_NAME_MAX && s[n] > ' ' && s[n] <= '~')
		n++;
	return n && n <= C4_NAME_MAX && !s[n];
}

int c4_report_check(const C4__V1__RouteReport *m, struct c4_fault *fault)
{
	if (!is_name(m->node))
		return c4_fault_set(fault, -EINVAL,
				    "the node's name is none: expected 1 to %u "
				    "printable characters",
				    C4_NAME_MAX);
	if (m->n_addresses > C4_REPORT_ADDRESSES_MAX)
		return c4_fault_set(fault, -EINVAL, "%zu addresses, expected %u at most",
				    m->n_addresses, C4_REPORT_ADDRESSES_MAX);
	if (m->n_probes > C4_REPORT_PROBES_MAX || m->n_flows > C4_REPORT_FLOWS_MAX ||
	    m->n_doubts > C4_REPORT_DOUBTS_MAX)
		return c4_fault_set(
			fault, -EINVAL,
			"%zu probes, %zu flows, %zu doubts, expected %u, %u, %u at most",
			m->n_probes, m->n_flows, m->n_doubts, C4_REPORT_PROBES_MAX,
			C4_REPORT_FLOWS_MAX, C4_REPORT_DOUBTS_MAX);
	if (m->helper_port > UINT16_MAX)
		return c4_fault_set(fault, -EINVAL, "helper_port %u, expected a port",
				    m->helper_port);
	return 0;
}

/* ---- observations ----------------------------------------------------------------------------
 */

/* The switch that answered at TTL i + 1. */
static uint32_t hop_at(const struct c4_fabric *f, const C4__V1__Probe *p, size_t i)
{
	return i < p->n_hops && p->hops[i] ? c4_fabric_switch_at(f, p->hops[i]) : C4_NONE;
}

/* Between two NICs the switches above the leaves tell the way: TTL 2, and with cores 3 and 4. */
static bool route_of(const struct c4_fabric *f, const C4__V1__Probe *p, struct c4_route *r)
{
	uint32_t up = hop_at(f, p, 1), core, down;

	if (up == C4_NONE || f->switches[up].tier != C4_SPINE)
		return false;
	*r = (struct c4_route){.state = C4_ROUTE_SPINE, .up = (uint16_t)up, .down = (uint16_t)up};
	core = hop_at(f, p, 2);
	if (core == C4_NONE || f->switches[core].tier != C4_CORE)
		return true;
	down = hop_at(f, p, 3);
	if (down == C4_NONE || f->switches[down].tier != C4_SPINE)
		return false;
	r->state = C4_ROUTE_CORE;
	r->core = (uint16_t)core;
	r->down = (uint16_t)down;
	return true;
}

bool c4_report_path(const struct c4_held_fabric *h, const C4__V1__Probe *p, struct c4_seen *ret)
{
	const struct c4_fabric *f = &h->fabric;
	struct c4_conn c = {.src = c4_held_fabric_nic_at(h, p->src),
			    .dst = c4_held_fabric_nic_at(h, p->dst)};
	struct c4_route r;

	if (c.src == C4_NONE || c.dst == C4_NONE || c.src == c.dst)
		return false;
	*ret = (struct c4_seen){.src = c.src, .dst = c.dst, .sport = (uint16_t)p->sport};
	if (f->nics[c.src].leaf == f->nics[c.dst].leaf)
		return true;
	if (!route_of(f, p, &r) || !c4_route_fits(f, &c, &r))
		return false;
	c4_path_of_route(f, &c, &r, &ret->path);
	return true;
}

static bool probe_can_be(const C4__V1__Probe *p)
{
	return (p->proto == TCP || p->proto == UDP) && p->sport && p->sport <= UINT16_MAX &&
	       p->dport && p->dport <= UINT16_MAX && p->n_hops <= 16 && p->n_hop_rtt_us <= 16;
}

/* Only what the oracle asks about: ports of RoCE. */
static void learn(struct c4_routes *r, const C4__V1__Probe *p, const struct c4_seen *seen)
{
	struct c4_seen *grown;

	if (!r->config.learns || p->proto != UDP || p->dport != RDMA_PORT ||
	    p->sport < C4_PORT_FIRST || p->age_ms > AGE_MAX_MS || !seen->path.hops)
		return;
	grown = c4_vec_reserve(r->seen, &r->cap_seen, r->n_seen + 1, C4_ROUTES_SEEN_MAX,
			       sizeof *grown);
	if (!grown) {
		r->counts[C4_ROUTES_PROBES_LOST]++;
		return;
	}
	r->seen = grown;
	r->seen[r->n_seen++] = *seen;
}

static struct c4_flow_way *way_of(struct c4_routes *r, const C4__V1__Probe *p)
{
	uint8_t from;
	struct c4_flow_key k = c4_flow_key_of(p->src, (uint16_t)p->sport, p->dst,
					      (uint16_t)p->dport, (uint8_t)p->proto, &from);
	struct c4_flow *f = p->age_ms > AGE_MAX_MS ? NULL : c4_flows_find(&r->flows, &k);

	return f ? &f->way[from] : NULL;
}

/* A probe may be lost in the very queue that it is sent for: what an earlier one said of that hop
 * stands for a while. */
static void note_hops(struct c4_flow_way *w, const C4__V1__Probe *p, uint64_t now_ns)
{
	for (size_t i = 0; i < C4_FLOW_HOPS && i < p->n_hop_rtt_us; i++) {
		if (!p->hop_rtt_us[i])
			continue;
		w->rtt_us[i] = p->hop_rtt_us[i];
		w->rtt_ns[i] = now_ns;
	}
}

/* The way of a connection that is there, and what its hops cost. */
static void note_way(struct c4_routes *r, const C4__V1__Probe *p, const struct c4_seen *seen,
		     uint64_t now_ns)
{
	struct c4_flow_way *w = way_of(r, p);

	if (!w)
		return;
	w->path = seen->path;
	w->seen_ns = now_ns;
	note_hops(w, p, now_ns);
}

/* A switch did not answer: the way is not shown, but the others have told how far they are. */
static void note_rest(struct c4_routes *r, const C4__V1__Probe *p, uint64_t now_ns)
{
	struct c4_flow_way *w = way_of(r, p);

	if (w)
		note_hops(w, p, now_ns);
}

/* Which links it met, or that nobody answered it. */
static void note_presence(struct c4_routes *r, const C4__V1__Probe *p, const struct c4_path *path)
{
	const struct c4_held_fabric *h = r->edition->fabric;

	if (p->age_ms <= AGE_MAX_MS)
		c4_absent_note(&r->absent, r->edition, c4_held_fabric_nic_at(h, p->src),
			       c4_held_fabric_nic_at(h, p->dst), path, p->drawn);
}

static bool is_of(const struct c4_fabric *f, uint32_t nic, uint32_t host)
{
	return nic != C4_NONE && f->nics[nic].host == host;
}

/* Whether it is of a pair of NICs that the teller has a part in. */
static bool is_between(const struct c4_held_fabric *h, const C4__V1__Probe *p, uint32_t host)
{
	uint32_t src = c4_held_fabric_nic_at(h, p->src), dst = c4_held_fabric_nic_at(h, p->dst);

	return src != C4_NONE && dst != C4_NONE && src != dst &&
	       (is_of(&h->fabric, src, host) || is_of(&h->fabric, dst, host));
}

static void take_probe(struct c4_routes *r, uint32_t host, const C4__V1__Probe *p, uint64_t now_ns)
{
	struct c4_seen seen;

	r->counts[C4_ROUTES_PROBES]++;
	if (!probe_can_be(p) || !is_between(r->edition->fabric, p, host)) {
		r->counts[C4_ROUTES_PROBES_REFUSED]++;
	} else if (c4_report_path(r->edition->fabric, p, &seen)) {
		note_presence(r, p, &seen.path);
		learn(r, p, &seen);
		note_way(r, p, &seen, now_ns);
	} else if (p->live) {
		note_rest(r, p, now_ns);
	} else if (p->drawn) {
		note_presence(r, p, NULL);
	} else {
		r->counts[C4_ROUTES_PROBES_REFUSED]++;
	}
}

/* ---- doubts ---------------------------------------------------------------------------------- */

static void take_doubt(struct c4_routes *r, uint32_t host, const C4__V1__Doubt *d)
{
	const struct c4_held_fabric *h = r->edition->fabric;
	uint32_t nic = c4_held_fabric_nic_at(h, d->src), leaf;

	if (!is_of(&h->fabric, nic, host) || !d->wrong || d->wrong > d->tried)
		return;
	r->counts[C4_ROUTES_DOUBTS]++;
	leaf = h->fabric.nics[nic].leaf;
	for (uint32_t i = 0; i < r->n_doubts; i++)
		if (r->doubts[i] == leaf)
			return;
	if (r->n_doubts < C4_ROUTES_DOUBTS_MAX)
		r->doubts[r->n_doubts++] = leaf;
}

/* ---- connections -----------------------------------------------------------------------------
 */

#define GBPS_MAX	C4_FABRIC_GBPS_MAX
#define INTERVAL_MAX_MS 600000u

static double gbps_of(uint64_t bytes, uint32_t ms)
{
	return ms ? (double)bytes * 8 / ((double)ms * 1e6) : 0;
}

static bool flow_can_be(const C4__V1__Flow *x)
{
	uint64_t most = x->sent_bytes > x->received_bytes ? x->sent_bytes : x->received_bytes;

	return (x->proto == TCP || x->proto == UDP) && x->sport && x->sport <= UINT16_MAX &&
	       x->dport && x->dport <= UINT16_MAX && x->interval_ms &&
	       x->interval_ms <= INTERVAL_MAX_MS && gbps_of(most, x->interval_ms) <= GBPS_MAX;
}

/* 0 is what agents say that know nothing of it. */
static uint32_t sharers(const C4__V1__Flow *x)
{
	uint32_t n = x->connections < C4_FLOW_SHARERS ? x->connections : C4_FLOW_SHARERS;

	return n ? n : 1;
}

static void take_end(struct c4_flow_end *e, const C4__V1__Flow *x, uint64_t now_ns)
{
	uint32_t busy_ms = x->busy_ms < x->interval_ms ? x->busy_ms : x->interval_ms;
	uint32_t limited_ms = x->limited_ms < busy_ms ? x->limited_ms : busy_ms;

	*e = (struct c4_flow_end){
		.seen_ns = now_ns,
		.sent_gbps = gbps_of(x->sent_bytes, x->interval_ms),
		.got_gbps = gbps_of(x->received_bytes, x->interval_ms),
		.busy_gbps = gbps_of(x->sent_bytes, busy_ms),
		.busy = (float)busy_ms / (float)x->interval_ms,
		.limited = busy_ms ? (float)limited_ms / (float)busy_ms : 0,
		.rtt_us = x->rtt_us,
		.min_rtt_us = x->min_rtt_us,
		.retransmits = x->retransmits,
		.connections = sharers(x),
		.initiated = x->initiated,
	};
}

/* A connection that just came was given a port of its route as the plan is now. */
static void assume_way(const struct c4_routes *r, struct c4_flow *f)
{
	const struct c4_edition *e = r->edition;
	uint32_t i = e->demand ? c4_demand_find(&e->demand->demand, f->id) : C4_NONE;
	const struct c4_conn *c = i != C4_NONE ? &e->demand->demand.conns[i] : NULL;

	if (!c || f->qp >= c->qps || c->src != f->nic[f->id_from] || c->dst != f->nic[!f->id_from])
		return;
	c4_path_of_route(&e->fabric->fabric, c, &e->plan.routes[c->first + f->qp],
			 &f->way[f->id_from].path);
}

static void take_id(const struct c4_routes *r, struct c4_flow *f, const C4__V1__Flow *x,
		    uint8_t from)
{
	if (!*x->id || strlen(x->id) > C4_FLOW_ID_MAX ||
	    (!strcmp(f->id, x->id) && f->qp == x->qp && f->id_from == (x->reversed ^ from)))
		return;
	strcpy(f->id, x->id);
	f->qp = x->qp;
	f->id_from = (uint8_t)(x->reversed ^ from);
	if (!f->way[f->id_from].seen_ns)
		assume_way(r, f);
}

static void take_flow(struct c4_routes *r, uint32_t host, const C4__V1__Flow *x, uint64_t now_ns)
{
	const struct c4_held_fabric *h = r->edition->fabric;
	uint32_t src = c4_held_fabric_nic_at(h, x->src), dst = c4_held_fabric_nic_at(h, x->dst);
	struct c4_flow_key k;
	struct c4_flow *f;
	uint8_t from;
	bool fresh;

	r->counts[C4_ROUTES_FLOWS]++;
	if (!flow_can_be(x) || !is_of(&h->fabric, src, host) || dst == C4_NONE ||
	    is_of(&h->fabric, dst, host)) {
		r->counts[C4_ROUTES_FLOWS_REFUSED]++;
		return;
	}
	k = c4_flow_key_of(x->src, (uint16_t)x->sport, x->dst, (uint16_t)x->dport,
			   (uint8_t)x->proto, &from);
	f = c4_flows_at(&r->flows, &k, &fresh);
	if (!f) {
		r->counts[C4_ROUTES_FLOWS_LOST]++;
		return;
	}
	f->nic[from] = src;
	f->nic[!from] = dst;
	take_end(&f->end[from], x, now_ns);
	take_id(r, f, x, from);
}

/* ---- public ---------------------------------------------------------------------------------- */

void c4_report_take(struct c4_routes *r, uint32_t host, const C4__V1__RouteReport *m,
		    uint64_t now_ns)
{
	for (size_t i = 0; i < m->n_doubts; i++)
		take_doubt(r, host, m->doubts[i]);
	for (size_t i = 0; i < m->n_flows; i++) /* first: probes speak of them */
		take_flow(r, host, m->flows[i], now_ns);
	for (size_t i = 0; i < m->n_probes; i++)
		take_probe(r, host, m->probes[i], now_ns);
}
