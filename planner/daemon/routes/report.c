// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/report.h"

#include <errno.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/model/oracle/label.h"

#define TCP	   6u
#define UDP	   17u
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

	if (!r->learns || p->proto != UDP || p->dport != RDMA_PORT || p->sport < C4_PORT_FIRST ||
	    p->age_ms > AGE_MAX_MS || !seen->path.hops)
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

static bool is_of(const struct c4_fabric *f, uint32_t nic, uint32_t host)
{
	return nic != C4_NONE && f->nics[nic].host == host;
}

static void take_probe(struct c4_routes *r, uint32_t host, const C4__V1__Probe *p, uint64_t now_ns)
{
	const struct c4_fabric *f = &r->edition->fabric->fabric;
	struct c4_seen seen;

	(void)now_ns;
	r->counts[C4_ROUTES_PROBES]++;
	if (!probe_can_be(p) || !c4_report_path(r->edition->fabric, p, &seen) ||
	    (!is_of(f, seen.src, host) && !is_of(f, seen.dst, host))) {
		r->counts[C4_ROUTES_PROBES_REFUSED]++;
		return;
	}
	learn(r, p, &seen);
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

/* ---- public ---------------------------------------------------------------------------------- */

void c4_report_take(struct c4_routes *r, uint32_t host, const C4__V1__RouteReport *m,
		    uint64_t now_ns)
{
	for (size_t i = 0; i < m->n_doubts; i++)
		take_doubt(r, host, m->doubts[i]);
	for (size_t i = 0; i < m->n_probes; i++)
		take_probe(r, host, m->probes[i], now_ns);
}
