// SPDX-License-Identifier: BSD-3-Clause
/* Parallel edges coloured in turn: which, what is left, and that plans stay exact by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/assign/peel.h"
#include "tests/unit/plan_case.h"
#include "tests/unit/plan_check.h"

#define NONE UINT16_MAX

/* ---- graphs ---------------------------------------------------------------------------------- */

struct peeled {
	struct c4_colour_graph g;
	uint16_t (*ends)[2]; /* [id] */
	uint16_t *colour;    /* [id] */
	uint32_t left;
};

/* m edges from every vertex to every other one, and `more` of them anywhere; ids by chance. */
static void make(struct peeled *p, struct dice *dice, uint32_t n, uint32_t m, uint32_t more)
{
	uint32_t most = n * n * m + more, *id = malloc((most + 1) * sizeof *id);

	*p = (struct peeled){.g = {.n = {n, n}}};
	p->g.edges = malloc((most + 1) * sizeof *p->g.edges);
	p->ends = malloc((most + 1) * sizeof *p->ends);
	p->colour = malloc((most + 1) * sizeof *p->colour);
	memset(p->colour, 0xff, (most + 1) * sizeof *p->colour);
	for (uint32_t i = 0; i < most; i++)
		id[i] = i;
	dice_shuffle(dice, id, most);
	for (uint32_t i = 0; i < most; i++) {
		bool extra = i >= n * n * m;
		uint32_t u = extra ? dice_below(dice, n) : i % n;
		uint32_t v = extra ? dice_below(dice, n) : i / n % n;

		p->g.edges[i] = (struct c4_colour_edge){{(uint16_t)u, (uint16_t)v}, id[i]};
		p->ends[id[i]][0] = (uint16_t)u;
		p->ends[id[i]][1] = (uint16_t)v;
	}
	p->g.n_edges = most;
	free(id);
}

static void release(struct peeled *p)
{
	free(p->g.edges);
	free(p->ends);
	free(p->colour);
}

static uint32_t pair_of(const struct peeled *p, uint32_t id)
{
	return p->ends[id][0] * p->g.n[1] + p->ends[id][1];
}

/* Every pair: each colour equally often, fewer than `colours` edges without one. */
static void expect_turns(const struct peeled *p, uint32_t colours)
{
	uint32_t pairs = p->g.n[0] * p->g.n[1];
	uint32_t *seen = calloc((size_t)pairs * (colours + 1), sizeof *seen);

	for (uint32_t id = 0; id < p->g.n_edges; id++) {
		uint32_t c = p->colour[id] == NONE ? colours : p->colour[id];

		assert_true(c <= colours);
		seen[pair_of(p, id) * (colours + 1) + c]++;
	}
	for (uint32_t i = 0; i < pairs; i++) {
		const uint32_t *of = seen + (size_t)i * (colours + 1);

		for (uint32_t c = 1; c < colours; c++)
			assert_int_equal(of[c], of[0]);
		assert_true(of[colours] < colours);
	}
	free(seen);
}

/* The list holds each edge once, with its own ends; those without colour come first. */
static void expect_same_edges(const struct peeled *p)
{
	uint8_t *seen = calloc(p->g.n_edges + 1, 1);

	for (uint32_t i = 0; i < p->g.n_edges; i++) {
		const struct c4_colour_edge *e = &p->g.edges[i];

		assert_int_equal(seen[e->id]++, 0);
		assert_memory_equal(e->end, p->ends[e->id], sizeof e->end);
		assert_int_equal(p->colour[e->id] == NONE, i < p->left);
	}
	free(seen);
}

static void test_each_pair_in_turn(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (uint32_t colours = 1; colours <= 40; colours += PLAN_SLOW ? 13 : 1) {
		struct peeled p;

		make(&p, &dice, 1 + dice_below(&dice, 12), 1 + dice_below(&dice, 100),
		     dice_below(&dice, 500));
		assert_int_equal(c4_peel(&p.g, colours, p.colour, &p.left), 0);
		expect_same_edges(&p);
		expect_turns(&p, colours);
		release(&p);
	}
}

/* What splits have to do: nothing, the remainders, or all where no pair has enough. */
static void test_how_many_are_left(void **state)
{
	static const struct {
		uint32_t n, m, colours, left;
	} cases[] = {
		{8, 32, 32, 0},		 {8, 96, 32, 0},	{8, 100, 32, 8 * 8 * 4},
		{8, 31, 32, 8 * 8 * 31}, {5, 60, 7, 5 * 5 * 4}, {1, 1000, 1, 0},
		{8, 1, 4096, 8 * 8},	 {3, 1, 1, 0},		{0, 0, 3, 0},
	};
	struct dice dice = {2};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct peeled p;

		make(&p, &dice, cases[i].n, cases[i].m, 0);
		assert_int_equal(c4_peel(&p.g, cases[i].colours, p.colour, &p.left), 0);
		assert_int_equal(p.left, cases[i].left);
		release(&p);
	}
}

/* A table larger than the edges is not made for them, however parallel they are. */
static void test_few_edges_are_left_alone(void **state)
{
	struct dice dice = {3};
	struct peeled p;

	(void)state;
	make(&p, &dice, 1, 16, 0);
	p.g.n[0] = 17;
	assert_int_equal(c4_peel(&p.g, 4, p.colour, &p.left), 0);
	assert_int_equal(p.left, 16);
	for (uint32_t i = 0; i < p.g.n_edges; i++)
		assert_int_equal(p.colour[i], NONE);
	p.g.n[0] = 16;
	assert_int_equal(c4_peel(&p.g, 4, p.colour, &p.left), 0);
	assert_int_equal(p.left, 0);
	release(&p);
}

/* Neighbours in the list are QPs of one connection: they take different ways. */
static void test_neighbours_differ(void **state)
{
	struct dice dice = {4};
	struct peeled p;

	(void)state;
	make(&p, &dice, 1, 64, 0);
	for (uint32_t i = 0; i < p.g.n_edges; i++)
		p.g.edges[i].id = i;
	assert_int_equal(c4_peel(&p.g, 8, p.colour, &p.left), 0);
	for (uint32_t i = 0; i + 8 <= p.g.n_edges; i += 8)
		for (uint32_t a = i; a < i + 8; a++)
			for (uint32_t b = i; b < a; b++)
				assert_int_not_equal(p.colour[a], p.colour[b]);
	release(&p);
}

/* Connections of one pair of leaves do not all take their colours in the same order: see turn(). */
static void test_orders_differ(void **state)
{
	struct dice dice = {7};
	struct peeled p;
	uint32_t distinct = 0;

	(void)state;
	make(&p, &dice, 1, 128, 0);
	for (uint32_t i = 0; i < p.g.n_edges; i++)
		p.g.edges[i].id = i;
	assert_int_equal(c4_peel(&p.g, 8, p.colour, &p.left), 0);
	for (uint32_t i = 0; i < 128; i += 8) {
		uint32_t k = 0;

		while (k < i && memcmp(p.colour + i, p.colour + k, 8 * sizeof *p.colour) != 0)
			k += 8;
		distinct += k == i;
	}
	assert_true(distinct >= 6); /* 16 draws of 16 orders: 10 by chance */
	release(&p);
}

/* A colouring starts with it: splits, which reorder what they halve, have nothing left to do. */
static void test_colouring_uses_it(void **state)
{
	struct dice dice = {6};
	struct c4_colour_edge *was;
	struct peeled p;

	(void)state;
	make(&p, &dice, 8, 32, 0);
	was = malloc(p.g.n_edges * sizeof *was);
	memcpy(was, p.g.edges, p.g.n_edges * sizeof *was);
	assert_int_equal(c4_colour(&p.g, 16, p.colour), 0);
	assert_memory_equal(p.g.edges, was, p.g.n_edges * sizeof *was);
	expect_turns(&p, 16);
	memcpy(was, p.g.edges, p.g.n_edges * sizeof *was);
	assert_int_equal(c4_colour(&p.g, 48, p.colour), 0);
	assert_memory_not_equal(p.g.edges, was, p.g.n_edges * sizeof *was);
	free(was);
	release(&p);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void expect_exact(struct plan_case *c)
{
	struct check check;

	assert_int_equal(case_assign(c, NULL), 0);
	check_plan(&check, c->name, &c->f, &c->d, &c->p);
	if (check.max_load > check.bound * (1 + CHECK_EPS))
		check_fail(c, "load %g, by degrees %g is enough", check.max_load, check.bound);
	check_release(&check);
}

/* Shapes of 3 to 40 hosts: pairs of leaves have far more QPs than spines, as many, or fewer. */
static void test_all_to_all_plans_are_exact(void **state)
{
	static const struct c4_clos shapes[] = {
		{.leaves = 6, .spines = 4, .hosts_per_leaf = 4},  /* 16 of 4: nothing is left */
		{.leaves = 6, .spines = 5, .hosts_per_leaf = 6},  /* 36 of 5: one of each pair */
		{.leaves = 5, .spines = 7, .hosts_per_leaf = 3},  /* 9 of 7 */
		{.leaves = 7, .spines = 8, .hosts_per_leaf = 2},  /* 4 of 8: only remainder */
		{.leaves = 9, .spines = 3, .hosts_per_leaf = 1},  /* 1 of 3 */
		{.leaves = 3, .spines = 60, .hosts_per_leaf = 9}, /* 81 of 60 */
		{.leaves = 2, .spines = 1, .hosts_per_leaf = 2},
		{.leaves = 8, .spines = 4, .hosts_per_leaf = 4, .pods = 2},
		{.leaves = 8, .spines = 4, .hosts_per_leaf = 5, .pods = 4},
		{.leaves = 6, .spines = 3, .hosts_per_leaf = 4, .pods = 3},
		{.leaves = 9, .spines = 5, .hosts_per_leaf = 3, .pods = 3},
		{.leaves = 6, .spines = 4, .hosts_per_leaf = 2, .rails = 2, .planes = 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (uint32_t qps = 1; qps <= 5; qps += 2) {
			struct plan_case c;

			case_clos(&c, shapes[i]);
			case_all_to_all(&c, qps);
			expect_exact(&c);
			case_release(&c);
		}
}

/* All-to-all below other traffic: the regular part leaves what the rest needs. */
static void test_mixed_plans_are_exact(void **state)
{
	struct dice dice = {5};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 20 : 100); i++) {
		struct c4_clos shape = {.leaves = 2 + dice_below(&dice, 6),
					.spines = 1 + dice_below(&dice, 12),
					.hosts_per_leaf = 1 + dice_below(&dice, 5)};
		struct plan_case c;

		case_clos(&c, shape);
		for (uint32_t times = 1 + dice_below(&dice, 3); times; times--)
			case_all_to_all(&c, 1);
		case_random(&c, &dice, dice_below(&dice, 400), 1);
		expect_exact(&c);
		case_release(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_pair_in_turn),
		cmocka_unit_test(test_how_many_are_left),
		cmocka_unit_test(test_few_edges_are_left_alone),
		cmocka_unit_test(test_neighbours_differ),
		cmocka_unit_test(test_orders_differ),
		cmocka_unit_test(test_colouring_uses_it),
		cmocka_unit_test(test_all_to_all_plans_are_exact),
		cmocka_unit_test(test_mixed_plans_are_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
