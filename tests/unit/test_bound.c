// SPDX-License-Identifier: BSD-3-Clause
/* Lower bounds on cases small enough to count by hand. That none exceeds an optimum is proven in
 * test_assign_lp.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/assign/bound.h"
#include "tests/unit/plan_case.h"

#define EDGES_MAX 64

struct world {
	struct plan_case c;
	struct c4_net net;
	struct c4_colour_edge edges[EDGES_MAX];
	uint8_t of[EDGES_MAX];
	double size[4];
	struct c4_bound_input in;
};

static void world_init(struct world *w, uint32_t leaves, uint32_t spines, uint32_t pods,
		       uint32_t cores)
{
	uint32_t local[64];
	struct c4_fault fault;

	memset(w, 0, sizeof *w);
	case_clos(&w->c, (struct c4_clos){.leaves = leaves,
					  .spines = spines,
					  .hosts_per_leaf = 1,
					  .pods = pods,
					  .cores = cores});
	assert_int_equal(c4_net_init(&w->net, &w->c.f, 0, local, &fault), 0);
	w->size[0] = 1;
	w->in = (struct c4_bound_input){
		.edges = w->edges, .of = w->of, .size = w->size, .n_sizes = 1};
}

static void world_release(struct world *w)
{
	c4_net_release(&w->net);
	case_release(&w->c);
}

static void add(struct world *w, uint32_t n, uint16_t from, uint16_t to, uint8_t size)
{
	for (uint32_t i = 0; i < n; i++) {
		w->of[w->in.n_edges] = size;
		w->edges[w->in.n_edges] = (struct c4_colour_edge){{from, to}, w->in.n_edges};
		w->in.n_edges++;
	}
}

/* Link of a leaf to its spine number s. */
static struct c4_link *uplink(struct world *w, uint32_t leaf, uint32_t s)
{
	return &w->c.f.links[w->c.f.link_of[c4_net_up(&w->net, leaf, s)->at]];
}

static void expect(struct world *w, double load, double util)
{
	struct c4_bound b = {-1, -1};

	assert_int_equal(c4_bound_net(&w->net, &w->in, &b), 0);
	if (fabs(b.load - load) > 1e-9 || fabs(b.util - util) > 1e-9) {
		print_error("bounds %g, %g, expected %g, %g\n", b.load, b.util, load, util);
		fail();
	}
}

static void test_degree(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, 3, 0, 0);
	expect(&w, 0, 0);
	add(&w, 3, 0, 1, 0);
	expect(&w, 1, 1);
	add(&w, 1, 0, 2, 0);
	expect(&w, 2, 2); /* four leave leaf 0 by three links */
	add(&w, 5, 1, 3, 0);
	add(&w, 2, 0, 3, 0);
	expect(&w, 3, 3); /* seven reach leaf 3 */
	world_release(&w);
}

static void test_dead_and_degraded_uplinks(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 2, 4, 0, 0);
	add(&w, 6, 0, 1, 0);
	expect(&w, 2, 2);
	uplink(&w, 0, 1)->now_gbps = 0;
	uplink(&w, 0, 2)->now_gbps = 0;
	expect(&w, 3, 3);
	uplink(&w, 0, 3)->now_gbps = 100; /* a quarter: 5 and 1, at 5 and 4; or 4 and 2, at 8 */
	expect(&w, 3, 5);
	world_release(&w);
}

/* Leaf 0 sees spines 0 and 1, leaf 1 sees 1 and 2: six QPs between them share spine 1. */
static void test_cut(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 3, 3, 0, 0);
	add(&w, 6, 0, 1, 0);
	expect(&w, 2, 2);
	uplink(&w, 0, 2)->now_gbps = 0;
	uplink(&w, 1, 0)->now_gbps = 0;
	expect(&w, 6, 6);
	world_release(&w);
}

/* Makes the planner's coordinates anew after a change of links. */
static void renew(struct world *w)
{
	struct c4_fault fault;
	uint32_t local[64];

	c4_net_release(&w->net);
	assert_int_equal(c4_fabric_finish(&w->c.f, &fault), 0);
	assert_int_equal(c4_net_init(&w->net, &w->c.f, 0, local, &fault), 0);
}

/* Four leaves in two pods of three spines; leaves 0 and 1 see the second and the third, 2 and 3 the
 * first and the third. Six QPs between pods keep their colour: the third. */
static void damaged_pods(struct world *w)
{
	world_init(w, 4, 3, 2, 2);
	assert_true(w->net.aligned);
	for (uint32_t leaf = 0; leaf < 4; leaf++)
		uplink(w, leaf, leaf / 2)->now_gbps = 0;
	add(w, 6, 0, 2, 0);
}

static void test_cut_between_pods(void **state)
{
	struct world w;

	(void)state;
	damaged_pods(&w);
	expect(&w, 6, 6);
	world_release(&w);
}

/* With all spines at all cores three go up by the second and down by the first; inside a pod
 * nothing changes. */
static void test_no_cut_where_cores_mix_colours(void **state)
{
	struct c4_fault fault;
	struct world w;

	(void)state;
	damaged_pods(&w);
	for (uint32_t pod = 0; pod < 2; pod++)
		for (uint32_t s = 0; s < 3; s++)
			for (uint32_t i = 0; i < 6; i++)
				if (i / 2 != s)
					assert_true(c4_fabric_join(&w.c.f, w.net.spine[pod * 3 + s],
								   w.net.core[i], 400, 400,
								   &fault) >= 0);
	renew(&w);
	assert_false(w.net.aligned);
	expect(&w, 3, 3);
	uplink(&w, 1, 1)->now_gbps = 0; /* leaf 1: only the third */
	w.in.n_edges = 0;
	add(&w, 6, 0, 1, 0);
	expect(&w, 6, 6);
	uplink(&w, 1, 0)->now_gbps = 400; /* the first, which leaf 0 does not see, and the third */
	expect(&w, 6, 6);
	world_release(&w);
}

static void test_pods_share_their_cores(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 4, 2, 2, 1); /* two leaves and two spines a pod, one core per spine */
	add(&w, 2, 0, 2, 0);
	add(&w, 2, 1, 3, 0);
	expect(&w, 2, 2); /* four QPs by two links; the leaves have one for each */
	add(&w, 2, 0, 1, 0);
	expect(&w, 2, 2); /* inside a pod no core is needed */
	world_release(&w);
}

/* Three large QPs on two links: two meet. With the small ones: 7 of weight on 2 links. */
static void test_sizes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 2, 2, 0, 0);
	w.size[0] = 1;
	w.size[1] = 2;
	w.in.n_sizes = 2;
	add(&w, 3, 0, 1, 1);
	expect(&w, 4, 4);
	add(&w, 1, 0, 1, 0);
	expect(&w, 4, 4);
	add(&w, 2, 0, 1, 0);
	expect(&w, 4.5, 4.5);
	w.in.split = true;
	expect(&w, 4.5, 4.5);
	w.in.n_edges = 3;
	expect(&w, 3, 3); /* weight 6 may be split at will */
	world_release(&w);
}

static void test_links_alone(void **state)
{
	struct c4_fault fault;
	struct world w;
	uint32_t five = 5;
	double one = 1;

	(void)state;
	world_init(&w, 2, 2, 0, 0);
	assert_true(c4_fabric_join(&w.c.f, 0, 2, 400, 400, &fault) >= 0);
	renew(&w);
	/* two parallel links and a third: 2 + 2 + 1 */
	assert_true(fabs(c4_bound_links(&w.net, c4_net_up(&w.net, 0, 0), 2, &one, &five, 1) - 2) <
		    1e-9);
	for (uint32_t i = 0; i < w.c.f.n_links; i++)
		w.c.f.links[i].now_gbps = 0;
	assert_true(c4_bound_links(&w.net, c4_net_up(&w.net, 0, 0), 2, &one, &five, 1) <= 0);
	world_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_degree),
		cmocka_unit_test(test_dead_and_degraded_uplinks),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_pods_share_their_cores),
		cmocka_unit_test(test_cut_between_pods),
		cmocka_unit_test(test_no_cut_where_cores_mix_colours),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_links_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
