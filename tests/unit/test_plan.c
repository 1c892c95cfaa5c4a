// SPDX-License-Identifier: BSD-3-Clause
/* Hops and loads of routes written by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_case.h"

static void make_plan(struct plan_case *c)
{
	assert_int_equal(c4_plan_init(&c->p, &c->d), 0);
}

static double *measure(struct plan_case *c)
{
	double *load = calloc(2 * c->f.n_links, sizeof *load);

	c4_plan_measure(&c->f, &c->d, &c->p, load);
	return load;
}

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-6;
}

static void test_new_plan(void **state)
{
	struct plan_case c;

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = 2, .spines = 2, .hosts_per_leaf = 1});
	case_add(&c, 0, 1, 2, 4);
	case_add(&c, 1, 0, 1, 1);
	make_plan(&c);
	assert_int_equal(c.p.n_routes, 5);
	for (uint32_t q = 0; q < 5; q++) {
		assert_int_equal(c.p.routes[q].state, C4_ROUTE_NONE);
		assert_true(near((double)c.p.routes[q].share, q < 4 ? 0.25 : 1));
	}
	case_release(&c);
}

static void test_hops_of_two_tiers(void **state)
{
	struct c4_hop hops[C4_HOPS_MAX];
	struct plan_case c;
	struct c4_route r = {.state = C4_ROUTE_SPINE};

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = 3, .spines = 2, .hosts_per_leaf = 1});
	case_add(&c, 0, 2, 1, 1);
	r.up = r.down = (uint16_t)c4_fabric_switch(&c.f, "spine1");
	assert_int_equal(c4_route_hops(&c.f, &c.d.conns[0], &r, hops), 2);
	assert_int_equal(hops[0].link, 1); /* leaf0 – spine1 */
	assert_true(hops[0].up);
	assert_int_equal(hops[1].link, 5); /* leaf2 – spine1 */
	assert_false(hops[1].up);
	r.parallel_up = 1; /* there is no second link */
	c4_route_hops(&c.f, &c.d.conns[0], &r, hops);
	assert_int_equal(hops[0].link, C4_NONE);
	r.state = C4_ROUTE_LOCAL;
	assert_int_equal(c4_route_hops(&c.f, &c.d.conns[0], &r, hops), 0);
	r.state = C4_ROUTE_NO_PATH;
	assert_int_equal(c4_route_hops(&c.f, &c.d.conns[0], &r, hops), 0);
	case_release(&c);
}

static void expect_ends(const struct plan_case *c, struct c4_hop hop, const char *a, const char *b,
			bool up)
{
	assert_string_equal(c->f.switches[c->f.links[hop.link].a].name, a);
	assert_string_equal(c->f.switches[c->f.links[hop.link].b].name, b);
	assert_int_equal(hop.up, up);
}

static void test_hops_of_three_tiers(void **state)
{
	struct c4_hop hops[C4_HOPS_MAX];
	struct c4_fault fault;
	struct plan_case c;
	struct c4_route r = {.state = C4_ROUTE_CORE};

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = 4, .spines = 2, .hosts_per_leaf = 1, .pods = 2});
	assert_true(c4_fabric_add_link(&c.f, "spine3", "core2", 400, 400, &fault) >= 0);
	assert_int_equal(c4_fabric_finish(&c.f, &fault), 0);
	case_add(&c, 0, 3, 1, 1);
	r.up = (uint16_t)c4_fabric_switch(&c.f, "spine1");
	r.core = (uint16_t)c4_fabric_switch(&c.f, "core2");
	r.down = (uint16_t)c4_fabric_switch(&c.f, "spine3");
	r.parallel_core = 1 << 4; /* down by the second link */
	assert_int_equal(c4_route_hops(&c.f, &c.d.conns[0], &r, hops), 4);
	expect_ends(&c, hops[0], "leaf0", "spine1", true);
	expect_ends(&c, hops[1], "spine1", "core2", true);
	expect_ends(&c, hops[2], "spine3", "core2", false);
	expect_ends(&c, hops[3], "leaf3", "spine3", false);
	assert_int_equal(hops[2].link, c.f.n_links - 1);
	case_release(&c);
}

static void test_loads(void **state)
{
	struct plan_case c;
	double *load;

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = 2, .spines = 2, .hosts_per_leaf = 1});
	case_add(&c, 0, 1, 3, 2);
	case_add(&c, 1, 0, 1, 1);
	case_add(&c, 0, 0, 9, 1);
	make_plan(&c);
	for (uint32_t q = 0; q < 3; q++)
		c.p.routes[q].state = C4_ROUTE_SPINE;
	c.p.routes[0].up = c.p.routes[0].down = 2; /* spine0 */
	c.p.routes[1].up = c.p.routes[1].down = 3;
	c.p.routes[2].up = c.p.routes[2].down = 3;
	c.p.routes[0].share = 0.75f;
	c.p.routes[1].share = 0.25f;
	c.p.routes[3].state = C4_ROUTE_LOCAL;
	c.f.links[3].now_gbps = 100; /* leaf1 – spine1 */
	load = measure(&c);
	assert_true(near(load[0], 2.25) && near(load[1], 0)); /* leaf0 – spine0 */
	assert_true(near(load[2], 0.75) && near(load[3], 1)); /* leaf0 – spine1 */
	assert_true(near(load[4], 0) && near(load[5], 2.25)); /* leaf1 – spine0 */
	assert_true(near(load[6], 1) && near(load[7], 0.75)); /* leaf1 – spine1 */
	assert_true(near(c.p.max_load, 2.25));
	assert_true(near(c.p.max_util, 4)); /* 1 on a quarter of the rate */
	assert_int_equal(c.p.n_unplaced, 0);
	c.p.routes[0].state = C4_ROUTE_NO_PATH;
	c.p.routes[2].state = C4_ROUTE_TWO_PLANES;
	c4_plan_measure(&c.f, &c.d, &c.p, load);
	assert_true(near(c.p.max_load, 0.75));
	assert_true(near(c.p.max_util, 3));
	assert_int_equal(c.p.n_unplaced, 2);
	free(load);
	case_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_plan),
		cmocka_unit_test(test_hops_of_two_tiers),
		cmocka_unit_test(test_hops_of_three_tiers),
		cmocka_unit_test(test_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
