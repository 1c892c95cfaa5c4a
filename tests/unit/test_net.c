// SPDX-License-Identifier: BSD-3-Clause
/* A net's coordinates name the fabric's own switches and links, each once. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/fabric/net.h"
#include "tests/unit/plan_case.h"

struct world {
	struct plan_case c;
	struct c4_net net;
	uint32_t *local;
};

static void take_net(struct world *w, uint32_t index)
{
	struct c4_fault fault;

	w->local = calloc(w->c.f.n_switches + 1, sizeof *w->local);
	assert_int_equal(c4_net_init(&w->net, &w->c.f, index, w->local, &fault), 0);
}

static void drop_net(struct world *w)
{
	c4_net_release(&w->net);
	free(w->local);
}

static void world_init(struct world *w, struct c4_clos shape, uint32_t index)
{
	case_clos(&w->c, shape);
	take_net(w, index);
}

static void world_release(struct world *w)
{
	drop_net(w);
	case_release(&w->c);
}

/* ---- every link is somewhere, and where its ends say ----------------------------------------- */

static void see(const struct c4_net *n, const struct c4_bundle *b, uint32_t low, uint32_t high,
		uint32_t *seen)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t link = n->fabric->link_of[b->at + i];

		assert_int_equal(n->fabric->links[link].a, low);
		assert_int_equal(n->fabric->links[link].b, high);
		seen[link]++;
	}
}

static void see_ups(const struct c4_net *n, uint32_t *seen)
{
	for (uint32_t leaf = 0; leaf < n->n_leaves; leaf++)
		for (uint32_t c = 0; c < n->colours; c++)
			see(n, c4_net_up(n, leaf, c), n->leaf[leaf],
			    n->spine[n->pod[leaf] * n->colours + c], seen);
}

static void see_overs(const struct c4_net *n, uint32_t *seen)
{
	for (uint32_t pod = 0; pod < n->n_pods; pod++)
		for (uint32_t c = 0; c < n->colours; c++)
			for (uint32_t i = 0; i < n->cores; i++)
				see(n, c4_net_over(n, pod, c, i), n->spine[pod * n->colours + c],
				    n->core[c * n->cores + i], seen);
}

static void check_links(const struct world *w, uint32_t index)
{
	const struct c4_fabric *f = &w->c.f;
	uint32_t *seen = calloc(f->n_links + 1, sizeof *seen);

	see_ups(&w->net, seen);
	see_overs(&w->net, seen);
	for (uint32_t i = 0; i < f->n_links; i++)
		assert_int_equal(seen[i], f->switches[f->links[i].a].net == index);
	free(seen);
}

static void test_two_tiers_and_planes(void **state)
{
	struct world w;

	(void)state;
	for (uint32_t plane = 0; plane < 3; plane++) {
		world_init(&w,
			   (struct c4_clos){.leaves = 5,
					    .spines = 3,
					    .hosts_per_leaf = 1,
					    .rails = 2,
					    .planes = 3},
			   plane);
		assert_int_equal(w.net.n_leaves, 10);
		assert_int_equal(w.net.n_pods, 1);
		assert_int_equal(w.net.colours, 3);
		assert_int_equal(w.net.cores, 0);
		for (uint32_t i = 0; i < w.net.n_leaves; i++)
			assert_int_equal(w.local[w.net.leaf[i]], i);
		check_links(&w, plane);
		assert_true(c4_net_uniform(&w.net));
		world_release(&w);
	}
}

static void test_pods(void **state)
{
	struct world w;

	(void)state;
	world_init(&w,
		   (struct c4_clos){
			   .leaves = 6, .spines = 4, .hosts_per_leaf = 1, .pods = 3, .cores = 5},
		   0);
	assert_int_equal(w.net.n_pods, 3);
	assert_int_equal(w.net.colours, 4);
	assert_int_equal(w.net.cores, 5);
	check_links(&w, 0);
	assert_true(c4_net_uniform(&w.net));
	/* spines of one colour meet at the colour's cores: see_overs() found all of their links */
	for (uint32_t c = 0; c < 4; c++)
		for (uint32_t i = 0; i < 5; i++)
			assert_int_not_equal(w.net.core[c * 5 + i], C4_NONE);
	world_release(&w);
}

/* Core groups and pods of different sizes: a pod without a spine of some group. */
static void test_uneven_pods(void **state)
{
	static const char *const links[][2] = {
		{"a0", "s0"}, {"a0", "s1"}, {"b0", "t0"}, {"s0", "x0"},
		{"s1", "y0"}, {"s1", "y1"}, {"t0", "y0"}, {"t0", "y1"},
	};
	struct c4_fault fault;
	struct world w;

	(void)state;
	case_init(&w.c);
	c4_fabric_add_switch(&w.c.f, C4_LEAF, "a0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_LEAF, "b0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_SPINE, "s0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_SPINE, "s1", &fault);
	c4_fabric_add_switch(&w.c.f, C4_SPINE, "t0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_CORE, "x0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_CORE, "y0", &fault);
	c4_fabric_add_switch(&w.c.f, C4_CORE, "y1", &fault);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		c4_fabric_add_link(&w.c.f, links[i][0], links[i][1], 100, 100, &fault);
	assert_int_equal(c4_fabric_finish(&w.c.f, &fault), 0);
	take_net(&w, 0);
	assert_int_equal(w.net.n_pods, 2);
	assert_int_equal(w.net.colours, 2);
	check_links(&w, 0);
	assert_false(c4_net_uniform(&w.net));
	assert_true(c4_net_joined(&w.net, 0, 1)); /* s1 – y – t0 */
	w.c.f.links[1].now_gbps = 0;		  /* a0 – s1 */
	assert_false(c4_net_joined(&w.net, 0, 1));
	world_release(&w);
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* leaf0 has three links to spine0: 400, 200 of 400, dead. */
static void parallel(struct world *w)
{
	struct c4_fault fault;

	case_clos(&w->c, (struct c4_clos){.leaves = 2, .spines = 2, .hosts_per_leaf = 1});
	assert_true(c4_fabric_join(&w->c.f, 0, 2, 400, 200, &fault) >= 0);
	assert_true(c4_fabric_join(&w->c.f, 0, 2, 400, 0, &fault) >= 0);
	assert_int_equal(c4_fabric_finish(&w->c.f, &fault), 0);
	take_net(w, 0);
}

static void test_bundles(void **state)
{
	const struct c4_bundle *b;
	struct world w;

	(void)state;
	parallel(&w);
	check_links(&w, 0);
	b = c4_net_up(&w.net, 0, 0);
	assert_int_equal(b->n, 3);
	assert_true(fabs(c4_bundle_rate(&w.net, b) - 1.5) < 1e-6);
	assert_int_equal(c4_bundle_alive(&w.net, b), 2);
	assert_int_equal(c4_bundle_fits(&w.net, b, 1, 1), 1);	   /* whole QPs on each link */
	assert_int_equal(c4_bundle_fits(&w.net, b, 0.5, 1), 3);	   /* 2 + 1 */
	assert_int_equal(c4_bundle_fits(&w.net, b, 0.1, 1), 15);   /* no rounding error */
	assert_int_equal(c4_bundle_fits(&w.net, b, 0.75, 1.5), 3); /* 2 + 1 */
	assert_int_equal(c4_bundle_fits(&w.net, b, 1, 0), 0);
	assert_int_equal(c4_bundle_fits(&w.net, b, 1e-12, 1e6), UINT32_MAX);
	assert_false(c4_net_uniform(&w.net));
	w.c.f.links[w.c.f.link_of[b->at]].now_gbps = 0; /* seen at once */
	assert_int_equal(c4_bundle_alive(&w.net, b), 1);
	world_release(&w);
}

/* Regular or not, with parallel links anywhere: what counting one by one finds. */
static void test_links_between(void **state)
{
	struct dice dice = {1};
	struct c4_fault fault;

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct plan_case c;
		uint32_t n_links;

		case_clos(&c, (struct c4_clos){.leaves = 4,
					       .spines = 1 + dice_below(&dice, 4),
					       .hosts_per_leaf = 1,
					       .pods = 2});
		n_links = c.f.n_links;
		for (uint32_t k = 0; k < (uint32_t)i % 5; k++) {
			struct c4_link l = c.f.links[dice_below(&dice, n_links)];

			assert_true(c4_fabric_join(&c.f, l.a, l.b, 400, 400, &fault) >= 0);
		}
		assert_int_equal(c4_fabric_finish(&c.f, &fault), 0);
		for (uint32_t a = 0; a < c.f.n_switches; a++)
			for (uint32_t b = 0; b < c.f.n_switches; b++) {
				uint32_t n, count = 0, at = c4_fabric_links_between(&c.f, a, b, &n);

				for (uint32_t k = 0; k < c.f.n_links; k++) {
					const struct c4_link *l = &c.f.links[k];

					if ((l->a != a || l->b != b) && (l->a != b || l->b != a))
						continue;
					assert_true(count < n);
					assert_int_equal(c.f.link_of[at + count++], k);
				}
				assert_int_equal(count, n);
			}
		case_release(&c);
	}
}

static void test_uniform_or_not(void **state)
{
	struct c4_link *l;
	struct world w;

	(void)state;
	world_init(&w, (struct c4_clos){.leaves = 4, .spines = 2, .hosts_per_leaf = 1, .pods = 2},
		   0);
	assert_true(c4_net_uniform(&w.net));
	for (uint32_t i = 0; i < w.c.f.n_links; i++) {
		l = &w.c.f.links[i];
		l->now_gbps = i % 2 ? 0 : 399;
		assert_false(c4_net_uniform(&w.net));
		l->now_gbps = 400;
	}
	for (uint32_t i = 0; i < w.c.f.n_links; i++)
		w.c.f.links[i].now_gbps = 100; /* degraded, yet alike */
	assert_true(c4_net_uniform(&w.net));
	world_release(&w);
}

static void test_too_many_spines(void **state)
{
	struct c4_fault fault = {0};
	struct c4_net net;
	struct plan_case c;
	uint32_t *local;

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = 1, .spines = 4097, .hosts_per_leaf = 1});
	local = calloc(c.f.n_switches, sizeof *local);
	assert_int_equal(c4_net_init(&net, &c.f, 0, local, &fault), -E2BIG);
	assert_non_null(strstr(fault.what, "4097"));
	free(local);
	case_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_tiers_and_planes), cmocka_unit_test(test_pods),
		cmocka_unit_test(test_uneven_pods),	     cmocka_unit_test(test_bundles),
		cmocka_unit_test(test_links_between),	     cmocka_unit_test(test_uniform_or_not),
		cmocka_unit_test(test_too_many_spines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
