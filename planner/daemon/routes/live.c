// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/live.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRICKLE_GBPS 1e-5 /* less is of no interest to anybody */

static double seconds(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? (double)(now_ns - then_ns) / 1e9 : 0;
}

static json_t *address(uint32_t ipv4)
{
	struct in_addr a = {htonl(ipv4)};
	char text[INET_ADDRSTRLEN];

	return ipv4 ? json_string(inet_ntop(AF_INET, &a, text, sizeof text)) : json_null();
}

/* ---- agents ---------------------------------------------------------------------------------- */

static json_t *agent_json(const struct c4_routes *r, uint32_t host, uint64_t now_ns)
{
	const struct c4_agent *a = c4_agents_at(&r->agents, host);

	return json_pack("{s:s, s:o, s:i, s:b, s:b, s:f, s:I}", "node",
			 r->edition->fabric->fabric.hosts[host].name, "address",
			 address(a->address), "helper_port", (int)a->helper_port, "raw", a->raw,
			 "current", a->follows == r->edition->version, "age_s",
			 seconds(now_ns, a->seen_ns), "probes_sent", (json_int_t)a->probes_sent);
}

static json_t *agents_json(const struct c4_routes *r, uint64_t now_ns)
{
	json_t *list = json_array();

	for (uint32_t h = 0; r->agents.n && h < r->agents.n_hosts; h++)
		if (c4_agents_at(&r->agents, h))
			json_array_append_new(list, agent_json(r, h, now_ns));
	return list;
}

/* ---- connections -----------------------------------------------------------------------------
 */

/* One direction that carries something. */
struct live {
	const struct c4_flow *f;
	uint8_t from;
	double gbps;
};

static int faster_first(const void *a, const void *b)
{
	const struct live *x = a, *y = b;

	return x->gbps > y->gbps ? -1 : x->gbps < y->gbps;
}

static struct live *gather(const struct c4_routes *r, uint64_t now_ns, uint32_t *ret_n)
{
	struct live *v = malloc((2 * (size_t)r->flows.n + 1) * sizeof *v);
	struct c4_map_entry *e;
	uint32_t n = 0;

	if (!v)
		return NULL;
	c4_map_for_each (e, &r->flows.by_key)
		for (uint8_t from = 0; from < 2; from++) {
			double gbps = c4_flow_gbps(e->value, from, now_ns);

			if (gbps >= TRICKLE_GBPS)
				v[n++] = (struct live){e->value, from, gbps};
		}
	qsort(v, n, sizeof *v, faster_first);
	*ret_n = n;
	return v;
}

/* Switches of a way from a leaf; null where it is not known. */
static json_t *path_json(const struct c4_fabric *f, uint32_t leaf, const struct c4_path *p)
{
	json_t *list;
	uint32_t at = leaf;

	if (!p->hops)
		return json_null();
	list = json_array();
	json_array_append_new(list, json_string(f->switches[at].name));
	for (uint32_t i = 0; i < p->hops; i++) {
		at = c4_link_peer(&f->links[p->link[i]], at);
		json_array_append_new(list, json_string(f->switches[at].name));
	}
	return list;
}

/* The way that the plan means for it; hops 0: none. */
static struct c4_path planned(const struct c4_routes *r, const struct live *x)
{
	const struct c4_edition *e = r->edition;
	struct c4_path p = {.hops = 0};
	const struct c4_conn *c;
	uint32_t i;

	if (!x->f->id[0] || x->f->id_from != x->from || !e->demand)
		return p;
	i = c4_demand_find(&e->demand->demand, x->f->id);
	if (i == C4_NONE || x->f->qp >= e->demand->demand.conns[i].qps)
		return p;
	c = &e->demand->demand.conns[i];
	c4_path_of_route(&e->fabric->fabric, c, &e->plan.routes[c->first + x->f->qp], &p);
	return p;
}

/* Of probes only: what is assumed proves nothing. */
static json_t *on_plan_json(const struct c4_flow_way *w, const struct c4_path *plan)
{
	if (!w->seen_ns || !plan->hops)
		return json_null();
	return json_boolean(c4_path_equal(&w->path, plan));
}

static json_t *flow_json(const struct c4_routes *r, const struct live *x)
{
	const struct c4_fabric *f = &r->edition->fabric->fabric;
	const struct c4_nic *src = &f->nics[x->f->nic[x->from]];
	const struct c4_nic *dst = &f->nics[x->f->nic[!x->from]];
	const struct c4_flow_end *end = &x->f->end[x->from];
	const struct c4_flow_way *w = &x->f->way[x->from];
	struct c4_path plan = planned(r, x);

	return json_pack("{s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:i, s:o, s:i, s:o, s:o, "
			 "s:o, s:i}",
			 "src", f->hosts[src->host].name, "dst", f->hosts[dst->host].name, "proto",
			 (int)x->f->key.proto, "sport", (int)x->f->key.port[x->from], "dport",
			 (int)x->f->key.port[!x->from], "gbps", x->gbps, "busy_gbps",
			 end->busy_gbps, "busy", (double)end->busy, "limited", (double)end->limited,
			 "rtt_us", (int)end->rtt_us, "id",
			 x->f->id[0] ? json_string(x->f->id) : json_null(), "qp", (int)x->f->qp,
			 "path", path_json(f, src->leaf, &w->path), "planned",
			 path_json(f, src->leaf, &plan), "on_plan", on_plan_json(w, &plan),
			 "connections", (int)(end->connections ? end->connections : 1));
}

static json_t *flows_json(const struct c4_routes *r, uint64_t now_ns, uint32_t *ret_untold)
{
	json_t *list = json_array();
	uint32_t n = 0;
	struct live *v = gather(r, now_ns, &n);

	for (uint32_t i = 0; i < n && i < C4_LIVE_FLOWS_MAX; i++)
		json_array_append_new(list, flow_json(r, &v[i]));
	*ret_untold = n > C4_LIVE_FLOWS_MAX ? n - C4_LIVE_FLOWS_MAX : 0;
	free(v);
	return list;
}

/* ---- suspects -------------------------------------------------------------------------------- */

static json_t *pairs_json(const struct c4_routes *r, const struct c4_suspect *x)
{
	const struct c4_host *hosts = r->edition->fabric->fabric.hosts;
	char text[2 * C4_NAME_MAX + 2];
	json_t *list = json_array();

	for (uint32_t i = 0; i < x->n_hosts; i++) {
		snprintf(text, sizeof text, "%s>%s", hosts[x->hosts[i][0]].name,
			 hosts[x->hosts[i][1]].name);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *suspect_json(const struct c4_routes *r, const struct c4_suspect *x, uint64_t now_ns)
{
	json_t *j = json_pack(
		"{s:s, s:s, s:i, s:s, s:s, s:b, s:b, s:f, s:f, s:f, s:f, s:i, s:i, s:f, s:o}", "a",
		x->a, "b", x->b, "parallel", (int)x->parallel, "toward", x->link % 2 ? x->a : x->b,
		"kind", x->state == C4_SUSPECT_FULL || x->shared ? "congestion" : "slow-link",
		"confirmed", x->state != C4_SUSPECT_DOUBT && !x->alike, "probation",
		x->state == C4_SUSPECT_PROBATION, "nominal_gbps", (double)x->file_gbps,
		"measured_gbps", x->measured_gbps, "speed", x->speed, "peers", x->peers, "flows",
		(int)x->flows, "windows", (int)x->windows, "age_s", seconds(now_ns, x->first_ns),
		"pairs", pairs_json(r, x));

	json_object_set_new(j, "state", json_string(c4_suspect_state_name(x->state)));
	json_object_set_new(j, "given_gbps",
			    x->given_gbps > 0 || x->dead ? json_real(x->given_gbps) : json_null());
	json_object_set_new(j, "alike", json_integer(x->alike));
	json_object_set_new(j, "dead", json_boolean(x->dead));
	json_object_set_new(j, "source", json_string(c4_suspect_source_name(x->source)));
	return j;
}

static json_t *suspects_json(const struct c4_routes *r, bool all, uint64_t now_ns)
{
	const struct c4_suspects *s = &r->suspects;
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n; i++) {
		const struct c4_suspect *x = &s->v[i];
		bool told = x->state != C4_SUSPECT_CLEARED && x->file_gbps > 0 && !x->alike &&
			    !x->shared;

		if (all || told)
			json_array_append_new(list, suspect_json(r, x, now_ns));
	}
	return list;
}

/* ---- the collector's word --------------------------------------------------------------------- */

static json_t *word_json(const struct c4_routes *r, const struct c4_heard_pair *p, uint64_t now_ns)
{
	const struct c4_host *hosts = r->edition->fabric->fabric.hosts;

	return json_pack("{s:s, s:s, s:f, s:s, s:f}", "src", hosts[p->src].name, "dst",
			 hosts[p->dst].name, "times_usual", (double)p->slow, "state",
			 c4_heard_state_name(p->state), "age_s", seconds(now_ns, p->heard_ns));
}

static json_t *words_json(const struct c4_routes *r, uint64_t now_ns)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r->heard.n; i++)
		json_array_append_new(list, word_json(r, &r->heard.v[i], now_ns));
	return list;
}

/* ---- public ---------------------------------------------------------------------------------- */

json_t *c4_live_json(const struct c4_routes *r, uint64_t now_ns)
{
	json_t *flows, *j;
	uint32_t untold = 0;

	if (!r->edition)
		return json_pack("{s:[], s:[], s:i, s:[], s:[]}", "agents", "flows", "flows_untold",
				 0, "suspects", "words");
	flows = flows_json(r, now_ns, &untold);
	j = json_pack("{s:o, s:o, s:i, s:o, s:o, s:i}", "agents", agents_json(r, now_ns), "flows",
		      flows, "flows_untold", (int)untold, "suspects",
		      suspects_json(r, true, now_ns), "words", words_json(r, now_ns), "watches",
		      (int)r->suspects.watches.n);
	return j;
}

json_t *c4_live_links(const struct c4_routes *r, uint64_t now_ns, uint32_t ttl_s, uint32_t *ret_n)
{
	json_t *links = r->edition ? suspects_json(r, false, now_ns) : json_array();

	*ret_n = (uint32_t)json_array_size(links);
	return json_pack("{s:s, s:s, s:i, s:o}", "schema", "c4.links/v1", "planner",
			 r->config.instance, "ttl_s", (int)ttl_s, "links", links);
}
