// SPDX-License-Identifier: BSD-3-Clause
/*
 * The service's engine without memory: each allocation fails in turn, and all after it. Nothing may
 * crash or be left half done: once there is memory again the same step succeeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "planner/daemon/state.h"
#include "tests/unit/plan_heap.h"
#include "tests/unit/planner_scene.h"

#define TRIES_MAX 100000u

/* What is tried: how things are before, what is changed from outside, the step, what must be true
 * once it succeeded. */
struct trial {
	void (*before)(struct scene *s);
	void (*change)(struct scene *s);
	void (*step)(struct scene *s);
	void (*after)(const struct scene *s);
};

static void try_all(struct scene *s, const struct trial *t)
{
	uint64_t k = 0;
	bool failed = true;

	while (failed) {
		assert_true(++k < TRIES_MAX);
		scene_end_engine(s);
		scene_begin_engine(s);
		t->before(s);
		t->change(s);
		plan_heap.fail_at = plan_heap.calls + k;
		t->step(s);
		failed = plan_heap.calls >= plan_heap.fail_at;
		plan_heap.fail_at = 0;
		t->step(s);
		t->after(s);
	}
	assert_true(k > 10); /* it did fail in many places */
}

static void no_state(struct scene *s)
{
	remove(s->state);
}

static void nothing(struct scene *s)
{
	(void)s;
}

static void planned(struct scene *s)
{
	no_state(s);
	scene_write_fabric(s, &scene_shape);
	scene_write_demand(s, 0, 12, 5, 2);
	assert_true(scene_read(s, true, true));
}

static void saved(struct scene *s)
{
	struct c4_fault fault;
	struct c4_buf b = {0};

	planned(s);
	c4_state_encode(s->edition, &b);
	assert_int_equal(c4_state_write(s->state, &b, &fault), 0);
	c4_buf_release(&b);
	scene_end_engine(s);
	scene_begin_engine(s);
}

/* Both inputs; where there is no memory for a source, there is none. */
static void read_both(struct scene *s)
{
	const struct c4_fetch_opts opts = {.forced = true};
	char why[256];

	s->task = (struct c4_task){.reload = true};
	c4_demand_feed_fetch(s->feed, &opts, &s->task.source, why, sizeof why);
	scene_run(s);
}

static void new_demand(struct scene *s)
{
	scene_write_demand(s, 4, 16, 5, 3);
}

static void new_fabric(struct scene *s)
{
	struct c4_clos wider = scene_shape;

	wider.spines = 5;
	scene_write_fabric(s, &wider);
}

static void dead_link(struct scene *s)
{
	scene_link(s, "leaf0", "spine1", 0);
}

static void is_planned(const struct scene *s)
{
	assert_non_null(s->edition);
	assert_int_equal(s->edition->plan.n_routes,
			 s->edition->demand->demand.n_conns *
				 s->edition->demand->demand.conns[0].qps);
	assert_int_equal(s->edition->plan.n_unplaced, 0);
	assert_true(s->edition->plan.lower_bound > 0);
	/* what is not above its rate need not be moved */
	assert_true(s->edition->plan.max_util < fmax(1, s->edition->plan.util_bound) + 1e-6);
}

static void is_dead(const struct scene *s)
{
	is_planned(s);
	assert_int_equal(s->edition->links.n, 1);
}

static void test_first_plan(void **state)
{
	try_all(*state, &(struct trial){no_state, nothing, read_both, is_planned});
}

static void test_change_of_demand(void **state)
{
	try_all(*state, &(struct trial){planned, new_demand, read_both, is_planned});
}

static void test_change_of_fabric(void **state)
{
	try_all(*state, &(struct trial){planned, new_fabric, read_both, is_planned});
}

static void test_link(void **state)
{
	try_all(*state, &(struct trial){planned, nothing, dead_link, is_dead});
}

static void test_restart(void **state)
{
	try_all(*state, &(struct trial){saved, nothing, read_both, is_planned});
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(test_first_plan), T(test_change_of_demand), T(test_change_of_fabric),
		T(test_link),	    T(test_restart),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
