// SPDX-License-Identifier: BSD-3-Clause
/* A living plan that runs out of memory, at each of its allocations: it says so, or does without;
 * what it says of routes and loads stays true, and nothing is lost. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_heap.h"
#include "tests/unit/replan_case.h"

#define EVENTS 150

/* Memory ends at that call of an allocator, counted over the planner's calls alone. */
struct shortage {
	uint64_t at, seen;
	bool for_good; /* else it is back after the event */
	bool felt;
};

static void enter(const struct shortage *s)
{
	plan_heap.calls = s->seen;
	plan_heap.fail_at = s->felt && !s->for_good ? 0 : s->at;
}

static void leave(struct shortage *s)
{
	s->felt |= plan_heap.fail_at && plan_heap.calls >= plan_heap.fail_at;
	s->seen = plan_heap.calls;
	plan_heap.fail_at = 0;
}

/* What the witness would follow may be missing: it looks again. */
static void look(struct live *l)
{
	c4_replan_clear_moves(l->r);
	for (uint32_t h = 0; h < l->n_conns; h++)
		for (uint32_t q = 0; l->conns[h].used && q < l->conns[h].qps; q++)
			l->conns[h].was[q] = *c4_replan_route(l->r, h, q);
	live_check(l, false);
}

static void arrive(struct live *l, struct dice *dice, struct shortage *s)
{
	struct live_conn c = {.used = true,
			      .src = dice_below(dice, l->f.n_nics),
			      .dst = dice_below(dice, l->f.n_nics),
			      .qps = 1 + dice_below(dice, 3),
			      .weight = dice_below(dice, 3) ? 1 : 0.4};
	int64_t h;

	enter(s);
	h = c4_replan_add(l->r, c.src, c.dst, c.weight, c.qps);
	leave(s);
	if (h < 0) {
		assert_int_equal(h, -ENOMEM);
		assert_true(s->felt);
		return;
	}
	*live_slot(l, (uint32_t)h) = c;
	l->n_used++;
}

static void depart(struct live *l, struct dice *dice, struct shortage *s)
{
	uint32_t h;

	if (!l->n_used)
		return;
	h = live_any(l, dice);
	enter(s);
	c4_replan_remove(l->r, h);
	leave(s);
	l->conns[h].used = false;
	l->n_used--;
}

static void change(struct live *l, struct dice *dice, struct shortage *s)
{
	static const double rates[] = {0, 400, 150};
	uint32_t link = dice_below(dice, l->f.n_links);
	float was = l->f.links[link].now_gbps;
	int rc;

	enter(s);
	rc = c4_replan_link(l->r, link, rates[dice_below(dice, 3)], l->now_ns);
	leave(s);
	if (rc) {
		assert_int_equal(rc, -ENOMEM);
		assert_true(s->felt);
		assert_true(l->f.links[link].now_gbps == was);
	}
}

static void tick(struct live *l, struct dice *dice, struct shortage *s)
{
	l->now_ns += dice_below(dice, 100) * LIVE_S;
	enter(s);
	c4_replan_tick(l->r, l->now_ns);
	leave(s);
}

/* Memory is back: dead links are repaired, and all find a way again. */
static void recover(struct live *l)
{
	for (uint32_t i = 0; i < l->f.n_links; i++)
		assert_int_equal(c4_replan_link(l->r, i, 400, l->now_ns), 0);
	for (int i = 0; i < 3; i++) {
		l->now_ns += 7200 * LIVE_S;
		c4_replan_tick(l->r, l->now_ns);
		look(l);
	}
	assert_int_equal(c4_replan_stats(l->r)->unplaced, 0);
}

/* False: the shortage was never felt, memory was enough. */
static bool live_short(struct c4_clos shape, uint32_t doubled, uint64_t at, bool for_good)
{
	static void (*const events[])(struct live *, struct dice *, struct shortage *) = {
		arrive, arrive, arrive, arrive, depart, change, tick};
	struct shortage s = {.at = at, .for_good = for_good};
	struct dice dice = {29};
	int64_t blocks;
	struct live l;
	int rc;

	live_fabric(&l, shape);
	if (doubled)
		live_double_links(&l, doubled);
	l.now_ns = LIVE_S;
	blocks = plan_heap.blocks;
	enter(&s);
	rc = c4_replan_new(&l.r, &l.f, NULL, NULL);
	leave(&s);
	if (rc) {
		assert_int_equal(rc, -ENOMEM);
		assert_null(l.r);
	}
	for (int i = 0; !rc && i < EVENTS; i++) {
		bool felt = s.felt;

		events[dice_below(&dice, 7)](&l, &dice, &s);
		if (s.felt != felt || i % 16 == 0 || i == EVENTS - 1)
			look(&l);
	}
	if (!rc)
		recover(&l);
	c4_replan_free(l.r);
	l.r = NULL;
	assert_int_equal(plan_heap.blocks, blocks);
	live_close(&l);
	return s.felt;
}

static void each_allocation(struct c4_clos shape, uint32_t doubled)
{
	for (int for_good = 0; for_good < 2; for_good++) {
		uint64_t at = 1;

		while (live_short(shape, doubled, at, for_good))
			at++;
		assert_true(at > 50);
	}
}

static void test_two_tiers(void **state)
{
	(void)state;
	each_allocation((struct c4_clos){.leaves = 5, .spines = 3, .hosts_per_leaf = 4}, 0);
	each_allocation((struct c4_clos){.leaves = 5, .spines = 3, .hosts_per_leaf = 4}, 2);
}

static void test_three_tiers(void **state)
{
	(void)state;
	each_allocation((struct c4_clos){.leaves = 6, .spines = 3, .hosts_per_leaf = 3, .pods = 3},
			0);
	each_allocation(
		(struct c4_clos){
			.leaves = 6, .spines = 3, .hosts_per_leaf = 3, .pods = 3, .cores = 1},
		3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_tiers),
		cmocka_unit_test(test_three_tiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
