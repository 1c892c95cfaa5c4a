// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/fabric/clos.h"
#include "planner/model/eval/ecmp.h"
#include "planner/model/oracle/oracle_hash.h"

static void make(struct c4_fabric *f, struct c4_clos shape)
{
	struct c4_fault fault;

	shape.gbps = 200;
	c4_fabric_init(f);
	assert_int_equal(c4_clos_make(f, &shape, &fault), 0);
}

static struct c4_clos two_tiers(uint32_t leaves, uint32_t spines, uint32_t hosts)
{
	return (struct c4_clos){leaves, spines, hosts, 1, 1, 0, 0, 200};
}

static struct c4_clos pods(uint32_t leaves, uint32_t spines, uint32_t hosts)
{
	return (struct c4_clos){leaves, spines, hosts, 1, 1, 2, 0, 200};
}

/* ---- hashes ---------------------------------------------------------------------------- */

/* CRCs of "123456789": the tuple's first nine bytes, against a bitwise CRC of the other four. */
static uint32_t slow_crc(uint32_t crc, uint32_t poly, const unsigned char *b, size_t n)
{
	while (n--) {
		crc ^= *b++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? poly ^ crc >> 1 : crc >> 1;
	}
	return crc;
}

static void test_crc_check_values(void **state)
{
	static const unsigned char text[] = "123456789ABCD";
	struct c4_tuple t = {0x31323334, 0x35363738, 0x3941, 0x4243, 0x44};
	struct c4_flowhash h;

	(void)state;
	assert_int_equal(~slow_crc(~0u, 0xEDB88320, text, 9), 0xCBF43926u);
	assert_int_equal(slow_crc(0, 0xA001, text, 9), 0xBB3D);
	c4_flowhash_init(&h, C4_FLOWHASH_CRC32);
	assert_int_equal(c4_flowhash(&h, 0, &t), ~slow_crc(~0u, 0xEDB88320, text, 13));
	c4_flowhash_init(&h, C4_FLOWHASH_CRC16);
	assert_int_equal(c4_flowhash(&h, 0, &t), slow_crc(0, 0xA001, text, 13));
}

static void test_port_tables_equal_the_hash(void **state)
{
	(void)state;
	for (int kind = 0; kind < C4_FLOWHASH_JHASH; kind++) {
		struct c4_tuple t = {0x0A000001, 0x0A00F002, 0, C4_ROCE_PORT, C4_PROTO_UDP};
		struct c4_flowhash h;
		uint32_t at_0;

		c4_flowhash_init(&h, (enum c4_flowhash_kind)kind);
		at_0 = c4_flowhash(&h, 77, &t);
		for (uint32_t port = 0; port <= 0xFFFF; port++) {
			t.sport = (uint16_t)port;
			assert_int_equal(c4_flowhash_port(&h, at_0, t.sport),
					 c4_flowhash(&h, 77, &t));
		}
	}
}

/* ---- next hops ------------------------------------------------------------------------- */

static uint32_t link_of(const struct c4_fabric *f, const char *a, const char *b)
{
	uint32_t x = c4_fabric_switch(f, a), y = c4_fabric_switch(f, b);

	for (uint32_t i = 0; i < f->n_links; i++)
		if ((f->links[i].a == x && f->links[i].b == y) ||
		    (f->links[i].a == y && f->links[i].b == x))
			return i;
	fail_msg("no link %s-%s", a, b);
	return C4_NONE;
}

static void test_dead_links_leave_groups_at_both_ends(void **state)
{
	uint32_t leaf0, leaf1, leaf2;
	struct c4_fabric f;
	struct c4_ecmp e;

	(void)state;
	make(&f, two_tiers(3, 4, 1));
	leaf0 = c4_fabric_switch(&f, "leaf0");
	leaf1 = c4_fabric_switch(&f, "leaf1");
	leaf2 = c4_fabric_switch(&f, "leaf2");
	f.links[link_of(&f, "leaf0", "spine1")].now_gbps = 0;
	f.links[link_of(&f, "leaf2", "spine3")].now_gbps = 0;
	assert_int_equal(c4_ecmp_init(&e, &f), 0);
	c4_ecmp_toward(&e, leaf1);
	assert_int_equal(c4_ecmp_group(&e, leaf0).n, 3);
	assert_int_equal(c4_ecmp_group(&e, leaf0).n_all, 4);
	assert_int_equal(c4_ecmp_group(&e, leaf2).n, 3);
	c4_ecmp_toward(&e, leaf2);
	assert_int_equal(c4_ecmp_paths(&e, leaf0), 2); /* its own dead link, and the far one */
	assert_int_equal(c4_ecmp_group(&e, leaf0).n, 2);
	assert_int_equal(c4_ecmp_paths(&e, leaf1), 3);
	c4_ecmp_release(&e);
	c4_fabric_release(&f);
}

static void test_paths_between_pods(void **state)
{
	struct c4_fabric f;
	struct c4_ecmp e;

	(void)state;
	make(&f, pods(8, 4, 1)); /* 4 leaves below a spine: 4 cores in each of 4 groups */
	assert_int_equal(c4_ecmp_init(&e, &f), 0);
	c4_ecmp_toward(&e, c4_fabric_switch(&f, "leaf7"));
	assert_int_equal(c4_ecmp_paths(&e, c4_fabric_switch(&f, "leaf0")), 16);
	assert_int_equal(c4_ecmp_paths(&e, c4_fabric_switch(&f, "leaf5")), 4);
	c4_ecmp_release(&e);
	c4_fabric_release(&f);
}

/* ---- oracle ---------------------------------------------------------------------------- */

static struct c4_oracle *oracle(struct c4_hash_model model, const struct c4_fabric *f)
{
	struct c4_oracle *o = c4_oracle_hash_new(&model);

	assert_non_null(o);
	assert_int_equal(c4_oracle_begin(o, f), 0);
	return o;
}

/* Different paths that ports take between two NICs. */
static uint32_t reached(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_path *paths,
			uint32_t cap)
{
	uint32_t n = 0;

	for (uint32_t port = C4_PORT_FIRST; port <= 0xFFFF; port++) {
		struct c4_path p;
		uint32_t i = 0;

		assert_int_equal(c4_oracle_path(o, src, dst, (uint16_t)port, &p), 0);
		while (i < n && !c4_path_equal(&p, &paths[i]))
			i++;
		if (i < n)
			continue;
		assert_true(n < cap);
		paths[n++] = p;
	}
	return n;
}

static void test_every_hash_reaches_every_path(void **state)
{
	struct c4_path paths[256];
	struct c4_fabric flat, deep;

	(void)state;
	make(&flat, two_tiers(4, 60, 1));
	make(&deep, pods(16, 8, 1));
	for (int kind = 0; kind < C4_FLOWHASH_KINDS; kind++) {
		struct c4_hash_model m = {.kind = (enum c4_flowhash_kind)kind, .seed = 5};
		struct c4_oracle *o = oracle(m, &flat);

		assert_int_equal(reached(o, 0, 3, paths, 256), 60);
		assert_int_equal(c4_oracle_begin(o, &deep), 0);
		assert_int_equal(reached(o, 0, 15, paths, 256), 64);
		assert_int_equal(reached(o, 0, 4, paths, 256), 8);
		c4_oracle_free(o);
	}
	c4_fabric_release(&flat);
	c4_fabric_release(&deep);
}

static void test_resilient_hash_moves_only_what_died(void **state)
{
	struct c4_hash_model m = {.kind = C4_FLOWHASH_CRC32, .resilient = 512};
	struct c4_fabric f;
	struct c4_oracle *o;
	struct c4_path before[C4_PORTS], now;
	uint32_t dead, moved = 0;

	(void)state;
	make(&f, two_tiers(2, 8, 1));
	o = oracle(m, &f);
	for (uint32_t i = 0; i < C4_PORTS; i++)
		assert_int_equal(c4_oracle_path(o, 0, 1, (uint16_t)(C4_PORT_FIRST | i), &before[i]),
				 0);
	dead = link_of(&f, "leaf0", "spine5");
	f.links[dead].now_gbps = 0;
	assert_int_equal(c4_oracle_begin(o, &f), 0);
	for (uint32_t i = 0; i < C4_PORTS; i++) {
		assert_int_equal(c4_oracle_path(o, 0, 1, (uint16_t)(C4_PORT_FIRST | i), &now), 0);
		assert_int_not_equal(now.link[0], dead);
		if (before[i].link[0] == dead)
			moved++;
		else
			assert_true(c4_path_equal(&now, &before[i]));
	}
	assert_in_range(moved, C4_PORTS / 16, C4_PORTS / 4);
	c4_oracle_free(o);
	c4_fabric_release(&f);
}

/* ---- ports for plans ------------------------------------------------------------------- */

struct scene {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
};

static void connect(struct scene *s, uint32_t src, uint32_t dst, uint32_t qps)
{
	struct c4_fault fault;
	char id[24];

	snprintf(id, sizeof id, "c%u", s->d.n_conns);
	assert_true(c4_demand_add(&s->d, id, 0, src, dst, 1, qps, &fault) >= 0);
}

/* QP q takes the (q mod paths)th of the paths that ports reach. */
static void plan_all(struct scene *s, struct c4_oracle *o)
{
	struct c4_path paths[1024];

	assert_int_equal(c4_plan_init(&s->p, &s->d), 0);
	for (uint32_t i = 0; i < s->d.n_conns; i++) {
		const struct c4_conn *c = &s->d.conns[i];
		uint32_t n = reached(o, c->src, c->dst, paths, 1024);

		for (uint32_t q = 0; q < c->qps; q++)
			assert_int_equal(c4_path_to_route(&s->f, s->f.nics[c->src].leaf,
							  s->f.nics[c->dst].leaf, &paths[q % n],
							  &s->p.routes[c->first + q]),
					 0);
	}
}

/* No other QP of the pair has this one's port. */
static void check_alone(const struct scene *s, const struct c4_conn *c, uint32_t qp)
{
	for (uint32_t i = 0; i < s->d.n_conns; i++) {
		const struct c4_conn *other = &s->d.conns[i];

		for (uint32_t q = other->first; q < other->first + other->qps; q++)
			if (q != qp && other->src == c->src && other->dst == c->dst)
				assert_int_not_equal(s->p.routes[q].sport, s->p.routes[qp].sport);
	}
}

/* Each port takes the path of its route, and no pair uses one twice. */
static void check_ports(struct scene *s, struct c4_oracle *o)
{
	for (uint32_t i = 0; i < s->d.n_conns; i++) {
		const struct c4_conn *c = &s->d.conns[i];

		for (uint32_t q = c->first; q < c->first + c->qps; q++) {
			struct c4_path want, got;

			assert_in_range(s->p.routes[q].sport, C4_PORT_FIRST, 0xFFFF);
			c4_path_of_route(&s->f, c, &s->p.routes[q], &want);
			assert_int_equal(
				c4_oracle_path(o, c->src, c->dst, s->p.routes[q].sport, &got), 0);
			assert_true(c4_path_equal(&want, &got));
			check_alone(s, c, q);
		}
	}
}

static void open_scene(struct scene *s, struct c4_clos shape)
{
	make(&s->f, shape);
	c4_demand_init(&s->d);
	assert_int_equal(c4_demand_job(&s->d, "j"), 0);
}

static void close_scene(struct scene *s)
{
	c4_plan_release(&s->p);
	c4_demand_release(&s->d);
	c4_fabric_release(&s->f);
}

static void test_planned_paths_get_ports(void **state)
{
	struct c4_clos shapes[] = {two_tiers(4, 7, 2), pods(8, 4, 2)};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct c4_hash_model m = {.kind = (enum c4_flowhash_kind)(3 * i), .seed = 9};
		struct c4_oracle *o;
		struct scene s = {0};

		open_scene(&s, shapes[i]);
		connect(&s, 0, 7, 7);
		connect(&s, 0, 7, 12); /* the same pair again: other ports */
		connect(&s, 0, 1, 3);  /* one leaf */
		connect(&s, 6, 1, 128);
		o = oracle(m, &s.f);
		plan_all(&s, o);
		assert_int_equal(c4_oracle_ports(o, &s.f, &s.d, &s.p), 0);
		assert_int_equal(o->stats.found, 150);
		check_ports(&s, o);
		c4_oracle_free(o);
		close_scene(&s);
	}
}

static void test_right_ports_are_kept(void **state)
{
	struct c4_hash_model m = {.kind = C4_FLOWHASH_CRC16};
	struct scene s = {0};
	struct c4_oracle *o;
	uint16_t kept, other;

	(void)state;
	open_scene(&s, two_tiers(2, 8, 1));
	connect(&s, 0, 1, 16); /* two on each path */
	o = oracle(m, &s.f);
	plan_all(&s, o);
	assert_int_equal(c4_oracle_ports(o, &s.f, &s.d, &s.p), 0);
	check_ports(&s, o);
	kept = s.p.routes[3].sport;
	other = s.p.routes[6].sport;
	s.p.routes[4].sport = kept;  /* wrong path, and taken */
	s.p.routes[5].sport = other; /* wrong path, not taken: it comes first */
	s.p.routes[9].sport = 0;     /* its path is that of 1, whose port is the nearest */
	assert_int_equal(c4_oracle_ports(o, &s.f, &s.d, &s.p), 0);
	assert_int_equal(o->stats.kept, 13);
	assert_int_equal(s.p.routes[3].sport, kept);
	assert_int_equal(s.p.routes[6].sport, other);
	check_ports(&s, o);
	c4_oracle_free(o);
	close_scene(&s);
}

/* Tiers that choose in step: n of n² paths. The others are an answer. */
static void test_polarised_paths_are_unreachable(void **state)
{
	struct c4_hash_model alike = {.kind = C4_FLOWHASH_CRC32, .alike = true}, apart = {0};
	struct c4_oracle *seen, *o;
	struct c4_path paths[64];
	struct scene s = {0};

	(void)state;
	open_scene(&s, pods(8, 4, 1));
	connect(&s, 0, 7, 16);
	seen = oracle(apart, &s.f);
	plan_all(&s, seen); /* all 16 paths */
	o = oracle(alike, &s.f);
	assert_int_equal(reached(o, 0, 7, paths, 64), 4);
	assert_int_equal(c4_oracle_ports(o, &s.f, &s.d, &s.p), 0);
	assert_int_equal(o->stats.found, 4);
	assert_int_equal(o->stats.unreachable, 12);
	for (int q = 0, none = 0; q < 16; q++) {
		none += s.p.routes[q].sport == 0;
		if (q == 15)
			assert_int_equal(none, 12);
	}
	c4_oracle_free(seen);
	c4_oracle_free(o);
	close_scene(&s);
}

static void test_more_qps_than_ports(void **state)
{
	struct c4_hash_model m = {0};
	struct scene s = {0};
	struct c4_oracle *o;

	(void)state;
	open_scene(&s, two_tiers(2, 2, 1));
	for (int i = 0; i < 130; i++)
		connect(&s, 0, 1, 128);
	o = oracle(m, &s.f);
	assert_int_equal(c4_plan_init(&s.p, &s.d), 0);
	for (uint32_t q = 0; q < s.d.n_qps; q++) {
		s.p.routes[q].state = C4_ROUTE_SPINE;
		s.p.routes[q].up = (uint16_t)c4_fabric_switch(&s.f, q % 2 ? "spine1" : "spine0");
	}
	assert_int_equal(c4_oracle_ports(o, &s.f, &s.d, &s.p), 0);
	assert_int_equal(o->stats.crowded, 130 * 128 - C4_PORTS);
	assert_int_equal(o->stats.found + o->stats.unreachable, C4_PORTS);
	assert_in_range(o->stats.found, C4_PORTS * 9 / 10, C4_PORTS);
	c4_oracle_free(o);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_check_values),
		cmocka_unit_test(test_port_tables_equal_the_hash),
		cmocka_unit_test(test_dead_links_leave_groups_at_both_ends),
		cmocka_unit_test(test_paths_between_pods),
		cmocka_unit_test(test_every_hash_reaches_every_path),
		cmocka_unit_test(test_resilient_hash_moves_only_what_died),
		cmocka_unit_test(test_planned_paths_get_ports),
		cmocka_unit_test(test_right_ports_are_kept),
		cmocka_unit_test(test_polarised_paths_are_unreachable),
		cmocka_unit_test(test_more_qps_than_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
