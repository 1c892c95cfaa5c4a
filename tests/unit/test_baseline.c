// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/eval/baseline.h"
#include "planner/model/fabric/clos.h"
#include "planner/model/oracle/oracle_hash.h"

struct scene {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
};

static void open_scene(struct scene *s, struct c4_clos shape)
{
	struct c4_fault fault;

	*s = (struct scene){0};
	c4_fabric_init(&s->f);
	assert_int_equal(c4_clos_make(&s->f, &shape, &fault), 0);
	c4_demand_init(&s->d);
	c4_demand_job(&s->d, "j");
}

static void connect_weighted(struct scene *s, uint32_t src, uint32_t dst, double weight,
			     uint32_t qps)
{
	struct c4_fault fault;
	char id[24];

	snprintf(id, sizeof id, "c%u", s->d.n_conns);
	assert_true(c4_demand_add(&s->d, id, 0, src, dst, weight, qps, &fault) >= 0);
}

static void connect(struct scene *s, uint32_t src, uint32_t dst, uint32_t qps)
{
	connect_weighted(s, src, dst, 1, qps);
}

static void replan(struct scene *s)
{
	c4_plan_release(&s->p);
	assert_int_equal(c4_plan_init(&s->p, &s->d), 0);
}

static void close_scene(struct scene *s)
{
	c4_plan_release(&s->p);
	c4_demand_release(&s->d);
	c4_fabric_release(&s->f);
}

static struct c4_clos flat(uint32_t leaves, uint32_t spines, uint32_t hosts)
{
	return (struct c4_clos){leaves, spines, hosts, 1, 1, 0, 0, 200};
}

/* Between two leaf groups greedy is perfect: the published benchmark cannot tell it from exact. */
static void test_greedy_is_perfect_between_two_leaves(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, flat(2, 8, 8));
	for (uint32_t i = 0; i < 8; i++)
		connect(&s, i, 8 + i, 1);
	replan(&s);
	assert_int_equal(c4_baseline_greedy(&s.f, &s.d, 1, &s.p), 0);
	assert_true(s.p.max_load > 0.999 && s.p.max_load < 1.001);
	close_scene(&s);
}

/* Four flows that fit one to a link, in an order after which the last one finds no free pair. */
static void test_greedy_can_be_trapped(void **state)
{
	struct scene s;
	bool trapped = false;

	(void)state;
	open_scene(&s, flat(4, 2, 2));
	connect(&s, 0, 2, 1); /* leaf0 → leaf1 */
	connect(&s, 4, 6, 1); /* leaf2 → leaf3: may take the same spine, or not */
	connect(&s, 1, 7, 1); /* leaf0 → leaf3: needs both to have taken the same one */
	for (uint64_t seed = 0; seed < 16; seed++) {
		replan(&s);
		assert_int_equal(c4_baseline_greedy(&s.f, &s.d, seed, &s.p), 0);
		trapped |= s.p.max_load > 1.5;
	}
	assert_true(trapped);
	close_scene(&s);
}

static void test_greedy_avoids_slow_and_dead_links(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, flat(2, 3, 4));
	for (uint32_t i = 0; i < 3; i++)
		connect(&s, i, 4 + i, 1);
	for (uint32_t i = 0; i < s.f.n_links; i++) {
		if (s.f.links[i].b == c4_fabric_switch(&s.f, "spine1"))
			s.f.links[i].now_gbps = 0;
		if (s.f.links[i].b == c4_fabric_switch(&s.f, "spine2"))
			s.f.links[i].now_gbps = 100;
	}
	replan(&s);
	assert_int_equal(c4_baseline_greedy(&s.f, &s.d, 1, &s.p), 0);
	assert_true(s.p.max_util > 1.999 && s.p.max_util < 2.001); /* two fast, one slow */
	close_scene(&s);
}

/* What is there stays and counts; only what is new is placed. */
static void test_greedy_adds_to_what_is_there(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, flat(2, 2, 2));
	connect(&s, 0, 2, 1);
	connect(&s, 1, 3, 1);
	for (uint32_t spine = 0; spine < 2; spine++) {
		replan(&s);
		s.p.routes[1].state = C4_ROUTE_SPINE;
		s.p.routes[1].up = (uint16_t)(2 + spine);
		assert_int_equal(c4_baseline_greedy(&s.f, &s.d, 1, &s.p), 0);
		assert_int_equal(s.p.routes[1].up, 2 + spine);
		assert_int_equal(s.p.routes[0].up, 3 - spine);
	}
	close_scene(&s);
}

static void place(struct scene *s, uint32_t qp, const char *spine)
{
	s->p.routes[qp].state = C4_ROUTE_SPINE;
	s->p.routes[qp].up = (uint16_t)c4_fabric_switch(&s->f, spine);
}

/* The fullest link of a path counts first, not the sum: 1.8 and 1.8 is better than 2.5 and 1. */
static void test_greedy_looks_at_the_fullest_link(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, flat(3, 2, 1));
	connect_weighted(&s, 0, 2, 1.5, 1);
	connect_weighted(&s, 0, 2, 0.8, 1);
	connect_weighted(&s, 2, 1, 0.8, 1);
	connect(&s, 0, 1, 1);
	replan(&s);
	place(&s, 0, "spine0");
	place(&s, 1, "spine1");
	place(&s, 2, "spine1");
	assert_int_equal(c4_baseline_greedy(&s.f, &s.d, 1, &s.p), 0);
	assert_int_equal(s.p.routes[3].up, c4_fabric_switch(&s.f, "spine1"));
	close_scene(&s);
}

/* Ports decide: the plan of ECMP is what the switches do with its ports, and differs by seed. */
static void test_ecmp_goes_where_the_hash_sends_it(void **state)
{
	struct c4_hash_model m = {.kind = C4_FLOWHASH_JHASH, .seed = 3};
	struct c4_oracle *o = c4_oracle_hash_new(&m);
	uint16_t ports[2] = {0};
	struct scene s;

	(void)state;
	open_scene(&s, (struct c4_clos){8, 4, 4, 1, 1, 2, 0, 200});
	for (uint32_t i = 0; i < 32; i++)
		connect(&s, i, (i + 17) % 32, 4);
	for (uint64_t seed = 0; seed < 2; seed++) {
		replan(&s);
		assert_int_equal(c4_baseline_ecmp(o, &s.f, &s.d, seed, &s.p), 0);
		ports[seed] = s.p.routes[5].sport;
		for (uint32_t i = 0; i < s.d.n_conns; i++)
			for (uint32_t q = 0; q < 4; q++) {
				const struct c4_route *r = &s.p.routes[s.d.conns[i].first + q];
				struct c4_path has, is;

				c4_path_of_route(&s.f, &s.d.conns[i], r, &has);
				assert_int_equal(c4_oracle_path(o, s.d.conns[i].src,
								s.d.conns[i].dst, r->sport, &is),
						 0);
				assert_true(c4_path_equal(&has, &is));
			}
	}
	assert_int_not_equal(ports[0], ports[1]);
	assert_true(s.p.max_load >= 1);
	c4_oracle_free(o);
	close_scene(&s);
}

/* n balls into n bins: two choices stay far below one. */
static void test_two_choices_beat_one(void **state)
{
	struct c4_hash_model m = {.kind = C4_FLOWHASH_JHASH};
	struct c4_oracle *o = c4_oracle_hash_new(&m);
	double one = 0, two = 0, all = 0;
	struct scene s;

	(void)state;
	open_scene(&s, flat(2, 64, 64));
	for (uint32_t i = 0; i < 64; i++)
		connect(&s, i, 64 + i, 1);
	for (uint64_t seed = 0; seed < 10; seed++) {
		replan(&s);
		assert_int_equal(c4_baseline_ecmp(o, &s.f, &s.d, seed, &s.p), 0);
		one += s.p.max_load;
		replan(&s);
		assert_int_equal(c4_baseline_two_choices(&s.f, &s.d, seed, &s.p), 0);
		two += s.p.max_load;
		replan(&s);
		assert_int_equal(c4_baseline_greedy(&s.f, &s.d, seed, &s.p), 0);
		all += s.p.max_load;
	}
	assert_true(two < one - 5 && all < two - 5 && all < 10.001);
	c4_oracle_free(o);
	close_scene(&s);
}

static void test_planes_do_not_meet(void **state)
{
	struct c4_hash_model m = {.kind = C4_FLOWHASH_CRC32};
	struct c4_oracle *o = c4_oracle_hash_new(&m);
	struct scene s;

	(void)state;
	open_scene(&s, (struct c4_clos){2, 2, 1, 1, 2, 0, 0, 200});
	connect(&s, c4_fabric_nic(&s.f, "h0/r0p0"), c4_fabric_nic(&s.f, "h1/r0p1"), 1);
	for (uint32_t i = 0; i < s.f.n_links; i++)
		if (s.f.links[i].a == s.f.nics[0].leaf)
			s.f.links[i].now_gbps = 0;
	connect(&s, 0, c4_fabric_nic(&s.f, "h1/r0p0"), 1);
	for (int how = 0; how < 3; how++) {
		replan(&s);
		assert_int_equal(how == 0   ? c4_baseline_greedy(&s.f, &s.d, 1, &s.p)
				 : how == 1 ? c4_baseline_two_choices(&s.f, &s.d, 1, &s.p)
					    : c4_baseline_ecmp(o, &s.f, &s.d, 1, &s.p),
				 0);
		assert_int_equal(s.p.routes[0].state, C4_ROUTE_TWO_PLANES);
		assert_int_equal(s.p.routes[1].state, C4_ROUTE_NO_PATH);
		assert_int_equal(s.p.n_unplaced, 2);
	}
	c4_oracle_free(o);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greedy_is_perfect_between_two_leaves),
		cmocka_unit_test(test_greedy_can_be_trapped),
		cmocka_unit_test(test_greedy_avoids_slow_and_dead_links),
		cmocka_unit_test(test_greedy_adds_to_what_is_there),
		cmocka_unit_test(test_greedy_looks_at_the_fullest_link),
		cmocka_unit_test(test_ecmp_goes_where_the_hash_sends_it),
		cmocka_unit_test(test_two_choices_beat_one),
		cmocka_unit_test(test_planes_do_not_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
