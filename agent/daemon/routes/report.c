// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/report.h"

#include <stdlib.h>

#include "common/ds/arena.h"
#include "route.pb-c.h"

#define ARENA_BYTES ((size_t)16 << 20)

/* n messages and the pointers to them. False: out of memory. */
static bool make_room(struct c4_arena *a, size_t n, size_t item, void *ret_items, void *ret_list)
{
	void *items = c4_arena_alloc(a, n * item + 1),
	     *list = c4_arena_alloc(a, n * sizeof(void *) + 1);

	*(void **)ret_items = items;
	*(void **)ret_list = list;
	return items && list;
}

static bool fill_probe(struct c4_arena *a, C4__V1__Probe *m, const struct c4_finding *x,
		       uint64_t now_ns)
{
	c4__v1__probe__init(m);
	m->hops = c4_arena_alloc(a, C4_FINDING_HOPS * sizeof *m->hops);
	m->hop_rtt_us = c4_arena_alloc(a, C4_FINDING_HOPS * sizeof *m->hop_rtt_us);
	if (!m->hops || !m->hop_rtt_us)
		return false;
	m->src = x->flow.src;
	m->dst = x->flow.dst;
	m->proto = x->flow.proto;
	m->sport = x->flow.sport;
	m->dport = x->flow.dport;
	m->live = x->live;
	m->drawn = x->drawn;
	m->age_ms = (uint32_t)((now_ns - x->at_ns) / 1000000u);
	m->n_hops = m->n_hop_rtt_us = x->nhops;
	for (uint32_t i = 0; i < x->nhops; i++) {
		m->hops[i] = x->hop[i].address;
		m->hop_rtt_us[i] = x->hop[i].address ? x->hop[i].rtt_us : 0;
	}
	return true;
}

static bool add_probes(struct c4_arena *a, C4__V1__RouteReport *m, const struct c4_report *r)
{
	C4__V1__Probe *probes;

	if (!make_room(a, r->findings->n, sizeof *probes, &probes, &m->probes))
		return false;
	for (uint32_t i = 0; i < r->findings->n; i++) {
		m->probes[i] = &probes[i];
		if (!fill_probe(a, &probes[i], c4_findings_get(r->findings, i), r->now_ns))
			return false;
	}
	m->n_probes = r->findings->n;
	return true;
}

static bool add_doubts(struct c4_arena *a, C4__V1__RouteReport *m, const struct c4_findings *f)
{
	C4__V1__Doubt *doubts;

	if (!make_room(a, f->ndoubts, sizeof *doubts, &doubts, &m->doubts))
		return false;
	for (uint32_t i = 0; i < f->ndoubts; i++) {
		c4__v1__doubt__init(&doubts[i]);
		doubts[i].src = f->doubt[i].src;
		doubts[i].dst = f->doubt[i].dst;
		doubts[i].wrong = f->doubt[i].wrong;
		doubts[i].tried = f->doubt[i].tried;
		m->doubts[i] = &doubts[i];
	}
	m->n_doubts = f->ndoubts;
	return true;
}

static void fill_flow(C4__V1__Flow *m, const struct c4_flow *x, const struct c4_plan *plan)
{
	c4__v1__flow__init(m);
	m->src = x->src;
	m->dst = x->dst;
	m->proto = x->proto;
	m->sport = x->sport;
	m->dport = x->dport;
	m->initiated = x->initiated;
	m->sent_bytes = x->sent_bytes;
	m->received_bytes = x->received_bytes;
	m->interval_ms = x->interval_ms;
	m->busy_ms = x->busy_ms;
	m->limited_ms = x->limited_ms;
	m->rtt_us = x->rtt_us;
	m->min_rtt_us = x->min_rtt_us;
	m->retransmits = x->retransmits;
	m->connections = x->connections;
	if (plan && x->route && x->route <= plan->nroutes) {
		m->id = (char *)plan->routes[x->route - 1].id;
		m->qp = plan->routes[x->route - 1].qp;
		m->reversed = x->reversed;
	}
}

static bool add_flows(struct c4_arena *a, C4__V1__RouteReport *m, const struct c4_report *r)
{
	C4__V1__Flow *flows;

	if (!make_room(a, r->nflows, sizeof *flows, &flows, &m->flows))
		return false;
	for (uint32_t i = 0; i < r->nflows; i++) {
		fill_flow(&flows[i], &r->flows[i], r->plan);
		m->flows[i] = &flows[i];
	}
	m->n_flows = r->nflows;
	return true;
}

static void *pack(const C4__V1__RouteReport *m, size_t *ret_len)
{
	size_t len = c4__v1__route_report__get_packed_size(m);
	void *data = malloc(len ? len : 1);

	if (!data)
		return NULL;
	*ret_len = c4__v1__route_report__pack(m, data);
	return data;
}

void *c4_report_encode(const struct c4_report *r, size_t *ret_len)
{
	C4__V1__RouteReport m = C4__V1__ROUTE_REPORT__INIT;
	struct c4_arena arena;
	void *data = NULL;

	c4_arena_init(&arena, ARENA_BYTES);
	m.node = (char *)r->node;
	m.agent_instance = r->instance;
	if (r->plan) {
		m.plan_instance = (char *)r->plan->instance;
		m.plan_version = r->plan->version;
	}
	m.addresses = (uint32_t *)r->addresses;
	m.n_addresses = r->naddresses;
	m.helper_port = r->helper_port;
	m.raw = r->raw;
	m.probes_sent = r->probes_sent;
	m.last = r->last;
	if (add_probes(&arena, &m, r) && add_doubts(&arena, &m, r->findings) &&
	    add_flows(&arena, &m, r))
		data = pack(&m, ret_len);
	c4_arena_release(&arena);
	return data;
}
