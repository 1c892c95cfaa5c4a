// SPDX-License-Identifier: BSD-3-Clause
/* The service's engine: what a change of its inputs does to the plan, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>

#include "planner/daemon/state.h"
#include "tests/unit/planner_scene.h"

/* ---- what to look at ------------------------------------------------------------------------- */

static void save(const struct scene *s)
{
	struct c4_fault fault;
	struct c4_buf b = {0};

	c4_state_encode(s->edition, &b);
	assert_int_equal(c4_state_write(s->state, &b, &fault), 0);
	c4_buf_release(&b);
}

/* As after the end of the process: a new engine on the same files. */
static void restart(struct scene *s)
{
	scene_end_engine(s);
	scene_begin_engine(s);
}

struct ways {
	struct c4_way v[2 * SCENE_HOSTS];
};

/* By the number in the connection's id. */
static struct ways ways_of(const struct c4_edition *e)
{
	const struct c4_demand *d = &e->demand->demand;
	struct ways w = {0};

	for (uint32_t i = 0; i < d->n_conns; i++)
		w.v[atoi(d->conns[i].id + 1)] = c4_way_of(&e->fabric->fabric, &d->conns[i],
							  &e->plan.routes[d->conns[i].first]);
	return w;
}

static bool crosses(const struct c4_edition *e, const struct c4_way *w, const char *leaf,
		    const char *spine)
{
	uint16_t l = (uint16_t)c4_fabric_switch(&e->fabric->fabric, leaf);
	uint16_t s = (uint16_t)c4_fabric_switch(&e->fabric->fabric, spine);

	return w->n == 3 && w->at[1] == s && (w->at[0] == l || w->at[2] == l);
}

static uint32_t differing(const struct ways *a, const struct ways *b, uint32_t n)
{
	uint32_t different = 0;

	for (uint32_t i = 0; i < n; i++)
		different += !c4_way_equal(&a->v[i], &b->v[i]);
	return different;
}

static void assert_best(const struct c4_edition *e)
{
	assert_int_equal(e->plan.n_unplaced, 0);
	assert_true(e->plan.lower_bound > 0);
	assert_true(fabs(e->plan.max_load - e->plan.lower_bound) < 1e-9);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_nothing_without_a_fabric(void **state)
{
	struct scene *s = *state;

	assert_int_equal(remove(s->fabric), 0);
	assert_false(scene_read(s, true, true));
	assert_int_equal(s->task.fabric.state, C4_INPUT_MISSING);
	scene_write_fabric(s, &scene_shape);
	assert_true(scene_read(s, true, false)); /* the demand was not forgotten */
	assert_int_equal(s->edition->plan.n_routes, SCENE_HOSTS);
	assert_best(s->edition);
}

static void test_fabric_before_demand(void **state)
{
	struct scene *s = *state;
	uint64_t version;

	assert_true(scene_read(s, true, false));
	assert_int_equal(s->edition->plan.n_routes, 0);
	version = s->edition->version;
	assert_true(scene_read(s, false, true));
	assert_true(s->edition->version > version);
	assert_int_equal(s->edition->delta->follows, version);
	assert_int_equal(s->edition->delta->n_moves, 0); /* to arrive is not to move */
	assert_best(s->edition);
}

static void test_same_inputs_are_no_news(void **state)
{
	struct scene *s = *state;

	assert_true(scene_read(s, true, true));
	assert_false(scene_read(s, true, true));
	assert_int_equal(s->task.fabric.state, C4_INPUT_READ);
	assert_false(scene_wait(s, SECOND_NS));
}

static void test_departures_move_nothing(void **state)
{
	struct scene *s = *state;
	struct ways before, after;

	assert_true(scene_read(s, true, true));
	before = ways_of(s->edition);
	scene_write_demand(s, 0, 12, 5, 1);
	assert_true(scene_read(s, false, true));
	after = ways_of(s->edition);
	assert_int_equal(differing(&before, &after, 12), 0);
	assert_int_equal(s->edition->delta->n_gone, 4);
	assert_string_equal(s->edition->delta->gone[0].id, "c12");
	for (uint32_t i = 0; i < 12; i++)
		assert_true(s->edition->changed[i] < s->edition->version);
}

static void test_arrivals_keep_the_bound(void **state)
{
	struct scene *s = *state;
	struct ways before, after;

	scene_write_demand(s, 0, 12, 5, 1);
	assert_true(scene_read(s, true, true));
	before = ways_of(s->edition);
	scene_write_demand(s, 0, SCENE_HOSTS, 5, 1);
	assert_true(scene_read(s, false, true));
	after = ways_of(s->edition);
	assert_best(s->edition);
	assert_int_equal(differing(&before, &after, 12), s->edition->delta->n_moves);
	assert_true(s->edition->delta->n_moves <= 8);
	for (uint32_t i = 0; i < s->edition->delta->n_moves; i++)
		assert_int_equal(s->edition->delta->moves[i].why, C4_SHIFT_ARRIVAL);
}

static void test_fewer_qps(void **state)
{
	struct scene *s = *state;

	scene_write_demand(s, 0, SCENE_HOSTS, 5, 4);
	assert_true(scene_read(s, true, true));
	scene_write_demand(s, 0, SCENE_HOSTS, 5, 3);
	assert_true(scene_read(s, false, true));
	assert_int_equal(s->edition->delta->n_gone, SCENE_HOSTS);
	assert_int_equal(s->edition->delta->gone[0].first, 3);
	assert_int_equal(s->edition->delta->gone[0].n, 1);
}

static void test_dead_link_moves_what_it_carried(void **state)
{
	struct scene *s = *state;
	struct ways before, after;
	const struct c4_delta *d;

	assert_true(scene_read(s, true, true));
	before = ways_of(s->edition);
	assert_true(scene_link(s, "spine1", "leaf0", 0)); /* either order */
	after = ways_of(s->edition);
	d = s->edition->delta;
	for (uint32_t i = 0; i < SCENE_HOSTS; i++) {
		assert_false(crosses(s->edition, &after.v[i], "leaf0", "spine1"));
		if (!crosses(s->edition, &before.v[i], "leaf0", "spine1"))
			assert_true(c4_way_equal(&before.v[i], &after.v[i]));
	}
	assert_int_equal(d->n_moves, 2); /* one up, one down: 16 flows on 16 links each way */
	assert_int_equal(d->by_reason[C4_SHIFT_LINK_DOWN], 2);
	assert_best(s->edition);
	assert_int_equal(s->edition->links.n, 1);
}

static void test_returned_link_is_used_after_its_hold(void **state)
{
	struct scene *s = *state;

	assert_true(scene_read(s, true, true));
	assert_true(scene_link(s, "leaf0", "spine1", 0));
	assert_true(s->edition->plan.max_load > 1.5);
	scene_link(s, "leaf0", "spine1", 400);
	assert_int_equal(s->edition->links.n, 0);
	assert_true(s->edition->plan.max_load > 1.5);
	scene_wait(s, 5 * SECOND_NS);
	assert_true(s->edition->plan.max_load > 1.5);
	assert_true(scene_wait(s, 6 * SECOND_NS));
	assert_best(s->edition);
	assert_true(s->edition->plan.max_load < 1.5);
}

static void test_reports_that_cannot_be(void **state)
{
	struct scene *s = *state;

	assert_true(scene_read(s, true, true));
	scene_link(s, "leaf0", "leaf1", 0);
	assert_int_equal(s->task.links_refused, 1);
	scene_link(s, "leaf0", "spine9", 0);
	assert_int_equal(s->task.links_refused, 1);
	scene_link(s, "leaf0", "spine1", 401);
	assert_int_equal(s->task.links_refused, 1);
	scene_link(s, "leaf0", "spine1", NAN);
	assert_int_equal(s->task.links_refused, 1);
	assert_int_equal(s->edition->links.n, 0);
	assert_best(s->edition);
}

static bool report_parallel(struct scene *s, uint32_t parallel, float now_gbps)
{
	struct c4_link_report r = {
		.a = "leaf0", .b = "spine0", .parallel = parallel, .now_gbps = now_gbps};

	s->task = (struct c4_task){.links = &r, .n_links = 1};
	return scene_run(s);
}

static void test_one_of_parallel_links(void **state)
{
	struct scene *s = *state;

	scene_write_text(s->fabric,
			 "schema: c4.fabric/v1\n"
			 "hosts:\n"
			 "- {name: h0, nics: [{name: r0p0, leaf: leaf0, plane: 0, rail: 0}]}\n"
			 "- {name: h1, nics: [{name: r0p0, leaf: leaf1, plane: 0, rail: 0}]}\n"
			 "leaves: [leaf0, leaf1]\n"
			 "spines: [spine0]\n"
			 "links:\n"
			 "- {a: leaf0, b: spine0, gbps: 400, count: 2}\n"
			 "- {a: leaf1, b: spine0, gbps: 400, count: 2}\n");
	scene_write_text(s->demand, "{\"schema\":\"c4.demand/v1\",\"connections\":[{\"id\":\"c0\","
				    "\"job\":\"j\",\"src\":\"h0/r0p0\",\"dst\":\"h1/r0p0\","
				    "\"weight\":1,\"qps\":2}]}");
	assert_true(scene_read(s, true, true));
	assert_true(fabs(s->edition->plan.max_load - 0.5) < 1e-6);
	report_parallel(s, 2, 0); /* there are two */
	assert_int_equal(s->task.links_refused, 1);
	assert_true(report_parallel(s, 1, 0));
	assert_int_equal(s->edition->links.n, 1);
	assert_int_equal(s->edition->links.v[0].parallel, 1);
	assert_int_equal(s->edition->plan.n_unplaced, 0);
	assert_true(fabs(s->edition->plan.max_load - 1) < 1e-6);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(s->edition->plan.routes[i].parallel_up, 0);
	assert_true(report_parallel(s, C4_PARALLEL_ALL, 0)); /* now there is no way at all */
	assert_int_equal(s->edition->links.n, 2);
	assert_int_equal(s->edition->plan.n_unplaced, 2);
	report_parallel(s, 0, 400);
	scene_wait(s, 30 * SECOND_NS);
	assert_int_equal(s->edition->plan.n_unplaced, 0);
}

static void test_bad_fabric_changes_nothing(void **state)
{
	struct scene *s = *state;

	assert_true(scene_read(s, true, true));
	scene_write_text(s->fabric, "schema: c4.fabric/v1\nhosts: [\n");
	assert_false(scene_read(s, true, false));
	assert_int_equal(s->task.fabric.state, C4_INPUT_BAD);
	assert_non_null(strstr(s->task.fabric.why, "fabric.yaml:"));
	assert_true(scene_link(s, "leaf0", "spine0", 0)); /* and it goes on working */
}

static void test_another_fabric_keeps_what_it_can(void **state)
{
	struct c4_clos wider = scene_shape;
	struct scene *s = *state;
	const struct c4_delta *d;
	struct ways before, after;

	assert_true(scene_read(s, true, true));
	assert_true(scene_link(s, "leaf3", "spine2", 0));
	before = ways_of(s->edition);
	wider.spines = 5;
	wider.leaves = 5;
	scene_write_fabric(s, &wider);
	assert_true(scene_read(s, true, false));
	after = ways_of(s->edition);
	d = s->edition->delta;
	assert_best(s->edition);
	assert_int_equal(d->n_gone, 0);
	assert_int_equal(s->edition->links.n, 1); /* the report survived */
	for (uint32_t i = 0; i < SCENE_HOSTS; i++)
		assert_false(crosses(s->edition, &after.v[i], "leaf3", "spine2"));
	for (uint32_t i = 0; i < d->n_moves; i++)
		assert_int_equal(d->moves[i].why, C4_SHIFT_FABRIC);
	/* leaves are counted before spines: the same index is another switch now */
	for (uint32_t i = 0; i < SCENE_HOSTS; i++)
		assert_int_equal(before.v[i].n, after.v[i].n);
	assert_true(d->n_moves <= SCENE_HOSTS / 2);
}

static void test_hosts_that_go_take_their_connections(void **state)
{
	struct c4_clos smaller = scene_shape;
	struct scene *s = *state;

	assert_true(scene_read(s, true, true));
	smaller.leaves = 3;
	scene_write_fabric(s, &smaller);
	/* the file still names h12 … h15: it is refused, the last demand goes on as far as it can
	 */
	assert_true(scene_read(s, true, false));
	assert_int_equal(s->task.demand.state, C4_INPUT_BAD);
	assert_int_equal(s->edition->plan.n_routes, 8); /* c0 … c6, c11 */
	assert_int_equal(s->edition->delta->n_gone, 8);
}

static void test_restart_moves_nothing(void **state)
{
	struct scene *s = *state;
	struct ways before, after;
	uint64_t version;

	assert_true(scene_read(s, true, true));
	assert_true(scene_link(s, "leaf0", "spine1", 0));
	before = ways_of(s->edition);
	version = s->edition->version;
	save(s);
	restart(s);
	assert_true(scene_read(s, true, false)); /* the collector, or file, may come later */
	assert_int_equal(s->task.state.state, C4_INPUT_READ);
	after = ways_of(s->edition);
	assert_int_equal(differing(&before, &after, SCENE_HOSTS), 0);
	assert_true(s->edition->version > version);
	assert_int_equal(s->edition->delta->follows, version);
	assert_int_equal(s->edition->links.n, 1);
	for (uint32_t i = 0; i < SCENE_HOSTS; i++)
		assert_true(s->edition->changed[i] <= version);
	assert_false(scene_read(s, false, true));
}

static void test_state_of_another_fabric(void **state)
{
	struct c4_clos other = scene_shape;
	struct scene *s = *state;
	uint64_t version;

	assert_true(scene_read(s, true, true));
	version = s->edition->version;
	save(s);
	other.spines = 3;
	scene_write_fabric(s, &other);
	restart(s);
	assert_true(scene_read(s, true, true));
	assert_int_equal(s->task.state.state, C4_INPUT_BAD);
	assert_non_null(strstr(s->task.state.why, "another fabric"));
	assert_true(s->edition->version > version);
	assert_int_equal(s->edition->delta->follows, 0);
	assert_best(s->edition);
}

static void test_bounds_of_large_plans_come_later(void **state)
{
	struct scene *s = *state;

	scene_write_demand(s, 0, 32, 5, 128);
	scene_read(s, true, true); /* 4096 QPs: at once */
	assert_best(s->edition);
	scene_write_demand(s, 0, 160, 5, 128);
	assert_true(scene_read(s, false, true));
	assert_true(s->task.unpolished && isnan(s->edition->plan.lower_bound));
	s->task = (struct c4_task){.polish = true};
	assert_true(scene_run(s));
	assert_best(s->edition);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(test_nothing_without_a_fabric),
		T(test_fabric_before_demand),
		T(test_same_inputs_are_no_news),
		T(test_departures_move_nothing),
		T(test_arrivals_keep_the_bound),
		T(test_fewer_qps),
		T(test_dead_link_moves_what_it_carried),
		T(test_returned_link_is_used_after_its_hold),
		T(test_reports_that_cannot_be),
		T(test_one_of_parallel_links),
		T(test_bad_fabric_changes_nothing),
		T(test_another_fabric_keeps_what_it_can),
		T(test_hosts_that_go_take_their_connections),
		T(test_restart_moves_nothing),
		T(test_state_of_another_fabric),
		T(test_bounds_of_large_plans_come_later),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
