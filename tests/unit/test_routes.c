// SPDX-License-Identifier: BSD-3-Clause
/* POST /v1/routes without HTTP: what is taken over, what is refused, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/daemon/routes/routes.h"
#include "planner/model/fabric/clos.h"
#include "route.pb-c.h"

#define S	  1000000000ull
#define WALL	  1000u
#define NIC(h)	  (0x0A000001u + (h))
#define SWITCH(i) (0x0A010001u + (i))

/* 2 leaves of 2 hosts, 2 spines; c0: h0 → h2 by spine1, c1: h1 → h3 by spine0, c2: h0 → h1. */
struct scene {
	struct c4_held_fabric *fabric;
	struct c4_edition *edition;
	struct c4_routes r;
	uint64_t now_ns;
	C4__V1__RouteReport m;
	C4__V1__RouteAnswer *answer;
	struct c4_fault fault;
};

static struct c4_held_fabric *make_fabric(void)
{
	static const struct c4_clos shape = {
		.leaves = 2, .spines = 2, .hosts_per_leaf = 2, .rails = 1, .planes = 1, .gbps = 10};
	struct c4_held_fabric *h;
	struct c4_fabric f;

	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, NULL), 0);
	for (uint32_t i = 0; i < f.n_nics; i++)
		f.nics[i].ipv4 = NIC(i);
	for (uint32_t i = 0; i < f.n_switches; i++)
		assert_true(c4_fabric_add_address(&f, i, SWITCH(i), NULL) >= 0);
	h = c4_held_fabric_new(&f);
	assert_non_null(h);
	return h;
}

static struct c4_route by(const struct c4_fabric *f, const char *spine)
{
	uint16_t up = (uint16_t)c4_fabric_switch(f, spine);

	return (struct c4_route){.state = C4_ROUTE_SPINE, .up = up, .down = up, .share = 1};
}

static struct c4_edition *make_edition(struct c4_held_fabric *h, uint64_t version)
{
	const struct c4_links none = {0};
	uint64_t changed[3] = {0};
	struct c4_route backups[3] = {{0}};
	struct c4_held_demand *hd;
	struct c4_edition *e;
	struct c4_demand d;
	struct c4_plan p;

	c4_demand_init(&d);
	c4_demand_job(&d, "j");
	assert_int_equal(c4_demand_add(&d, "c0", 0, 0, 2, 1, 1, NULL), 0);
	assert_int_equal(c4_demand_add(&d, "c1", 0, 1, 3, 1, 1, NULL), 1);
	assert_int_equal(c4_demand_add(&d, "c2", 0, 0, 1, 1, 1, NULL), 2);
	assert_int_equal(c4_plan_init(&p, &d), 0);
	p.routes[0] = by(&h->fabric, "spine1");
	p.routes[1] = by(&h->fabric, "spine0");
	p.routes[2].state = C4_ROUTE_LOCAL;
	hd = c4_held_demand_new(&d);
	e = c4_edition_new(h, hd, &p, backups, changed, &none,
			   c4_delta_new(version, 0, NULL, NULL));
	assert_non_null(e);
	c4_plan_release(&p);
	c4_held_demand_drop(hd);
	return e;
}

static void follow(struct scene *s, uint64_t version)
{
	struct c4_edition *e = make_edition(s->fabric, version);

	assert_int_equal(c4_routes_follow(&s->r, e, s->now_ns, WALL * version), 0);
	c4_edition_drop(s->edition);
	s->edition = e;
}

static void fresh_report(struct scene *s, const char *node)
{
	c4__v1__route_report__init(&s->m);
	s->m.node = (char *)node;
	s->m.agent_instance = 7;
	s->m.helper_port = 7000;
}

static int setup(void **state)
{
	static const struct c4_routes_config config = {.instance = "me", .learns = true};
	struct scene *s = calloc(1, sizeof *s);

	c4_log_set_level(C4_LOG_ERROR);
	s->now_ns = 1000 * S;
	s->fabric = make_fabric();
	c4_routes_init(&s->r, &config);
	follow(s, 1);
	fresh_report(s, "h0");
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	if (s->answer)
		c4__v1__route_answer__free_unpacked(s->answer, NULL);
	c4_routes_release(&s->r);
	c4_edition_drop(s->edition);
	c4_held_fabric_drop(s->fabric);
	free(s);
	return 0;
}

/* Sends s->m from this address; the answer is in s->answer. */
static int send_from(struct scene *s, uint32_t peer)
{
	static uint8_t body[1 << 20];
	struct c4_routes_ask ask = {
		.body = body, .peer = peer, .standing = true, .now_ns = s->now_ns};
	struct c4_buf out = {0};
	int rc;

	assert_true(c4__v1__route_report__get_packed_size(&s->m) <= sizeof body);
	ask.bytes = c4__v1__route_report__pack(&s->m, body);
	rc = c4_routes_exchange(&s->r, &ask, &out, &s->fault);
	if (s->answer)
		c4__v1__route_answer__free_unpacked(s->answer, NULL);
	s->answer =
		rc ? NULL : c4__v1__route_answer__unpack(NULL, out.len, (const uint8_t *)out.data);
	assert_true(rc || s->answer);
	c4_buf_release(&out);
	return rc;
}

static void say(struct scene *s)
{
	assert_int_equal(send_from(s, 0x7F000001), 0);
}

static void say_as(struct scene *s, const char *node, uint32_t peer)
{
	fresh_report(s, node);
	assert_int_equal(send_from(s, peer), 0);
}

static void confirm_answer(struct scene *s)
{
	static char instance[32];

	strcpy(instance, s->answer->plan_instance);
	s->m.plan_instance = instance;
	s->m.plan_version = s->answer->plan_version;
}

/* ---- answers --------------------------------------------------------------------------------- */

static void test_routes_of_both_ends(void **state)
{
	struct scene *s = *state;
	const C4__V1__Route *r;

	say(s);
	assert_int_equal(s->answer->n_routes, 1); /* not the one under the leaf */
	r = s->answer->routes[0];
	assert_string_equal(r->id, "c0");
	assert_int_equal(r->src, NIC(0));
	assert_int_equal(r->dst, NIC(2));
	assert_int_equal(r->n_path, 3);
	assert_string_equal(s->answer->switches[r->path[1]]->name, "spine1");
	assert_int_equal(s->answer->switches[r->path[1]]->addresses[0],
			 SWITCH(c4_fabric_switch(&s->fabric->fabric, "spine1")));
	assert_int_equal(s->answer->n_switches, 4); /* the spine that is on no route, too */
	say_as(s, "h3", 0);
	assert_int_equal(s->answer->n_routes, 1);
	assert_string_equal(s->answer->routes[0]->id, "c1");
}

static void test_unchanged_needs_all_of_it(void **state)
{
	struct scene *s = *state;

	say(s);
	assert_false(s->answer->unchanged);
	say(s); /* it does not say that it has anything */
	assert_false(s->answer->unchanged);
	confirm_answer(s);
	say(s);
	assert_true(s->answer->unchanged);
	assert_int_equal(s->answer->n_routes, 0);
	s->m.agent_instance++; /* another agent never heard it */
	say(s);
	assert_false(s->answer->unchanged);
	say(s);
	assert_true(s->answer->unchanged);
	follow(s, 2);
	say(s);
	assert_false(s->answer->unchanged);
	s->m.plan_instance = (char *)"other";
	say(s);
	assert_false(s->answer->unchanged);
}

static void test_standing_is_told(void **state)
{
	struct scene *s = *state;
	struct c4_routes_ask ask = {.body = "", .now_ns = s->now_ns};
	struct c4_buf out = {0};
	uint8_t body[64];

	ask.body = body;
	ask.bytes = c4__v1__route_report__pack(&s->m, body);
	assert_int_equal(c4_routes_exchange(&s->r, &ask, &out, NULL), 0);
	s->answer = c4__v1__route_answer__unpack(NULL, out.len, (const uint8_t *)out.data);
	assert_false(s->answer->standing);
	c4_buf_release(&out);
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void test_peers_at_the_other_ends(void **state)
{
	struct scene *s = *state;

	say_as(s, "h2", 0xC0A80002);
	say_as(s, "h3", 0xC0A80003); /* nothing to do with h0 */
	say_as(s, "h0", 0xC0A80000);
	assert_int_equal(s->answer->n_peers, 1);
	assert_int_equal(s->answer->peers[0]->agent, 0xC0A80002);
	assert_int_equal(s->answer->peers[0]->helper_port, 7000);
	assert_int_equal(s->answer->peers[0]->addresses[0], NIC(2));
	confirm_answer(s);
	say(s);
	s->m.plan_version = 0;
	say_as(s, "h2", 0xC0A80009); /* moved */
	say_as(s, "h0", 0xC0A80000);
	assert_int_equal(s->answer->peers[0]->agent, 0xC0A80009);
}

static void test_loopback_is_nobodys_address(void **state)
{
	struct scene *s = *state;
	uint32_t addresses[] = {0x7F000001, NIC(2)};

	fresh_report(s, "h2");
	s->m.addresses = addresses;
	s->m.n_addresses = 2;
	assert_int_equal(send_from(s, 0x7F000001), 0);
	say_as(s, "h0", 0x7F000001);
	assert_int_equal(s->answer->n_peers, 1);
	assert_int_equal(s->answer->peers[0]->agent, NIC(2));
}

static void test_silent_agents_are_forgotten(void **state)
{
	struct scene *s = *state;

	say_as(s, "h2", 0xC0A80002);
	s->now_ns += C4_AGENT_SILENT_NS - S / 2;
	c4_routes_tick(&s->r, s->now_ns);
	say_as(s, "h0", 0xC0A80000);
	assert_int_equal(s->answer->n_peers, 1);
	confirm_answer(s);
	s->now_ns += S;
	c4_routes_tick(&s->r, s->now_ns);
	say(s);
	assert_false(s->answer->unchanged);
	assert_int_equal(s->answer->n_peers, 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_refused_reports(void **state)
{
	struct scene *s = *state;
	static uint32_t addresses[257];

	fresh_report(s, "nobody");
	assert_int_equal(send_from(s, 0), -ENOENT);
	fresh_report(s, "");
	assert_int_equal(send_from(s, 0), -EINVAL);
	fresh_report(s, "h 0");
	assert_int_equal(send_from(s, 0), -EINVAL);
	fresh_report(s, "h0");
	s->m.helper_port = 65536;
	assert_int_equal(send_from(s, 0), -EINVAL);
	fresh_report(s, "h0");
	s->m.addresses = addresses;
	s->m.n_addresses = 257;
	assert_int_equal(send_from(s, 0), -EINVAL);
	assert_int_equal(s->r.counts[C4_ROUTES_REFUSED], 5);
	assert_int_equal(s->r.agents.n, 0);
}

static void test_before_there_is_a_fabric(void **state)
{
	struct scene *s = *state;
	struct c4_routes_config config = s->r.config;

	c4_routes_release(&s->r);
	c4_routes_init(&s->r, &config);
	assert_int_equal(send_from(s, 0), -EAGAIN);
}

/* ---- connections -----------------------------------------------------------------------------
 */

static C4__V1__Flow flow_of(uint32_t src, uint32_t dst)
{
	C4__V1__Flow f = C4__V1__FLOW__INIT;

	f.src = NIC(src);
	f.dst = NIC(dst);
	f.proto = 6;
	f.sport = 61000;
	f.dport = 5000;
	f.sent_bytes = 125000000;
	f.interval_ms = 1000;
	f.busy_ms = 500;
	return f;
}

static void say_flow(struct scene *s, C4__V1__Flow *f)
{
	s->m.flows = &f;
	s->m.n_flows = 1;
	say(s);
	s->m.n_flows = 0;
}

static struct c4_flow *the_flow(struct scene *s)
{
	uint8_t from;
	struct c4_flow_key k = c4_flow_key_of(NIC(0), 61000, NIC(2), 5000, 6, &from);

	return c4_flows_find(&s->r.flows, &k);
}

static void test_flow_is_taken(void **state)
{
	struct scene *s = *state;
	C4__V1__Flow f = flow_of(0, 2);

	f.id = (char *)"c0";
	say_flow(s, &f);
	assert_non_null(the_flow(s));
	assert_true(c4_flow_gbps(the_flow(s), 0, s->now_ns) == 1);
	assert_true(the_flow(s)->end[0].busy_gbps == 2);
	assert_int_equal(the_flow(s)->way[0].path.hops, 2); /* that of its route */
	assert_int_equal(the_flow(s)->way[1].path.hops, 0);
	assert_int_equal(s->r.counts[C4_ROUTES_FLOWS_REFUSED], 0);
}

static void test_flows_that_cannot_be(void **state)
{
	struct scene *s = *state;
	C4__V1__Flow f = flow_of(1, 2); /* of another host */

	say_flow(s, &f);
	f = flow_of(0, 0);
	say_flow(s, &f);
	f = flow_of(0, 9); /* nobody's address */
	say_flow(s, &f);
	f = flow_of(0, 2);
	f.proto = 1;
	say_flow(s, &f);
	f = flow_of(0, 2);
	f.sport = 65536;
	say_flow(s, &f);
	f = flow_of(0, 2);
	f.interval_ms = 0;
	say_flow(s, &f);
	f = flow_of(0, 2);
	f.sent_bytes = UINT64_MAX;
	say_flow(s, &f);
	assert_int_equal(s->r.counts[C4_ROUTES_FLOWS_REFUSED], 7);
	assert_int_equal(s->r.flows.n, 0);
	f = flow_of(0, 2);
	f.busy_ms = f.limited_ms = 99999; /* more than there was time */
	say_flow(s, &f);
	assert_true(the_flow(s)->end[0].busy == 1 && the_flow(s)->end[0].limited == 1);
}

/* ---- observations ---------------------------------------------------------------------------- */

static void say_probe(struct scene *s, uint32_t src, uint32_t dst, uint32_t proto, uint32_t dport,
		      const char *spine)
{
	C4__V1__Probe p = C4__V1__PROBE__INIT, *list = &p;
	const struct c4_fabric *f = &s->fabric->fabric;
	uint32_t hops[] = {0, SWITCH(c4_fabric_switch(f, spine))}, rtts[] = {10, 20, 30};

	p.src = NIC(src);
	p.dst = NIC(dst);
	p.proto = proto;
	p.sport = 61000;
	p.dport = dport;
	p.hops = hops;
	p.n_hops = 2;
	p.hop_rtt_us = rtts;
	p.n_hop_rtt_us = 3;
	s->m.probes = &list;
	s->m.n_probes = 1;
	say(s);
	s->m.n_probes = 0;
}

static void test_rdma_probes_are_learned(void **state)
{
	struct scene *s = *state;

	say_probe(s, 0, 2, 17, 4791, "spine0");
	assert_int_equal(s->r.n_seen, 1);
	assert_int_equal(s->r.seen[0].sport, 61000);
	assert_int_equal(s->r.seen[0].path.hops, 2);
	say_probe(s, 0, 2, 6, 4791, "spine0"); /* TCP takes other paths */
	say_probe(s, 0, 2, 17, 5000, "spine0");
	assert_int_equal(s->r.n_seen, 1);
	assert_int_equal(s->r.counts[C4_ROUTES_PROBES_REFUSED], 0);
	say_probe(s, 0, 2, 17, 4791, "leaf0");
	say_probe(s, 1, 2, 17, 4791, "spine0");
	assert_int_equal(s->r.counts[C4_ROUTES_PROBES_REFUSED], 2);
	s->r.config.learns = false;
	say_probe(s, 0, 2, 17, 4791, "spine0");
	assert_int_equal(s->r.n_seen, 1);
}

static void test_probe_tells_the_way_of_a_connection(void **state)
{
	struct scene *s = *state;
	C4__V1__Flow f = flow_of(0, 2);
	uint32_t spine0 = c4_fabric_switch(&s->fabric->fabric, "spine0");

	f.id = (char *)"c0";
	say_flow(s, &f);
	say_probe(s, 0, 2, 6, 5000, "spine0"); /* not where it should be */
	assert_int_equal(s->fabric->fabric.links[the_flow(s)->way[0].path.link[0]].b, spine0);
	assert_int_equal(the_flow(s)->way[0].rtt_us[1], 20);
	assert_int_equal(s->r.flows.n, 1);
	say_probe(s, 0, 2, 6, 5001, "spine0"); /* of no connection that is there */
	assert_int_equal(s->r.flows.n, 1);
}

static void test_doubts_are_of_leaves(void **state)
{
	struct scene *s = *state;
	C4__V1__Doubt d = C4__V1__DOUBT__INIT, *list[] = {&d, &d};

	d.src = NIC(0);
	d.dst = NIC(2);
	d.tried = 3;
	s->m.doubts = list;
	s->m.n_doubts = 2;
	say(s); /* nothing was wrong */
	assert_int_equal(s->r.n_doubts, 0);
	d.wrong = 1;
	say(s);
	assert_int_equal(s->r.n_doubts, 1);
	assert_int_equal(s->r.doubts[0], c4_fabric_switch(&s->fabric->fabric, "leaf0"));
	d.src = NIC(2); /* another's */
	say(s);
	assert_int_equal(s->r.n_doubts, 1);
}

/* ---- epochs ---------------------------------------------------------------------------------- */

static uint64_t epoch_of(struct scene *s, const char *name)
{
	fresh_report(s, "h0");
	say(s);
	for (size_t i = 0; i < s->answer->n_switches; i++)
		if (!strcmp(s->answer->switches[i]->name, name))
			return s->answer->switches[i]->epoch;
	return 0;
}

static void test_epochs_only_of_what_changed(void **state)
{
	struct scene *s = *state;
	uint32_t spine = c4_fabric_switch(&s->fabric->fabric, "spine1");

	assert_int_equal(epoch_of(s, "spine1"), 1);
	s->fabric->fabric.switches[spine].epoch++;
	assert_int_equal(epoch_of(s, "spine1"), 1); /* the plan was not published */
	follow(s, 2);
	assert_int_equal(epoch_of(s, "spine1"), 2 * WALL);
	assert_int_equal(epoch_of(s, "leaf0"), 1);
	follow(s, 3);
	assert_int_equal(epoch_of(s, "spine1"), 2 * WALL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_routes_of_both_ends),
		T(test_unchanged_needs_all_of_it),
		T(test_standing_is_told),
		T(test_peers_at_the_other_ends),
		T(test_loopback_is_nobodys_address),
		T(test_silent_agents_are_forgotten),
		T(test_refused_reports),
		T(test_before_there_is_a_fabric),
		T(test_flow_is_taken),
		T(test_flows_that_cannot_be),
		T(test_rdma_probes_are_learned),
		T(test_probe_tells_the_way_of_a_connection),
		T(test_doubts_are_of_leaves),
		T(test_epochs_only_of_what_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
