// SPDX-License-Identifier: BSD-3-Clause
/* Colourings under capacities, against a model that only remembers each edge's ends and colour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/assign/kempe.h"
#include "tests/unit/plan_case.h"

#define EDGES 512u

struct model {
	struct c4_kempe k;
	bool used[EDGES];
	uint16_t end[EDGES][2], colour[EDGES];
	uint32_t n_used;
};

static void model_init(struct model *m, uint32_t n0, uint32_t n1, uint32_t colours)
{
	memset(m, 0, sizeof *m);
	assert_int_equal(c4_kempe_init(&m->k, n0, n1, colours), 0);
}

static void set_caps(struct c4_kempe *k, struct dice *dice, uint32_t most, bool even)
{
	for (int side = 0; side < 2; side++)
		for (uint32_t v = 0; v < k->n[side]; v++)
			for (uint32_t c = 0, each = dice_below(dice, most + 1); c < k->colours; c++)
				*c4_kempe_cap(k, side, v, c) =
					even ? each : dice_below(dice, most + 1);
}

/* ---- consistency ----------------------------------------------------------------------------- */

/* Each ring holds the edges of its vertex and colour, each once, and its load is their number. */
static void check_rings(const struct c4_kempe *k, int side)
{
	for (uint32_t v = 0; v < k->n[side]; v++)
		for (uint32_t c = 0; c < k->colours; c++) {
			uint32_t head = k->head[side][v * k->colours + c], e = head, n = 0;

			while (e != UINT32_MAX && (n == 0 || e != head)) {
				const struct c4_kempe_edge *edge = &k->edges[e];

				assert_int_equal(edge->end[side], v);
				assert_int_equal(edge->colour, c);
				assert_int_equal(k->edges[edge->next[side]].prev[side], e);
				assert_true(n++ < k->n_edges);
				e = edge->next[side];
			}
			assert_int_equal(n, c4_kempe_load(k, side, v, c));
		}
}

static uint32_t coloured(const struct c4_kempe *k, int side)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < k->n[side] * k->colours; i++)
		sum += k->load[side][i];
	return sum;
}

static void check_model(const struct model *m)
{
	uint32_t with_colour = 0;

	for (uint32_t e = 0; e < EDGES; e++) {
		if (!m->used[e])
			continue;
		assert_memory_equal(m->k.edges[e].end, m->end[e], sizeof m->end[e]);
		assert_int_equal(m->k.edges[e].colour, m->colour[e]);
		assert_int_equal(m->k.edges[e].moved, 0);
		with_colour += m->colour[e] != C4_UNCOLOURED;
	}
	for (int side = 0; side < 2; side++) {
		check_rings(&m->k, side);
		assert_int_equal(coloured(&m->k, side), with_colour);
	}
}

/* The log says how the model's colours become those of now: each `from` is what was before. */
static void follow_log(struct model *m)
{
	for (uint32_t i = 0; i < m->k.n_log; i++) {
		const struct c4_kempe_change *c = &m->k.log[i];

		assert_int_equal(m->colour[c->edge], c->from);
		assert_int_not_equal(c->from, c->to);
		m->colour[c->edge] = c->to;
	}
}

/* Places that hold more than they may. */
static uint32_t overfull(const struct c4_kempe *k)
{
	uint32_t n = 0;

	for (int side = 0; side < 2; side++)
		for (uint32_t i = 0; i < k->n[side] * k->colours; i++)
			n += k->load[side][i] > k->cap[side][i] ? k->load[side][i] - k->cap[side][i]
								: 0;
	return n;
}

/* ---- random lives ---------------------------------------------------------------------------- */

static uint32_t any_used(struct model *m, struct dice *dice)
{
	uint32_t e = dice_below(dice, EDGES);

	while (!m->used[e])
		e = (e + 1) % EDGES;
	return e;
}

static void do_add(struct model *m, struct dice *dice)
{
	uint32_t u = dice_below(dice, m->k.n[0]), v = dice_below(dice, m->k.n[1]);
	int64_t e;

	if (m->n_used == EDGES)
		return;
	e = c4_kempe_add(&m->k, u, v);
	assert_in_range(e, 0, EDGES - 1);
	assert_false(m->used[e]);
	m->used[e] = true;
	m->n_used++;
	m->end[e][0] = (uint16_t)u;
	m->end[e][1] = (uint16_t)v;
	m->colour[e] = C4_UNCOLOURED;
}

/* Room at both ends in one colour: then no chain may be needed, and none may fail. */
static bool fits_plainly(const struct c4_kempe *k, uint32_t e)
{
	const uint16_t *end = k->edges[e].end;

	for (uint32_t c = 0; c < k->colours; c++)
		if (k->load[0][end[0] * k->colours + c] < k->cap[0][end[0] * k->colours + c] &&
		    k->load[1][end[1] * k->colours + c] < k->cap[1][end[1] * k->colours + c])
			return true;
	return false;
}

static void do_insert(struct model *m, struct dice *dice)
{
	uint32_t e = any_used(m, dice), before = overfull(&m->k), budget = dice_below(dice, 40);
	bool plain = fits_plainly(&m->k, e);
	int rc;

	if (m->colour[e] != C4_UNCOLOURED)
		return;
	c4_kempe_mark(&m->k);
	rc = c4_kempe_insert(&m->k, e, budget);
	if (rc) {
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(m->k.n_log, 0);
		assert_false(plain);
		return;
	}
	assert_true(m->k.edges[e].colour != C4_UNCOLOURED);
	assert_true(m->k.n_log <= budget + 1);
	if (plain)
		assert_int_equal(m->k.n_log, 1);
	assert_true(overfull(&m->k) <= before);
	follow_log(m);
}

/* By a given colour: two chains at most, or nothing changed. */
static void do_insert_as(struct model *m, struct dice *dice)
{
	uint32_t e = any_used(m, dice), before = overfull(&m->k), budget = dice_below(dice, 40);
	uint16_t c = (uint16_t)dice_below(dice, m->k.colours);

	if (m->colour[e] != C4_UNCOLOURED)
		return;
	c4_kempe_mark(&m->k);
	if (c4_kempe_insert_as(&m->k, e, c, budget)) {
		assert_int_equal(m->k.n_log, 0);
		return;
	}
	assert_int_equal(m->k.edges[e].colour, c);
	assert_true(m->k.n_log <= 2 * budget + 1);
	assert_true(overfull(&m->k) <= before);
	follow_log(m);
}

static void do_paint(struct model *m, struct dice *dice)
{
	uint32_t e = any_used(m, dice);
	uint16_t c = dice_below(dice, 4) ? (uint16_t)dice_below(dice, m->k.colours) : C4_UNCOLOURED;

	c4_kempe_mark(&m->k);
	c4_kempe_paint(&m->k, e, c);
	follow_log(m);
	assert_int_equal(m->colour[e], c);
}

static void do_remove(struct model *m, struct dice *dice)
{
	uint32_t e = any_used(m, dice);

	c4_kempe_mark(&m->k);
	c4_kempe_remove(&m->k, e);
	m->used[e] = false;
	m->n_used--;
}

/* Several changes, taken back: nothing happened. */
static void do_and_undo(struct model *m, struct dice *dice)
{
	c4_kempe_mark(&m->k);
	for (uint32_t i = 0; i < 10; i++) {
		uint32_t e = any_used(m, dice);

		if (m->k.edges[e].colour == C4_UNCOLOURED)
			c4_kempe_insert(&m->k, e, 100);
		else
			c4_kempe_paint(&m->k, e, (uint16_t)dice_below(dice, m->k.colours));
	}
	while (m->k.n_log && dice_below(dice, 3))
		c4_kempe_undo_last(&m->k);
	c4_kempe_undo(&m->k);
	assert_int_equal(m->k.n_log, 0);
}

static void live(struct dice *dice, bool even)
{
	static void (*const acts[])(struct model *, struct dice *) = {
		do_add,	      do_add,	do_insert, do_insert,  do_insert,
		do_insert_as, do_paint, do_remove, do_and_undo};
	static struct model m;

	model_init(&m, 1 + dice_below(dice, 8), 1 + dice_below(dice, 8), 1 + dice_below(dice, 9));
	set_caps(&m.k, dice, 1 + dice_below(dice, 6), even);
	do_add(&m, dice);
	for (int i = 0; i < 400; i++) {
		if (m.n_used)
			acts[dice_below(dice, sizeof acts / sizeof *acts)](&m, dice);
		else
			do_add(&m, dice);
		if (i % 8 == 0)
			check_model(&m);
	}
	check_model(&m);
	c4_kempe_release(&m.k);
}

static void test_random_lives(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 200 : 2000); i++)
		live(&dice, i & 1);
}

/* ---- one capacity per vertex: a chain always ends -------------------------------------------- */

/* n vertices a side, each in colours * cap edges: when the last is in, nothing is free. */
static void fill_regular(struct dice *dice, uint32_t n, uint32_t colours, uint32_t cap)
{
	uint32_t *to = malloc(n * sizeof *to);
	struct c4_kempe k;

	assert_int_equal(c4_kempe_init(&k, n, n, colours), 0);
	for (int side = 0; side < 2; side++)
		for (uint32_t i = 0; i < n * colours; i++)
			k.cap[side][i] = cap;
	for (uint32_t i = 0; i < n; i++)
		to[i] = i;
	for (uint32_t round = 0; round < colours * cap; round++) {
		dice_shuffle(dice, to, n);
		for (uint32_t u = 0; u < n; u++) {
			int64_t e = c4_kempe_add(&k, u, to[u]);

			c4_kempe_mark(&k);
			if (c4_kempe_insert(&k, (uint32_t)e, UINT32_MAX)) {
				print_error("n %u, colours %u, cap %u, edge %d\n", n, colours, cap,
					    (int)e);
				fail();
			}
		}
	}
	assert_int_equal(overfull(&k), 0);
	assert_int_equal(coloured(&k, 0), n * colours * cap);
	check_rings(&k, 0);
	check_rings(&k, 1);
	c4_kempe_release(&k);
	free(to);
}

static void test_tight_always_succeeds(void **state)
{
	struct dice dice = {2};

	(void)state;
	for (uint32_t i = 0; i < (PLAN_SLOW ? 30 : 250); i++)
		fill_regular(&dice, 1 + dice_below(&dice, 20), 1 + dice_below(&dice, 20),
			     1 + dice_below(&dice, 4));
}

/* ---- small things ---------------------------------------------------------------------------- */

/* u: a taken, v: b taken; one more edge needs the chain of one move, which budget 0 forbids. */
static void test_budget_is_kept(void **state)
{
	struct c4_kempe k;
	int64_t first, second, third;

	(void)state;
	assert_int_equal(c4_kempe_init(&k, 2, 2, 2), 0);
	for (int side = 0; side < 2; side++)
		for (uint32_t i = 0; i < 4; i++)
			k.cap[side][i] = 1;
	first = c4_kempe_add(&k, 0, 1);
	second = c4_kempe_add(&k, 1, 0);
	third = c4_kempe_add(&k, 0, 0);
	c4_kempe_paint(&k, (uint32_t)first, 0);
	c4_kempe_paint(&k, (uint32_t)second, 1);
	c4_kempe_mark(&k);
	assert_int_equal(c4_kempe_insert(&k, (uint32_t)third, 0), -ENOSPC);
	assert_int_equal(k.n_log, 0);
	assert_int_equal(c4_kempe_insert(&k, (uint32_t)third, 1), 0);
	assert_int_equal(k.n_log, 2);
	c4_kempe_undo(&k);
	assert_int_equal(k.edges[first].colour, 0);
	assert_int_equal(k.edges[second].colour, 1);
	assert_int_equal(k.edges[third].colour, C4_UNCOLOURED);
	c4_kempe_release(&k);
}

/* A colour with capacity 0 is a dead link: nothing is put there, not by a chain either. */
static void test_dead_places_stay_empty(void **state)
{
	struct dice dice = {3};
	struct c4_kempe k;

	(void)state;
	assert_int_equal(c4_kempe_init(&k, 6, 6, 8), 0);
	set_caps(&k, &dice, 1, false);
	for (uint32_t i = 0; i < 200; i++) {
		int64_t e = c4_kempe_add(&k, dice_below(&dice, 6), dice_below(&dice, 6));

		c4_kempe_mark(&k);
		c4_kempe_insert(&k, (uint32_t)e, 1000);
	}
	assert_int_equal(overfull(&k), 0);
	assert_true(coloured(&k, 0) > 10);
	c4_kempe_release(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_lives),
		cmocka_unit_test(test_tight_always_succeeds),
		cmocka_unit_test(test_budget_is_kept),
		cmocka_unit_test(test_dead_places_stay_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
