// SPDX-License-Identifier: BSD-3-Clause
/*
 * planner_agents [--quick] [HOSTS]: what a planner costs on the loop's thread when HOSTS agents
 * report once a second: each has FLOWS connections to other hosts, half of them planned, and looks
 * for ports (PROBES draws) now and then. Reports are made as they come, which is not measured; taking
 * them, answering, and the tick are. One JSON line per number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "planner/daemon/routes/routes.h"
#include "planner/model/fabric/clos.h"
#include "route.pb-c.h"

#define S	   1000000000ull
#define LEAF_HOSTS 16u
#define SPINES	   32u
#define FLOWS	   64u
#define PROBES	   32u
#define PROBING	   10u /* one host of so many looks for ports in a second */
#define NIC(h)	   (0x0A000001u + (h))
#define SWITCH(i)  (0x0B000001u + (i))
#define ROOM	   (1u << 20)
#define TICKS	   5u /* a second */

struct world {
	struct c4_held_fabric *fabric;
	struct c4_edition *edition;
	struct c4_routes r;
	uint32_t hosts;
	uint64_t now_ns, random;
	uint64_t exchange_ns, tick_ns, reports;
	C4__V1__Flow flows[FLOWS];
	C4__V1__Probe probes[PROBES];
	C4__V1__Flow *flow_list[FLOWS];
	C4__V1__Probe *probe_list[PROBES];
	uint32_t hops[PROBES][2];
	uint8_t *body;
};

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static void stop(const char *what)
{
	fprintf(stderr, "planner_agents: %s\n", what);
	exit(1);
}

static uint32_t roll(struct world *w, uint32_t n)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % n;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static void make_fabric(struct world *w)
{
	const struct c4_clos shape = {.leaves = w->hosts / LEAF_HOSTS,
				      .spines = SPINES,
				      .hosts_per_leaf = LEAF_HOSTS,
				      .rails = 1,
				      .planes = 1,
				      .gbps = 400};
	struct c4_fabric f;

	c4_fabric_init(&f);
	if (c4_clos_make(&f, &shape, NULL))
		stop("no fabric");
	for (uint32_t i = 0; i < f.n_nics; i++) {
		f.nics[i].ipv4 = NIC(i);
		f.nics[i].gbps = 400;
	}
	for (uint32_t i = 0; i < f.n_switches; i++)
		if (c4_fabric_add_address(&f, i, SWITCH(i), NULL) < 0)
			stop("no address");
	w->fabric = c4_held_fabric_new(&f);
	if (!w->fabric)
		stop("out of memory");
}

/* To whom host h has its k-th connection: another leaf each time. */
static uint32_t peer(const struct world *w, uint32_t h, uint32_t k)
{
	return (h + (k + 1) * LEAF_HOSTS) % w->hosts;
}

static void make_edition(struct world *w)
{
	const struct c4_fabric *f = &w->fabric->fabric;
	const struct c4_links none = {0};
	struct c4_held_demand *hd;
	struct c4_route *backups;
	uint64_t *changed;
	struct c4_demand d;
	struct c4_plan p;

	c4_demand_init(&d);
	c4_demand_job(&d, "j");
	for (uint32_t h = 0; h < w->hosts; h++)
		for (uint32_t k = 0; k < FLOWS / 2; k++) {
			char id[32];

			snprintf(id, sizeof id, "%u>%u", h, k);
			if (c4_demand_add(&d, id, 0, h, peer(w, h, k), 1, 1, NULL) < 0)
				stop("no demand");
		}
	if (c4_plan_init(&p, &d))
		stop("out of memory");
	for (uint32_t i = 0; i < d.n_qps; i++) {
		uint16_t spine = (uint16_t)(f->n_switches - 1 - i % SPINES);

		p.routes[i] = (struct c4_route){
			.state = C4_ROUTE_SPINE, .up = spine, .down = spine, .share = 1};
	}
	backups = calloc(d.n_qps, sizeof *backups);
	changed = calloc(d.n_qps, sizeof *changed);
	hd = c4_held_demand_new(&d);
	w->edition = backups && changed && hd
			     ? c4_edition_new(w->fabric, hd, &p, backups, changed, &none,
					      c4_delta_new(1, 0, NULL, NULL))
			     : NULL;
	if (!w->edition || c4_routes_follow(&w->r, w->edition, w->now_ns, 1))
		stop("out of memory");
	c4_held_demand_drop(hd);
	c4_plan_release(&p);
	free(backups);
	free(changed);
}

/* ---- reports --------------------------------------------------------------------------------- */

static void fill_flows(struct world *w, C4__V1__RouteReport *m, uint32_t h)
{
	for (uint32_t k = 0; k < FLOWS; k++) {
		C4__V1__Flow *x = &w->flows[k];

		c4__v1__flow__init(x);
		x->src = NIC(h);
		x->dst = NIC(peer(w, h, k));
		x->proto = 6;
		x->sport = 61000 + k;
		x->dport = 5000;
		x->initiated = 1;
		x->sent_bytes = 500000000u + roll(w, 100000000u);
		x->interval_ms = 1000;
		x->busy_ms = 500;
		x->rtt_us = 50;
		w->flow_list[k] = x;
	}
	m->n_flows = FLOWS;
	m->flows = w->flow_list;
}

static void fill_probes(struct world *w, C4__V1__RouteReport *m, uint32_t h)
{
	const struct c4_fabric *f = &w->fabric->fabric;

	for (uint32_t k = 0; k < PROBES; k++) {
		C4__V1__Probe *x = &w->probes[k];

		c4__v1__probe__init(x);
		x->src = NIC(h);
		x->dst = NIC(peer(w, h, k));
		x->proto = 6;
		x->sport = 61000 + roll(w, 4000);
		x->dport = 5000;
		x->drawn = 1;
		w->hops[k][0] = SWITCH(f->nics[h].leaf);
		w->hops[k][1] = SWITCH(f->n_switches - 1 - roll(w, SPINES));
		x->hops = w->hops[k];
		x->n_hops = 2;
		w->probe_list[k] = x;
	}
	m->n_probes = PROBES;
	m->probes = w->probe_list;
}

static void report(struct world *w, uint32_t h, bool first)
{
	C4__V1__RouteReport m = C4__V1__ROUTE_REPORT__INIT;
	struct c4_routes_ask ask = {.body = w->body, .standing = true, .now_ns = w->now_ns};
	struct c4_buf out = {0};
	struct c4_fault fault;
	uint64_t begin;
	char node[16];

	snprintf(node, sizeof node, "h%u", h);
	m.node = node;
	m.agent_instance = h + 1;
	m.helper_port = 7000;
	m.raw = 1;
	m.plan_instance = (char *)(first ? "" : "me");
	m.plan_version = first ? 0 : w->edition->version;
	fill_flows(w, &m, h);
	if (!roll(w, PROBING))
		fill_probes(w, &m, h);
	ask.bytes = c4__v1__route_report__pack(&m, w->body);
	begin = cpu_ns();
	if (c4_routes_exchange(&w->r, &ask, &out, &fault))
		stop(fault.what);
	w->exchange_ns += cpu_ns() - begin;
	w->reports++;
	c4_buf_release(&out);
}

static void second(struct world *w, bool first)
{
	for (uint32_t t = 0; t < TICKS; t++) {
		uint64_t begin;

		for (uint32_t h = t; h < w->hosts; h += TICKS)
			report(w, h, first);
		w->now_ns += S / TICKS;
		begin = cpu_ns();
		c4_routes_tick(&w->r, w->now_ns);
		w->tick_ns += cpu_ns() - begin;
	}
}

int main(int argc, char **argv)
{
	bool quick = argc > 1 && !strcmp(argv[1], "--quick");
	struct world w = {.hosts = 1024, .now_ns = 1000 * S, .random = 1};
	uint32_t seconds = quick ? 5 : 20;
	double cores;

	if (argc > 1 + quick)
		w.hosts = (uint32_t)strtoul(argv[1 + quick], NULL, 10) / LEAF_HOSTS * LEAF_HOSTS;
	if (w.hosts < 2 * LEAF_HOSTS)
		stop("too few hosts");
	c4_log_set_level(C4_LOG_ERROR);
	w.body = malloc(ROOM);
	if (!w.body)
		stop("out of memory");
	c4_routes_init(&w.r, &(struct c4_routes_config){.instance = "me",
							.demands = true,
							.pairs = {.keep_ns = 600 * S},
							.hold_ns = 30 * S});
	make_fabric(&w);
	make_edition(&w);
	second(&w, true);
	second(&w, false);
	w.exchange_ns = w.tick_ns = w.reports = 0;
	for (uint32_t i = 0; i < seconds; i++)
		second(&w, false);
	cores = (double)(w.exchange_ns + w.tick_ns) / (double)(seconds * S);
	fprintf(stderr, "%u hosts, %u flows each: %.1f us a report, %.1f ms of ticks a second\n",
		w.hosts, FLOWS, (double)w.exchange_ns / 1e3 / (double)w.reports,
		(double)w.tick_ns / 1e6 / seconds);
	printf("{\"bench\":\"planner_agents\",\"value\":%.4f,\"unit\":\"cores\",\"budget\":1,"
	       "\"ok\":%s}\n",
	       cores, cores <= 1 ? "true" : "false");
	c4_routes_release(&w.r);
	c4_edition_drop(w.edition);
	c4_held_fabric_drop(w.fabric);
	free(w.body);
	return cores > 1;
}
