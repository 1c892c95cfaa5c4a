// SPDX-License-Identifier: BSD-3-Clause
/* Balanced colourings: no colour more often at a vertex than it must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/assign/colour.h"
#include "planner/model/assign/kempe.h"
#include "tests/unit/plan_case.h"

/* A multigraph and its colouring; edges by id in `ends`, as c4_colour() reorders its own. */
struct coloured {
	uint32_t n[2], n_edges, colours, n_pods;
	struct c4_colour_edge *edges;
	uint16_t (*ends)[2];
	uint16_t *colour, *pod;
};

static void make(struct coloured *c, uint32_t n0, uint32_t n1, uint32_t n_edges, uint32_t colours)
{
	*c = (struct coloured){.n = {n0, n1}, .n_edges = n_edges, .colours = colours};
	c->edges = calloc(n_edges + 1, sizeof *c->edges);
	c->ends = calloc(n_edges + 1, sizeof *c->ends);
	c->colour = malloc((n_edges + 1) * sizeof *c->colour);
	memset(c->colour, 0xff, (n_edges + 1) * sizeof *c->colour);
}

static void release(struct coloured *c)
{
	free(c->edges);
	free(c->ends);
	free(c->colour);
	free(c->pod);
}

static void set_edge(struct coloured *c, uint32_t id, uint32_t u, uint32_t v)
{
	c->ends[id][0] = (uint16_t)u;
	c->ends[id][1] = (uint16_t)v;
	c->edges[id] = (struct c4_colour_edge){{(uint16_t)u, (uint16_t)v}, id};
}

static void random_edges(struct coloured *c, struct dice *dice)
{
	for (uint32_t i = 0; i < c->n_edges; i++)
		set_edge(c, i, dice_below(dice, c->n[0]), dice_below(dice, c->n[1]));
}

/* Each vertex of both sides in exactly `degree` edges; n_edges = n * degree. */
static void regular_edges(struct coloured *c, struct dice *dice, uint32_t degree)
{
	uint32_t n = c->n[0], *to = malloc(n * sizeof *to);

	for (uint32_t d = 0; d < degree; d++) {
		for (uint32_t i = 0; i < n; i++)
			to[i] = i;
		dice_shuffle(dice, to, n);
		for (uint32_t i = 0; i < n; i++)
			set_edge(c, d * n + i, i, to[i]);
	}
	free(to);
}

static void colour(struct coloured *c)
{
	struct c4_colour_graph g = {.n = {c->n[0], c->n[1]},
				    .pod = c->pod,
				    .n_pods = c->n_pods,
				    .edges = c->edges,
				    .n_edges = c->n_edges};

	assert_int_equal(c4_colour(&g, c->colours, c->colour), 0);
}

/* How often each group of vertices sees each colour: [group * colours + colour]. */
static uint32_t *count(const struct coloured *c, int side, const uint16_t *group, uint32_t groups)
{
	uint32_t *n = calloc((size_t)groups * c->colours + 1, sizeof *n);

	for (uint32_t i = 0; i < c->n_edges; i++) {
		uint32_t v = c->ends[i][side];

		assert_true(c->colour[i] < c->colours);
		n[(size_t)(group ? group[v] : v) * c->colours + c->colour[i]]++;
	}
	return n;
}

/* The largest count less what the degrees ask for, over all groups. */
static int excess(const struct coloured *c, int side, const uint16_t *group, uint32_t groups)
{
	uint32_t *n = count(c, side, group, groups);
	int worst = -1;

	for (uint32_t g = 0; g < groups; g++) {
		uint32_t degree = 0, most = 0;
		int more;

		for (uint32_t k = 0; k < c->colours; k++) {
			uint32_t here = n[(size_t)g * c->colours + k];

			degree += here;
			most = here > most ? here : most;
		}
		more = (int)most - (int)((degree + c->colours - 1) / c->colours);
		worst = more > worst ? more : worst;
	}
	free(n);
	return worst;
}

static void expect_balanced(const struct coloured *c)
{
	for (int side = 0; side < 2; side++)
		if (excess(c, side, NULL, c->n[side]) > 0) {
			print_error("%u + %u vertices, %u edges, %u colours\n", c->n[0], c->n[1],
				    c->n_edges, c->colours);
			fail();
		}
}

static void test_every_number_of_colours(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (uint32_t s = 1; s <= 130; s += PLAN_SLOW ? 5 : 1) {
		struct coloured c;

		make(&c, 1 + dice_below(&dice, 20), 1 + dice_below(&dice, 20),
		     dice_below(&dice, 40 * s), s);
		random_edges(&c, &dice);
		colour(&c);
		expect_balanced(&c);
		release(&c);
	}
}

/* Regular graphs have no slack at all: each colour is a perfect matching, or several. */
static void test_regular_graphs(void **state)
{
	struct dice dice = {2};

	(void)state;
	for (uint32_t s = 1; s <= 67; s += PLAN_SLOW ? 6 : 1) {
		uint32_t n = 1 + dice_below(&dice, 40), times = 1 + dice_below(&dice, 3);
		struct coloured c;

		make(&c, n, n, n * s * times, s);
		regular_edges(&c, &dice, s * times);
		colour(&c);
		expect_balanced(&c);
		release(&c);
	}
}

/* All edges between one pair, none at all, one vertex, more colours than edges. */
static void test_extremes(void **state)
{
	static const uint32_t cases[][4] = {{1, 1, 1000, 7}, {5, 5, 0, 3},	{1, 9, 90, 9},
					    {9, 1, 91, 9},   {3, 3, 5, 4096},	{2, 2, 1, 1},
					    {1, 1, 0, 1},    {65535, 1, 99, 3}, {7, 7, 300, 4095}};
	struct dice dice = {3};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct coloured c;

		make(&c, cases[i][0], cases[i][1], cases[i][2], cases[i][3]);
		random_edges(&c, &dice);
		colour(&c);
		expect_balanced(&c);
		release(&c);
	}
}

/* Halving keeps pods balanced, too, when the number of colours is a power of two. */
static void test_pods_are_halved(void **state)
{
	struct dice dice = {4};

	(void)state;
	for (uint32_t s = 1; s <= 64; s *= 2) {
		uint32_t pods = 2 + dice_below(&dice, 6), n = pods * (1 + dice_below(&dice, 8));
		struct coloured c;

		make(&c, n, n, 300 * s, s);
		c.pod = calloc(n, sizeof *c.pod);
		c.n_pods = pods;
		for (uint32_t v = 0; v < n; v++)
			c.pod[v] = (uint16_t)(v / (n / pods));
		for (uint32_t i = 0; i < c.n_edges; i++) {
			uint32_t u = dice_below(&dice, n), each = n / pods;

			set_edge(&c, i, u, (u + each + dice_below(&dice, n - each)) % n);
			if (c.pod[u] == c.pod[c.ends[i][1]])
				set_edge(&c, i, u, (u + each) % n);
		}
		colour(&c);
		expect_balanced(&c);
		assert_true(excess(&c, 0, c.pod, pods) <= 0);
		assert_true(excess(&c, 1, c.pod, pods) <= 0);
		release(&c);
	}
}

static void test_same_input_same_colours(void **state)
{
	struct dice dice = {5};
	struct coloured a, b;

	(void)state;
	make(&a, 20, 20, 5000, 15);
	make(&b, 20, 20, 5000, 15);
	random_edges(&a, &dice);
	dice = (struct dice){5};
	random_edges(&b, &dice);
	colour(&a);
	colour(&b);
	assert_memory_equal(a.colour, b.colour, 5000 * sizeof *a.colour);
	release(&a);
	release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_number_of_colours),
		cmocka_unit_test(test_regular_graphs),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_pods_are_halved),
		cmocka_unit_test(test_same_input_same_colours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
