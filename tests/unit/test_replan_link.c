// SPDX-License-Identifier: BSD-3-Clause
/* A living plan while links fail, weaken and return; time is turned by hand. */
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
static const struct c4_clos deep = {.leaves = 8, .spines = 4, .hosts_per_leaf = 4, .pods = 2};

static double util_of(const struct live *l)
{
	double load, util;

	c4_replan_measure(l->r, &load, &util);
	return util;
}

static uint32_t link_of(const struct live *l, const char *a, const char *b)
{
	uint32_t n, at = c4_fabric_links_between(&l->f, c4_fabric_switch(&l->f, a),
						 c4_fabric_switch(&l->f, b), &n);

	assert_true(n > 0);
	return l->f.link_of[at];
}

static double load_of(const struct live *l, uint32_t link)
{
	return fmax(l->r->load[2 * link], l->r->load[2 * link + 1]);
}

/* QPs whose route takes exactly this link. */
static uint32_t qps_on(const struct live *l, uint32_t link)
{
	uint32_t sum = 0;

	for (uint32_t q = 0; q < l->r->n_qps; q++)
		sum += l->r->qps[q].edge != C4_NONE && c4_live_crosses(l->r, q, link);
	return sum;
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

/* ---- failure --------------------------------------------------------------------------------- */

static void test_golden_failure(void **state)
{
	struct live l;
	uint32_t a, b, dead;
	const struct c4_route *r;

	(void)state;
	live_open(&l, small, NULL);
	a = live_add(&l, 0, 2, 1, 1);
	b = live_add(&l, 1, 4, 1, 1);
	r = c4_replan_route(l.r, a, 0);
	dead = link_of(&l, "leaf0", l.f.switches[r->up].name);
	assert_int_equal(live_link(&l, dead, 0), 0);
	assert_int_equal(l.own, 1);
	assert_int_equal(l.by_backup, 1); /* the only other spine: the bound is 2 now */
	assert_int_equal(c4_replan_route(l.r, a, 0)->up, c4_replan_route(l.r, b, 0)->up);
	assert_int_equal(l.moved[C4_MOVE_LINK_DOWN], 1);
	assert_int_equal(l.moved[C4_MOVE_MAKE_ROOM], 0);
	assert_int_equal(c4_replan_stats(l.r)->moves[C4_MOVE_LINK_DOWN], 1);
	assert_true(util_of(&l) == 2);
	assert_int_equal(l.f.switches[l.f.links[dead].a].epoch, 1);
	assert_int_equal(l.f.switches[l.f.links[dead].b].epoch, 1);
	assert_int_equal(c4_replan_backup(l.r, a, 0).state, C4_ROUTE_NO_PATH);
	live_check(&l, true);
	/* said again, it is no news */
	assert_int_equal(live_link(&l, dead, 0), 0);
	assert_int_equal(l.f.switches[l.f.links[dead].a].epoch, 1);
	live_close(&l);
}

static void test_bad_links(void **state)
{
	const double bad[] = {-1, (double)NAN, (double)INFINITY, -(double)INFINITY, 400.1, 1e300};
	struct live l;

	(void)state;
	live_open(&l, small, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(c4_replan_link(l.r, 0, bad[i], 1), -EINVAL);
	assert_int_equal(c4_replan_link(l.r, l.f.n_links, 400, 1), -EINVAL);
	assert_int_equal(c4_replan_link(l.r, C4_NONE, 0, 1), -EINVAL);
	assert_true(l.f.links[0].now_gbps == 400);
	live_close(&l);
}

/* Of all QPs those that crossed the link move, others only to make room; nobody stays. */
static void kill_one(struct live *l, uint32_t link, uint32_t *ret_backups, uint32_t *ret_own)
{
	uint32_t crossed = qps_on(l, link);

	assert_int_equal(live_link(l, link, 0), 0);
	assert_int_equal(l->own, crossed);
	assert_int_equal(qps_on(l, link), 0);
	*ret_backups += l->by_backup;
	*ret_own += l->own;
	live_check(l, false);
}

static void repair(struct live *l, uint32_t link)
{
	live_link(l, link, (double)l->f.links[link].gbps);
	live_tick(l, 7200 * LIVE_S);
	live_check(l, false);
}

static void test_failures_move_no_one_else(void **state)
{
	const struct c4_clos *shapes[] = {&flat, &deep};
	uint32_t backups = 0, own = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct live l;

		live_fabric(&l, *shapes[i & 1]);
		if (i & 2)
			live_double_links(&l, 3);
		live_begin(&l, NULL);
		fill(&l, 1, 3, 0.25, 4);
		for (uint32_t link = 0; link < l.f.n_links; link += PLAN_SLOW ? 17 : 5) {
			kill_one(&l, link, &backups, &own);
			repair(&l, link);
		}
		live_close(&l);
		if (i & 2)
			continue; /* a twin is better than a backup */
		print_message("%u of %u QPs whose link died took their backup\n", backups, own);
		assert_true(backups > own * 9 / 10);
	}
	assert_true(own > 100);
}

/* Nine of ten ways taken, QPs as large as links: backups are mostly taken, chains help. */
static void test_failures_where_it_is_tight(void **state)
{
	uint32_t backups = 0, own = 0;
	struct live l;

	(void)state;
	live_open(&l, flat, NULL);
	fill(&l, 3, 1, 1, 8);
	for (uint32_t link = 0; link < l.f.n_links; link++) {
		kill_one(&l, link, &backups, &own);
		live_check(&l, c4_replan_stats(l.r)->forced == 0);
		repair(&l, link);
		live_reset(&l);
		live_check(&l, true);
		assert_true(util_of(&l) < 1 + 1e-6);
	}
	print_message("tight: %u of %u QPs whose link died took their backup\n", backups, own);
	assert_true(backups > own / 2);
	live_close(&l);
}

/* ---- backups --------------------------------------------------------------------------------- */

/* QPs of one uplink: as many to one spine as to another, give or take one. Those of a downlink are
 * not all on one. */
static void test_backups_are_spread(void **state)
{
	struct live l;

	(void)state;
	live_open(&l, flat, NULL);
	fill(&l, 5, 4, 0.25, 8);
	for (uint32_t link = 0; link < l.f.n_links; link++) {
		uint32_t used[2][64] = {{0}}, n[2] = {0}, first = l.f.links[0].b;

		for (uint32_t q = 0; q < l.r->n_qps; q++) {
			const struct c4_live_conn *c = &l.r->conns[l.r->qps[q].conn];
			int down = l.f.nics[c->src].leaf != l.f.links[link].a;

			if (l.r->qps[q].edge == C4_NONE || !c4_live_crosses(l.r, q, link))
				continue;
			used[down]
			    [c4_replan_backup(l.r, l.r->qps[q].conn, q - c->first).up - first]++;
			n[down]++;
		}
		for (int down = 0; down < 2; down++)
			for (uint32_t s = 0; s < 8; s++) {
				double even = n[down] / 7.0;

				if (first + s == l.f.links[link].b)
					assert_int_equal(used[down][s], 0);
				else
					assert_true(used[down][s] <= even * (down ? 3 : 1) + 1.01);
			}
	}
	live_close(&l);
}

/* The backup of a QP is looked after when not its own link dies, but the backup's. */
static void test_backups_stay_alive(void **state)
{
	struct c4_route backup;
	struct live l;
	uint32_t a;

	(void)state;
	live_open(&l, (struct c4_clos){.leaves = 4, .spines = 3, .hosts_per_leaf = 2}, NULL);
	a = live_add(&l, 0, 2, 1, 1);
	backup = c4_replan_backup(l.r, a, 0);
	live_link(&l, link_of(&l, "leaf1", l.f.switches[backup.up].name), 0);
	assert_int_equal(l.moved[C4_MOVE_LINK_DOWN], 0);
	assert_int_not_equal(c4_replan_backup(l.r, a, 0).up, backup.up);
	live_check(&l, true);
	backup = c4_replan_backup(l.r, a, 0);
	live_link(&l, link_of(&l, "leaf0", l.f.switches[backup.up].name), 0);
	assert_int_equal(c4_replan_backup(l.r, a, 0).state, C4_ROUTE_NO_PATH);
	live_check(&l, true);
	/* and there is one again when there is a way again */
	repair(&l, link_of(&l, "leaf0", l.f.switches[backup.up].name));
	assert_int_equal(c4_replan_backup(l.r, a, 0).up, backup.up);
	live_close(&l);
}

/* ---- weakness -------------------------------------------------------------------------------- */

static void test_only_the_excess_leaves(void **state)
{
	struct live l;
	uint32_t on;

	(void)state;
	live_open(&l, flat, NULL);
	fill(&l, 7, 1, 0.75, 12); /* a QP is 1/16 of a link */
	on = qps_on(&l, 3);
	live_link(&l, 3, 200);
	assert_true(l.own > 0);
	assert_true(load_of(&l, 3) < 0.5 + 1e-5);
	assert_true(load_of(&l, 3) > 0.5 - 2.0 / 16 - 1e-5);
	assert_in_range(qps_on(&l, 3), 14, 16);
	assert_int_equal(on - l.own, qps_on(&l, 3));
	assert_int_equal(l.moved[C4_MOVE_LINK_WEAK], l.own);
	live_check(&l, true);
	/* what still fits does not mind */
	live_link(&l, 9, 399);
	assert_int_equal(l.own, 0);
	live_check(&l, true);
	live_close(&l);
}

/* 60 or 80 percent of the link by large QPs, the rest by small ones: what is left of it. */
static void weaken_mixed(const double *sizes, double gbps, double left)
{
	struct live l;
	uint32_t spine, link;

	live_open(&l, (struct c4_clos){.leaves = 4, .spines = 4, .hosts_per_leaf = 8}, NULL);
	spine = c4_fabric_switch(&l.f, "spine2");
	for (uint32_t i = 0; sizes[i] > 0; i++)
		live_adopt(&l, i, 8 + i, sizes[i], 1,
			   &(struct c4_route){.state = C4_ROUTE_SPINE,
					      .up = (uint16_t)spine,
					      .down = (uint16_t)spine});
	link = link_of(&l, "leaf0", "spine2");
	assert_true(fabs(load_of(&l, link) - 1) < 1e-5);
	live_link(&l, link, gbps);
	assert_true(fabs(load_of(&l, link) - left) < 1e-5);
	live_check(&l, false);
	live_close(&l);
}

static void test_excess_of_several_sizes(void **state)
{
	const double one[] = {0.6, 0.1, 0.1, 0.1, 0.1, 0}, two[] = {0.1, 0.4, 0.4, 0.1, 0};

	(void)state;
	weaken_mixed(one, 360, 0.9);
	weaken_mixed(one, 320, 0.8);
	weaken_mixed(one, 200, 0.4); /* the large one does not fit: the others may stay */
	weaken_mixed(one, 60, 0.1);
	weaken_mixed(one, 20, 0);
	weaken_mixed(two, 360, 0.9);
	weaken_mixed(two, 320, 0.8);
	weaken_mixed(two, 200, 0.4); /* small ones are not enough */
}

/* The leaf has no room elsewhere: counting raises the limit first, then no more leave than must. */
static void test_weakness_of_a_full_leaf(void **state)
{
	struct live l;

	(void)state;
	live_open(&l, flat, NULL);
	for (uint32_t i = 0; i < l.f.n_nics; i++)
		live_add(&l, i, (i + 8) % l.f.n_nics, 1, 16);
	live_link(&l, 0, 200); /* 7 * 18 + 9 of 128 fit at 18/16, 7 * 17 + 8 at 17/16 do not */
	assert_true(fabs(load_of(&l, 0) - 9.0 / 16) < 1e-5);
	live_check(&l, true);
	live_close(&l);
}

/* ---- no path --------------------------------------------------------------------------------- */

static void test_a_dead_leaf(void **state)
{
	struct live l;
	uint32_t lost = 0;

	(void)state;
	live_open(&l, flat, NULL);
	fill(&l, 11, 2, 0.5, 2);
	for (uint32_t h = 0; h < l.n_conns; h++)
		if (l.conns[h].used && live_planned(&l, &l.conns[h]))
			lost += (l.f.nics[l.conns[h].src].leaf == 2) !=
						(l.f.nics[l.conns[h].dst].leaf == 2)
					? 2
					: 0;
	for (uint32_t i = l.f.link_at[2]; i < l.f.link_at[3]; i++) {
		assert_int_equal(live_link(&l, l.f.link_of[i], 0), 0);
		live_check(&l, false);
	}
	assert_int_equal(c4_replan_stats(l.r)->unplaced, lost);
	assert_true(lost > 0);
	for (uint32_t i = l.f.link_at[2]; i < l.f.link_at[3]; i++)
		live_link(&l, l.f.link_of[i], 400);
	live_tick(&l, l.opts.hold_ns - 1);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, lost);
	live_tick(&l, 1);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, 0);
	live_check(&l, false);
	for (int i = 0; i < 20; i++)
		live_tick(&l, LIVE_S);
	live_reset(&l);
	live_check(&l, true);
	live_close(&l);
}

/* One that comes while there is no path is not refused, and placed when there is one. */
static void test_arrival_without_a_path(void **state)
{
	struct live l;
	uint32_t a;

	(void)state;
	live_open(&l, small, NULL);
	live_link(&l, link_of(&l, "leaf0", "spine0"), 0);
	live_link(&l, link_of(&l, "leaf0", "spine1"), 0);
	a = live_add(&l, 0, 2, 1, 3);
	assert_int_equal(c4_replan_route(l.r, a, 1)->state, C4_ROUTE_NO_PATH);
	assert_int_equal(c4_replan_backup(l.r, a, 1).state, C4_ROUTE_NO_PATH);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, 3);
	live_check(&l, true);
	repair(&l, link_of(&l, "leaf0", "spine1"));
	assert_int_equal(c4_replan_route(l.r, a, 1)->state, C4_ROUTE_SPINE);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, 0);
	live_remove(&l, a);
	live_check(&l, true);
	live_close(&l);
}

/* ---- parallel links -------------------------------------------------------------------------- */

/* Two links to each spine: one dies; only who was on it moves, to its twin first. */
static void test_one_of_two(void **state)
{
	struct c4_move down;
	const struct c4_move *m;
	uint32_t a, b, n, dead;
	struct live l;

	(void)state;
	live_fabric(&l, small);
	live_double_links(&l, 1);
	live_begin(&l, NULL);
	a = live_add(&l, 0, 2, 0.5, 1);
	dead = link_of(&l, "leaf0", l.f.switches[c4_replan_route(l.r, a, 0)->up].name);
	if (qps_on(&l, dead) == 0)
		dead += l.f.n_links / 2;
	c4_replan_route(l.r, a, 0)->sport = 77;
	assert_int_equal(c4_replan_link(l.r, dead, 0, 1), 0);
	m = c4_replan_moves(l.r, &n);
	assert_int_equal(n, 1);
	down = *m;
	assert_int_equal(down.reason, C4_MOVE_LINK_DOWN);
	assert_int_equal(down.cause, dead);
	assert_int_equal(down.from.up, down.to.up);
	assert_int_not_equal(down.from.parallel_up, down.to.parallel_up);
	assert_int_equal(c4_replan_route(l.r, a, 0)->sport, 0);
	c4_replan_clear_moves(l.r);
	l.conns[a].was[0] = *c4_replan_route(l.r, a, 0);
	live_check(&l, true);
	/* nobody was on it: nobody moves */
	b = live_add(&l, 4, 6, 0.5, 1);
	dead = link_of(&l, "leaf3", l.f.switches[c4_replan_route(l.r, b, 0)->up].name);
	if (qps_on(&l, dead) == 1)
		dead += l.f.n_links / 2;
	live_link(&l, dead, 0);
	assert_int_equal(l.own + l.moved[C4_MOVE_MAKE_ROOM], 0);
	live_check(&l, true);
	live_close(&l);
}

/* All must leave one of two; the other then carries twice its rate, until the first is back. */
static void test_twins_even_out(void **state)
{
	uint32_t link, twin;
	struct live l;

	(void)state;
	live_fabric(&l, (struct c4_clos){.leaves = 2, .spines = 1, .hosts_per_leaf = 8});
	live_double_links(&l, 1);
	live_begin(&l, NULL);
	for (uint32_t i = 0; i < 8; i++)
		live_add(&l, i, 8 + i, 0.25, 1);
	link = link_of(&l, "leaf0", "spine0");
	twin = link + l.f.n_links / 2;
	assert_true(load_of(&l, link) == 1 && load_of(&l, twin) == 1);
	live_link(&l, link, 0);
	assert_int_equal(l.own, 4);
	assert_true(load_of(&l, link) == 0 && load_of(&l, twin) == 2);
	live_check(&l, true);
	live_link(&l, link, 400);
	live_tick(&l, l.opts.hold_ns);
	assert_int_equal(l.moved[C4_MOVE_REBALANCE], 4);
	assert_true(load_of(&l, link) == 1 && load_of(&l, twin) == 1);
	/* departures leave them uneven, too */
	for (uint32_t h = 0; h < l.n_conns; h++)
		if (l.conns[h].used && l.conns[h].was[0].parallel_up == 0)
			live_remove(&l, h);
	for (uint32_t i = 0; i < 2; i++)
		live_add(&l, i, 8 + i, 0.25, 1);
	live_check(&l, true);
	assert_true(util_of(&l) <= 1);
	live_close(&l);
}

/* ---- three tiers ----------------------------------------------------------------------------- */

static void test_core_link(void **state)
{
	uint32_t backups = 0, own = 0, cores = 0;
	struct live l;

	(void)state;
	live_open(&l, deep, NULL);
	fill(&l, 13, 2, 0.4, 4);
	for (uint32_t link = 0; link < l.f.n_links; link++) {
		if (l.f.switches[l.f.links[link].b].tier != C4_CORE || ++cores % 3)
			continue;
		kill_one(&l, link, &backups, &own);
		repair(&l, link);
	}
	assert_true(own > 50);
	live_close(&l);
}

static void test_core_switch(void **state)
{
	uint32_t backups = 0, own = 0, core = C4_NONE;
	struct live l;

	(void)state;
	live_open(&l, deep, NULL);
	fill(&l, 17, 2, 0.4, 4);
	for (uint32_t s = 0; s < l.f.n_switches; s++)
		core = l.f.switches[s].tier == C4_CORE ? s : core;
	for (uint32_t i = l.f.link_at[core]; i < l.f.link_at[core + 1]; i++)
		kill_one(&l, l.f.link_of[i], &backups, &own);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, 0);
	for (uint32_t i = l.f.link_at[core]; i < l.f.link_at[core + 1]; i++)
		live_link(&l, l.f.link_of[i], 400);
	live_tick(&l, l.opts.hold_ns);
	live_check(&l, false);
	/* the whole group: the colour is no way between pods any more, inside it is */
	for (uint32_t s = 0; s < l.f.n_switches; s++)
		if (l.f.switches[s].tier == C4_CORE && l.f.switches[s].name[4] < '4' &&
		    !l.f.switches[s].name[5])
			for (uint32_t i = l.f.link_at[s]; i < l.f.link_at[s + 1]; i++)
				kill_one(&l, l.f.link_of[i], &backups, &own);
	assert_int_equal(c4_replan_stats(l.r)->unplaced, 0);
	live_close(&l);
}

/* ---- long lives ------------------------------------------------------------------------------ */

static void live_long(struct c4_clos shape, uint32_t doubled, bool sizes, uint64_t seed)
{
	static const double rates[] = {0, 0, 400, 400, 400, 200, 77};
	struct dice dice = {seed};
	struct live l;

	live_fabric(&l, shape);
	if (doubled)
		live_double_links(&l, doubled);
	live_begin(&l, &(struct c4_replan_opts){.move_budget = seed % 3 ? 0 : 8});
	for (uint32_t i = 0; i < (PLAN_SLOW ? 300 : 3000); i++) {
		uint32_t what = dice_below(&dice, 10);

		if (what < 4)
			live_add(&l, dice_below(&dice, l.f.n_nics), dice_below(&dice, l.f.n_nics),
				 sizes ? 0.1 + dice_below(&dice, 5) / 5.0 : 1,
				 1 + dice_below(&dice, 3));
		else if (what < 6 + (l.n_used > l.f.n_nics) && l.n_used)
			live_remove(&l, live_any(&l, &dice));
		else if (what < 9)
			live_link(&l, dice_below(&dice, l.f.n_links), rates[dice_below(&dice, 7)]);
		else
			live_tick(&l, (uint64_t)dice_below(&dice, 60) * LIVE_S);
		if (i % 8 == 0)
			live_check(&l, false);
	}
	live_close(&l);
}

static void test_long_lives(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		live_long(small, 0, false, seed);
		live_long((struct c4_clos){.leaves = 6, .spines = 5, .hosts_per_leaf = 5}, 0, true,
			  seed);
		live_long((struct c4_clos){.leaves = 5, .spines = 3, .hosts_per_leaf = 4}, 2, true,
			  seed);
		live_long(deep, 0, false, seed);
		live_long(deep, 2, true, seed);
		live_long((struct c4_clos){.leaves = 6,
					   .spines = 2,
					   .hosts_per_leaf = 3,
					   .pods = 3,
					   .cores = 1,
					   .planes = 2},
			  0, false, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_failure),
		cmocka_unit_test(test_bad_links),
		cmocka_unit_test(test_failures_move_no_one_else),
		cmocka_unit_test(test_failures_where_it_is_tight),
		cmocka_unit_test(test_backups_are_spread),
		cmocka_unit_test(test_backups_stay_alive),
		cmocka_unit_test(test_only_the_excess_leaves),
		cmocka_unit_test(test_excess_of_several_sizes),
		cmocka_unit_test(test_weakness_of_a_full_leaf),
		cmocka_unit_test(test_a_dead_leaf),
		cmocka_unit_test(test_arrival_without_a_path),
		cmocka_unit_test(test_one_of_two),
		cmocka_unit_test(test_twins_even_out),
		cmocka_unit_test(test_core_link),
		cmocka_unit_test(test_core_switch),
		cmocka_unit_test(test_long_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
