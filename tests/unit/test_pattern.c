// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/demand/pattern.h"
#include "tests/unit/clos_fabric.h"

#define N_MAX 70u

/* ---- edges ----------------------------------------------------------------------------------- */

struct edges {
	uint32_t count[2][N_MAX][N_MAX]; /* [tree][from][to] */
	uint32_t n;
	uint32_t stop_after; /* 0: never */
};

static int on_edge(void *arg, uint32_t from, uint32_t to, uint32_t tree)
{
	struct edges *e = arg;

	e->count[tree][from][to]++;
	return ++e->n == e->stop_after ? 7 : 0;
}

static struct edges *walk(enum c4_pattern pattern, uint32_t n)
{
	struct edges *e = calloc(1, sizeof *e);

	assert_non_null(e);
	assert_int_equal(c4_pattern_walk(pattern, n, NULL, 0, on_edge, e), 0);
	return e;
}

static void test_names(void **state)
{
	enum c4_pattern p = C4_PATTERN_P2P;

	(void)state;
	assert_true(c4_pattern_parse("ring", &p) && p == C4_PATTERN_RING);
	assert_true(c4_pattern_parse("tree", &p) && p == C4_PATTERN_TREE);
	assert_true(c4_pattern_parse("all-to-all", &p) && p == C4_PATTERN_ALL_TO_ALL);
	assert_true(c4_pattern_parse("p2p", &p) && p == C4_PATTERN_P2P);
	assert_false(c4_pattern_parse("rings", &p));
}

static void test_ring_is_one_cycle(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 9; n++) {
		struct edges *e = walk(C4_PATTERN_RING, n);
		uint32_t at = 0, steps = 0;

		assert_int_equal(e->n, n > 1 ? n : 0);
		for (; e->n && (at || !steps); steps++) {
			assert_int_equal(e->count[0][at][(at + 1) % n], 1);
			at = (at + 1) % n;
		}
		assert_int_equal(steps, e->n);
		free(e);
	}
}

static void test_all_to_all_is_everybody_else(void **state)
{
	struct edges *e = walk(C4_PATTERN_ALL_TO_ALL, 5);

	(void)state;
	assert_int_equal(e->n, 20);
	for (uint32_t a = 0; a < 5; a++)
		for (uint32_t b = 0; b < 5; b++)
			assert_int_equal(e->count[0][a][b], a != b);
	free(e);
}

/* Members reached from a, going along edges of a tree. */
static uint32_t reach(const struct edges *e, uint32_t tree, uint32_t n, uint32_t a, bool *seen)
{
	uint32_t sum = 1;

	seen[a] = true;
	for (uint32_t b = 0; b < n; b++)
		if (e->count[tree][a][b] && !seen[b])
			sum += reach(e, tree, n, b, seen);
	return sum;
}

static uint32_t degree(const struct edges *e, uint32_t tree, uint32_t n, uint32_t a)
{
	uint32_t sum = 0;

	for (uint32_t b = 0; b < n; b++)
		sum += e->count[tree][a][b];
	return sum;
}

static void test_double_tree(void **state)
{
	(void)state;
	for (uint32_t n = 2; n < N_MAX; n++) {
		struct edges *e = walk(C4_PATTERN_TREE, n);
		uint32_t both_inner = 0;

		assert_int_equal(e->n, 4 * (n - 1)); /* two trees, both directions */
		for (uint32_t tree = 0; tree < 2; tree++) {
			bool seen[N_MAX] = {false};

			assert_int_equal(reach(e, tree, n, 0, seen), n);
		}
		for (uint32_t a = 0; a < n; a++) {
			uint32_t d0 = degree(e, 0, n, a), d1 = degree(e, 1, n, a);

			assert_true(d0 <= 3 && d1 <= 3); /* binary: parent and two children */
			both_inner += d0 > 1 && d1 > 1;
			for (uint32_t b = 0; b < n; b++)
				for (uint32_t tree = 0; tree < 2; tree++)
					assert_int_equal(e->count[tree][a][b],
							 e->count[tree][b][a]);
		}
		/* Full bandwidth: hardly anybody is an inner node of both trees. */
		assert_true(both_inner <= 1);
		free(e);
	}
}

/* Below 0 hangs 4; below 4: 2 and 6; below 2: 1 and 3; below 6: 5 and 7. The other is its mirror.
 */
static void test_tree_of_eight(void **state)
{
	static const uint32_t parent[8] = {0, 2, 4, 2, 0, 6, 4, 6};
	struct edges *e = walk(C4_PATTERN_TREE, 8);

	(void)state;
	for (uint32_t i = 1; i < 8; i++) {
		assert_int_equal(e->count[0][i][parent[i]], 1);
		assert_int_equal(e->count[1][7 - i][7 - parent[i]], 1);
	}
	free(e);
}

static void test_walk_stops(void **state)
{
	static const struct c4_pair pairs[] = {{0, 1}, {1, 2}, {2, 0}};
	enum c4_pattern all[] = {C4_PATTERN_RING, C4_PATTERN_TREE, C4_PATTERN_ALL_TO_ALL,
				 C4_PATTERN_P2P};

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		struct edges *e = calloc(1, sizeof *e);

		e->stop_after = 2;
		assert_int_equal(c4_pattern_walk(all[i], 3, pairs, 3, on_edge, e), 7);
		assert_int_equal(e->n, 2);
		free(e);
	}
}

/* ---- connections ----------------------------------------------------------------------------- */

struct world {
	struct c4_fabric f;
	struct c4_demand d;
};

/* h0 … h7, two a leaf, with NICs r0p0 … r1p1; h8 with r0p0 only, h9 with another rail. */
static int make_world(void **state)
{
	struct c4_clos shape = {.leaves = 4, .spines = 2, .hosts_per_leaf = 2};
	struct world *w = calloc(1, sizeof *w);
	struct c4_fault fault;

	assert_non_null(w);
	shape.rails = shape.planes = 2;
	clos_fabric(&w->f, shape);
	assert_true(c4_fabric_add_host(&w->f, "h8", &fault) >= 0);
	assert_true(c4_fabric_add_nic(&w->f, "r0p0", "leaf3", 0, 0, &fault) >= 0);
	assert_true(c4_fabric_add_host(&w->f, "h9", &fault) >= 0);
	assert_true(c4_fabric_add_nic(&w->f, "r7p0", "leaf3", 0, 7, &fault) >= 0);
	c4_demand_init(&w->d);
	c4_demand_job(&w->d, "j");
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_demand_release(&w->d);
	c4_fabric_release(&w->f);
	free(w);
	return 0;
}

static struct c4_member member(const struct world *w, const char *host, const char *nic)
{
	return (struct c4_member){c4_fabric_host(&w->f, host),
				  nic ? c4_fabric_nic(&w->f, nic) : C4_NONE};
}

static struct c4_team team(const struct c4_member *members, uint32_t n)
{
	return (struct c4_team){.name = "t",
				.pattern = C4_PATTERN_RING,
				.members = members,
				.n_members = n,
				.weight = 1,
				.qps = 1,
				.rail = C4_NONE};
}

static void test_hosts_talk_on_every_rail_and_plane(void **state)
{
	struct world *w = *state;
	const struct c4_member m[] = {member(w, "h0", NULL), member(w, "h2", NULL),
				      member(w, "h4", NULL)};
	const struct c4_team t = team(m, 3);
	struct c4_fault fault;

	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 12);
	for (uint32_t i = 0; i < w->d.n_conns; i++) {
		const struct c4_nic *a = &w->f.nics[w->d.conns[i].src];
		const struct c4_nic *b = &w->f.nics[w->d.conns[i].dst];

		assert_true(a->rail == b->rail && a->plane == b->plane && a->host != b->host);
	}
	assert_non_null(c4_strmap_find(&w->d.ids, "t:2>0/r1p1"));
}

static void test_one_rail_only(void **state)
{
	struct world *w = *state;
	const struct c4_member m[] = {member(w, "h0", NULL), member(w, "h2", NULL)};
	struct c4_team t = team(m, 2);
	struct c4_fault fault;

	t.rail = 1;
	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 4);
	for (uint32_t i = 0; i < w->d.n_conns; i++)
		assert_int_equal(w->f.nics[w->d.conns[i].src].rail, 1);
}

static void test_ranks_of_one_host_need_no_network(void **state)
{
	struct world *w = *state;
	const struct c4_member m[] = {member(w, "h0", "h0/r0p0"), member(w, "h0", "h0/r1p0"),
				      member(w, "h2", "h2/r0p0"), member(w, "h2", "h2/r1p0")};
	const struct c4_team t = team(m, 4);
	struct c4_fault fault;

	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 2);
	assert_string_equal(w->d.conns[0].id, "t:1>2/r1p0");
	assert_string_equal(w->d.conns[1].id, "t:3>0/r1p0");
	assert_int_equal(w->d.conns[0].dst, m[2].nic);
}

static void test_a_single_nic_chooses_its_peer(void **state)
{
	struct world *w = *state;
	const struct c4_member m[] = {member(w, "h0", NULL), member(w, "h8", "h8/r0p0")};
	const struct c4_team t = team(m, 2);
	struct c4_fault fault;

	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 2);
	assert_int_equal(w->d.conns[0].src, c4_fabric_nic(&w->f, "h0/r0p0"));
	assert_int_equal(w->d.conns[1].dst, c4_fabric_nic(&w->f, "h0/r0p0"));
}

static void test_hosts_without_a_common_rail(void **state)
{
	struct world *w = *state;
	const struct c4_member a[] = {member(w, "h0", NULL), member(w, "h9", NULL)};
	const struct c4_member b[] = {member(w, "h0", NULL), member(w, "h9", "h9/r7p0")};
	const struct c4_member c[] = {member(w, "h0", NULL), member(w, "h8", NULL)};
	struct c4_team t = team(a, 2);
	struct c4_fault fault;

	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), -EINVAL);
	assert_non_null(strstr(fault.what, "h0 and h9"));
	t.members = b;
	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), -EINVAL);
	t.members = c; /* one in common is enough */
	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 2);
}

static void test_names_are_told_in_faults(void **state)
{
	struct world *w = *state;
	const struct c4_member m[] = {member(w, "h0", NULL), member(w, "h2", NULL)};
	const struct c4_team t = team(m, 2);
	struct c4_fault fault;

	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), 8);
	assert_int_equal(c4_pattern_add(&w->d, &w->f, &t, &fault), -EEXIST);
	assert_non_null(strstr(fault.what, "\"t:0>1/r0p0\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ring_is_one_cycle),
		cmocka_unit_test(test_all_to_all_is_everybody_else),
		cmocka_unit_test(test_double_tree),
		cmocka_unit_test(test_tree_of_eight),
		cmocka_unit_test(test_walk_stops),
		TEST(test_hosts_talk_on_every_rail_and_plane),
		TEST(test_one_rail_only),
		TEST(test_ranks_of_one_host_need_no_network),
		TEST(test_a_single_nic_chooses_its_peer),
		TEST(test_hosts_without_a_common_rail),
		TEST(test_names_are_told_in_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
