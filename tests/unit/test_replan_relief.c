// SPDX-License-Identifier: BSD-3-Clause
/* A living plan over time: links that return wait, links that are too full are relieved. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/replan_case.h"

static const struct c4_clos small = {.leaves = 4, .spines = 2, .hosts_per_leaf = 2};
static const struct c4_clos flat = {.leaves = 8, .spines = 8, .hosts_per_leaf = 8};

static double util_of(const struct live *l)
{
	double load, util;

	c4_replan_measure(l->r, &load, &util);
	return util;
}

/* Every host sends its weight to another one, in `rings` rings. */
static void fill(struct live *l, uint64_t seed, uint32_t rings, double weight, uint32_t qps)
{
	uint32_t n = l->f.n_hosts, *host = malloc(n * sizeof *host);
	struct dice dice = {seed};

	for (uint32_t i = 0; i < n; i++)
		host[i] = i;
	for (uint32_t k = 0; k < rings; k++) {
		dice_shuffle(&dice, host, n);
		for (uint32_t i = 0; i < n; i++)
			live_add(l, l->f.hosts[host[i]].nic, l->f.hosts[host[(i + 1) % n]].nic,
				 weight, qps);
	}
	free(host);
}

static void repair(struct live *l, uint32_t link)
{
	live_link(l, link, (double)l->f.links[link].gbps);
	live_tick(l, 7200 * LIVE_S);
	live_check(l, false);
}

/* ---- patience -------------------------------------------------------------------------------- */

static bool used_after(struct live *l, uint32_t link, uint64_t ns)
{
	live_tick(l, ns);
	live_check(l, false);
	return l->f.links[link].now_gbps > 0;
}

static void fail_and_return(struct live *l, uint32_t link)
{
	live_link(l, link, 0);
	l->now_ns += LIVE_S;
	live_link(l, link, 400);
}

static void test_hold(void **state)
{
	const struct c4_replan_opts ten = {.hold_ns = 10 * LIVE_S};
	struct live l;

	(void)state;
	live_open(&l, small, &ten);
	fail_and_return(&l, 0);
	assert_int_equal(l.f.switches[l.f.links[0].a].epoch, 1);
	live_link(&l, 0, 400); /* said again while it waits: no longer wait, no shorter */
	assert_false(used_after(&l, 0, 10 * LIVE_S - 1));
	assert_true(used_after(&l, 0, 1));
	assert_int_equal(l.f.switches[l.f.links[0].a].epoch, 2);
	/* twice within an hour, three times … */
	for (uint64_t hold = 20; hold <= 640; hold *= 2) {
		fail_and_return(&l, 0);
		assert_false(used_after(&l, 0, hold * LIVE_S - 1));
		assert_true(used_after(&l, 0, 1));
	}
	fail_and_return(&l, 0); /* 64 times is the most */
	assert_false(used_after(&l, 0, 640 * LIVE_S - 1));
	assert_true(used_after(&l, 0, 1));
	/* another link has its own memory, and an hour is enough to be forgiven */
	fail_and_return(&l, 1);
	assert_false(used_after(&l, 1, 10 * LIVE_S - 1));
	assert_true(used_after(&l, 1, 1));
	l.now_ns += 3601 * LIVE_S;
	fail_and_return(&l, 0);
	assert_false(used_after(&l, 0, 10 * LIVE_S - 1));
	assert_true(used_after(&l, 0, 1));
	live_close(&l);
}

static void test_failing_while_held(void **state)
{
	const struct c4_replan_opts ten = {.hold_ns = 10 * LIVE_S};
	struct live l;

	(void)state;
	live_open(&l, small, &ten);
	fail_and_return(&l, 0);
	l.now_ns += 5 * LIVE_S;
	live_link(&l, 0, 0);
	assert_false(used_after(&l, 0, 100 * LIVE_S)); /* it did not return */
	live_link(&l, 0, 400);
	assert_false(used_after(&l, 0, 20 * LIVE_S - 1)); /* and this was its second failure */
	assert_true(used_after(&l, 0, 1));
	/* dead for long and said so: no failure each time */
	live_link(&l, 0, 0);
	for (int i = 0; i < 10; i++)
		live_link(&l, 0, 0);
	live_link(&l, 0, 400);
	assert_false(used_after(&l, 0, 40 * LIVE_S - 1));
	assert_true(used_after(&l, 0, 1));
	live_close(&l);
}

/* The hour counts from the failure to the return, not to the next failure. */
static void test_long_dead_is_forgiven(void **state)
{
	const struct c4_replan_opts ten = {.hold_ns = 10 * LIVE_S};
	struct live l;

	(void)state;
	live_open(&l, small, &ten);
	fail_and_return(&l, 0);
	assert_true(used_after(&l, 0, 10 * LIVE_S));
	live_link(&l, 0, 0); /* the second time; and so it stays for two hours */
	l.now_ns += 7200 * LIVE_S;
	live_link(&l, 0, 400);
	assert_false(used_after(&l, 0, 10 * LIVE_S - 1));
	assert_true(used_after(&l, 0, 1));
	live_close(&l);
}

static void test_half_a_return(void **state)
{
	struct live l;

	(void)state;
	live_open(&l, small, NULL);
	live_link(&l, 0, 0);
	live_link(&l, 0, 400);
	live_link(&l, 0, 100); /* back, but weak */
	live_tick(&l, l.opts.hold_ns);
	assert_true(l.f.links[0].now_gbps == 100);
	live_link(&l, 0, 400);
	assert_true(l.f.links[0].now_gbps == 100);
	live_tick(&l, l.opts.hold_ns);
	assert_true(l.f.links[0].now_gbps == 400);
	live_close(&l);
}

/* ---- relief ---------------------------------------------------------------------------------- */

/* All on one spine, told by adopting them so. */
static void crowd(struct live *l, uint32_t n, double weight)
{
	uint32_t spine = c4_fabric_switch(&l->f, "spine0");

	for (uint32_t i = 0; i < n; i++)
		live_adopt(l, i % 8, 8 + i % 8, weight, 1,
			   &(struct c4_route){.state = C4_ROUTE_SPINE,
					      .up = (uint16_t)spine,
					      .down = (uint16_t)spine});
}

static void test_uneven_is_no_reason(void **state)
{
	struct live l;

	(void)state;
	live_open(&l, flat, NULL);
	crowd(&l, 8, 0.125); /* one link full, seven idle */
	assert_true(util_of(&l) == 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(live_tick(&l, LIVE_S), 0);
	live_close(&l);
}

/* 63 QPs on 8 links need 8 each: 9 on one is a gain of an eighth. */
static void rebalance_for(double gain, bool moves)
{
	const struct c4_replan_opts opts = {.gain = gain};
	struct live l;

	live_open(&l, flat, &opts);
	for (uint32_t i = 0; i < 63; i++) {
		char name[16];
		uint32_t spine;

		snprintf(name, sizeof name, "spine%u", i < 9 ? 0 : 1 + (i - 9) % 7);
		spine = c4_fabric_switch(&l.f, name);
		live_adopt(&l, i % 8, 8 + i % 8, 0.2, 1,
			   &(struct c4_route){.state = C4_ROUTE_SPINE,
					      .up = (uint16_t)spine,
					      .down = (uint16_t)spine});
	}
	assert_true(fabs(util_of(&l) - 1.8) < 1e-5);
	assert_int_equal(live_tick(&l, LIVE_S) > 0, moves);
	assert_true(fabs(util_of(&l) - (moves ? 1.6 : 1.8)) < 1e-5);
	assert_int_equal(live_tick(&l, LIVE_S), 0);
	live_check(&l, false);
	live_close(&l);
}

static void test_no_move_for_a_small_gain(void **state)
{
	(void)state;
	rebalance_for(0.2, false);
	rebalance_for(0.13, false);
	rebalance_for(0.12, true);
	rebalance_for(0, true);
}

/* 32 QPs on one link, 4 would be even: 28 have to go, seven in each tick. */
static void test_relief_within_budget(void **state)
{
	const struct c4_replan_opts opts = {.move_budget = 7};
	struct live l;
	uint32_t n[8] = {0};

	(void)state;
	live_open(&l, flat, &opts);
	crowd(&l, 32, 0.25);
	assert_true(util_of(&l) == 8);
	for (int i = 0; i < 8; i++) {
		n[i] = live_tick(&l, LIVE_S);
		assert_true(n[i] <= 7);
		live_check(&l, false);
	}
	assert_int_equal(n[0] + n[1] + n[2] + n[3], 28);
	assert_int_equal(n[4] + n[5] + n[6] + n[7], 0);
	assert_true(util_of(&l) == 1);
	assert_int_equal(c4_replan_stats(l.r)->forced, 0);
	assert_int_equal(c4_replan_stats(l.r)->moves[C4_MOVE_REBALANCE], 28);
	live_close(&l);
}

/* Forced by a small budget, put right by ticks: to the bound, in each kind of fabric. */
static void settle(struct c4_clos shape, uint32_t budget)
{
	const struct c4_replan_opts opts = {.move_budget = budget};
	struct live l;
	double before;

	live_open(&l, shape, &opts);
	fill(&l, 19, 1, 1, 1);
	before = util_of(&l);
	for (int i = 0; i < 200; i++)
		live_tick(&l, LIVE_S);
	live_reset(&l);
	live_check(&l, true);
	assert_true(before >= util_of(&l));
	assert_true(util_of(&l) < 1 + 1e-6);
	assert_int_equal(live_tick(&l, LIVE_S), 0);
	live_close(&l);
}

static void test_ticks_reach_the_bound(void **state)
{
	(void)state;
	settle(flat, 2);
	settle(flat, 16);
	settle((struct c4_clos){.leaves = 16, .spines = 5, .hosts_per_leaf = 5}, 8);
}

/* A link back from its hold relieves those that made do without it. */
static void test_return_brings_relief(void **state)
{
	struct live l;

	(void)state;
	live_open(&l, flat, NULL);
	for (uint32_t i = 0; i < l.f.n_nics; i++)
		live_add(&l, i, (i + 8) % l.f.n_nics, 1, 4);
	assert_true(util_of(&l) == 1);
	live_link(&l, 0, 0);
	assert_true(util_of(&l) > 1.1);
	live_check(&l, false);
	repair(&l, 0);
	for (int i = 0; i < 20; i++)
		live_tick(&l, LIVE_S);
	assert_true(util_of(&l) == 1);
	assert_int_equal(live_tick(&l, LIVE_S), 0);
	live_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_failing_while_held),
		cmocka_unit_test(test_long_dead_is_forgiven),
		cmocka_unit_test(test_half_a_return),
		cmocka_unit_test(test_uneven_is_no_reason),
		cmocka_unit_test(test_no_move_for_a_small_gain),
		cmocka_unit_test(test_relief_within_budget),
		cmocka_unit_test(test_ticks_reach_the_bound),
		cmocka_unit_test(test_return_brings_relief),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
