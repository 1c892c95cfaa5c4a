// SPDX-License-Identifier: BSD-3-Clause
/* QPs placed under a limit, against loads summed up anew from their routes after every step. */
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

#include "planner/model/assign/place.h"
#include "planner/model/assign/squeeze.h"
#include "tests/unit/plan_case.h"

#define QPS    160u
#define LAYERS 3u

static const double sizes[LAYERS] = {1, 0.5, 0.3};

static uint32_t squeezed; /* QPs that a chain alone did not place */

struct qp {
	bool used;
	struct c4_placed at;
	uint32_t from, to;
	struct c4_route route;
};

struct world {
	struct plan_case c;
	struct c4_net net;
	struct c4_place p;
	struct qp qp[QPS];
	uint32_t layers;
	bool within;   /* nothing was forced, nor a limit lowered: no link is above its limit */
	uint32_t idle; /* touched, yet where they were */
};

static void world_init(struct world *w, struct dice *dice, struct c4_clos shape, uint32_t layers)
{
	uint32_t local[512];
	struct c4_fault fault;

	memset(w, 0, sizeof *w);
	case_clos(&w->c, shape);
	case_kill(&w->c, dice, dice_below(dice, 3) * 50);
	assert_int_equal(c4_net_init(&w->net, &w->c.f, 0, local, &fault), 0);
	c4_place_init(&w->p, &w->net);
	w->layers = layers;
	for (uint32_t i = 0; i < layers; i++)
		assert_int_equal(c4_place_layer(&w->p, sizes[i]), i);
	c4_place_set_util(&w->p, 0.5 + 0.25 * dice_below(dice, 12));
	w->within = true;
}

static void world_release(struct world *w)
{
	c4_place_release(&w->p);
	c4_net_release(&w->net);
	case_release(&w->c);
}

/* ---- what the routes say --------------------------------------------------------------------- */

static uint32_t find(const uint32_t *list, uint32_t n, uint32_t wanted)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == wanted)
			return i;
	fail();
	return 0;
}

/* Where a placed QP's links are: top[side], over[side] (C4_NONE inside a pod). */
struct where {
	uint64_t top[2], over[2];
};

static struct where where_is(const struct world *w, const struct qp *q)
{
	const struct c4_net *n = &w->net;
	uint32_t pod[2] = {n->pod[q->from], n->pod[q->to]}, core;
	uint32_t c = find(n->spine + pod[0] * n->colours, n->colours, q->route.up);
	struct where at = {{q->from * n->colours + c, q->to * n->colours + c}, {C4_NONE, C4_NONE}};

	assert_int_equal(n->spine[pod[1] * n->colours + c], q->route.down);
	assert_int_equal(q->route.state, pod[0] == pod[1] ? C4_ROUTE_SPINE : C4_ROUTE_CORE);
	if (pod[0] == pod[1])
		return at;
	core = find(n->core + c * n->cores, n->cores, q->route.core);
	at.over[0] = (pod[0] * n->colours + c) * n->cores + core;
	at.over[1] = (pod[1] * n->colours + c) * n->cores + core;
	return at;
}

static bool is_placed(const struct qp *q)
{
	return q->route.state != C4_ROUTE_NO_PATH;
}

static uint64_t places(const struct world *w, bool over)
{
	const struct c4_net *n = &w->net;

	return over ? (uint64_t)n->n_pods * n->colours * n->cores
		    : (uint64_t)n->n_leaves * n->colours;
}

/* QPs of a layer on each place of one side. */
static uint32_t *count(const struct world *w, bool over, int side, uint32_t layer)
{
	uint32_t *n = calloc(places(w, over) + 1, sizeof *n);

	for (uint32_t i = 0; i < QPS; i++) {
		const struct qp *q = &w->qp[i];
		struct where at;

		if (!q->used || !is_placed(q) || q->at.layer != layer)
			continue;
		at = where_is(w, q);
		if (!over)
			n[at.top[side]]++;
		else if (at.over[side] != C4_NONE)
			n[at.over[side]]++;
	}
	return n;
}

/* Loads, limits and capacities of one side of the leaf–spine or spine–core links. */
static void check_side(struct world *w, bool over, int side)
{
	const struct c4_bundle *bundle = over ? w->net.over : w->net.up;
	uint32_t *n[LAYERS];

	for (uint32_t l = 0; l < w->layers; l++)
		n[l] = count(w, over, side, l);
	for (uint64_t at = 0; at < places(w, over); at++) {
		double rate = c4_bundle_rate(&w->net, &bundle[at]), load = 0;

		for (uint32_t l = 0; l < w->layers; l++)
			load += sizes[l] * n[l][at];
		for (uint32_t l = 0; l < w->layers; l++) {
			struct c4_kempe *k = over ? &w->p.layers[l].over : &w->p.layers[l].top;
			double room = (w->p.util * rate - load) / sizes[l] + n[l][at] + 1e-6;

			assert_int_equal(k->load[side][at], n[l][at]);
			assert_int_equal(k->cap[side][at], room > 0 ? (uint32_t)room : 0);
		}
		if (w->within)
			assert_true(load <= w->p.util * rate + 1e-5);
	}
	for (uint32_t l = 0; l < w->layers; l++)
		free(n[l]);
}

static void check_world(struct world *w)
{
	for (int side = 0; side < 2; side++) {
		check_side(w, false, side);
		if (w->net.cores)
			check_side(w, true, side);
	}
}

/* ---- what changed ---------------------------------------------------------------------------- */

static bool same_way(const struct c4_route *a, const struct c4_route *b)
{
	return a->state == b->state && a->up == b->up && a->core == b->core && a->down == b->down;
}

static bool is_touched(const struct c4_place *p, struct c4_placed at)
{
	for (uint32_t i = 0; i < p->n_touched; i++)
		if (p->touched[i].layer == at.layer && p->touched[i].edge == at.edge)
			return true;
	return false;
}

/* Routes are read again; exactly the touched ones have changed. The number of changed ones. */
static uint32_t settle(struct world *w)
{
	uint32_t changed = 0;

	for (uint32_t i = 0; i < QPS; i++) {
		struct qp *q = &w->qp[i];
		struct c4_route was = q->route;
		bool moved;

		if (!q->used)
			continue;
		c4_place_route(&w->p, q->at, &q->route);
		moved = !same_way(&was, &q->route);
		changed += moved;
		if (moved)
			assert_true(is_touched(&w->p, q->at));
		else if (is_touched(&w->p, q->at))
			w->idle++;
	}
	w->p.n_touched = 0;
	check_world(w);
	return changed;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void add(struct world *w, struct dice *dice, struct qp *q)
{
	uint32_t layer = dice_below(dice, w->layers);
	int64_t e;

	q->from = dice_below(dice, w->net.n_leaves);
	q->to = (q->from + 1 + dice_below(dice, w->net.n_leaves - 1)) % w->net.n_leaves;
	e = c4_place_add(&w->p, layer, q->from, q->to, (uint32_t)(q - w->qp));
	assert_true(e >= 0);
	q->at = (struct c4_placed){layer, (uint32_t)e};
	q->used = true;
	assert_int_equal(w->p.layers[layer].route[e], q - w->qp);
	c4_place_route(&w->p, q->at, &q->route);
	assert_int_equal(q->route.state, C4_ROUTE_NO_PATH);
}

static void insert(struct world *w, struct dice *dice, struct qp *q)
{
	uint32_t budget = dice_below(dice, 2) ? 0 : 50;
	int rc = c4_place_insert(&w->p, q->at, budget);
	uint32_t changed = settle(w);

	if (rc && dice_below(dice, 2)) {
		uint32_t idle = w->idle;

		assert_int_equal(changed, 0);
		rc = c4_squeeze(&w->p, q->at, budget);
		squeezed += !rc;
		budget = QPS;
		changed = settle(w);
		w->idle = idle; /* who was asked to leave in vain is touched, too */
	}

	if (rc) {
		assert_int_equal(rc, -ENOSPC);
		assert_int_equal(changed, 0);
		return;
	}
	assert_true(is_placed(q));
	if (!w->net.cores)
		assert_true(changed <= budget + 1);
}

static void put(struct world *w, struct dice *dice, struct qp *q)
{
	uint32_t colour = dice_below(dice, w->net.colours + 1);
	uint32_t core = w->net.cores ? dice_below(dice, w->net.cores + 1) : C4_NONE;
	int rc = dice_below(dice, 2) ? c4_place_put(&w->p, q->at, colour, core) : -EAGAIN;

	if (rc == -EAGAIN) {
		rc = c4_place_keep(&w->p, q->at, colour, core);
		w->within = w->within && rc;
	}
	assert_int_equal(settle(w), rc ? 0 : 1);
	if (rc)
		return;
	assert_int_equal(where_is(w, q).top[0], q->from * w->net.colours + colour);
	if (q->route.state == C4_ROUTE_CORE)
		assert_int_equal(where_is(w, q).over[0] % w->net.cores, core);
}

static void force(struct world *w, struct qp *q)
{
	int rc = c4_place_force(&w->p, q->at);

	w->within = false;
	assert_int_equal(rc == 0, c4_net_joined(&w->net, q->from, q->to));
	assert_int_equal(settle(w), rc ? 0 : 1);
}

static void lift(struct world *w, struct qp *q)
{
	c4_place_lift(&w->p, q->at);
	assert_int_equal(settle(w), 1);
	assert_false(is_placed(q));
}

static void drop(struct world *w, struct qp *q)
{
	c4_place_remove(&w->p, q->at);
	q->used = false;
	assert_int_equal(settle(w), 0);
}

/* A link dies, weakens or returns. */
static void change_link(struct world *w, struct dice *dice)
{
	struct c4_fabric *f = &w->c.f;
	uint32_t leaf = dice_below(dice, w->net.n_leaves), c = dice_below(dice, w->net.colours);
	uint32_t core = w->net.cores ? dice_below(dice, w->net.cores) : 0;
	bool over = w->net.cores && dice_below(dice, 2);
	const struct c4_bundle *b = over ? c4_net_over(&w->net, w->net.pod[leaf], c, core)
					 : c4_net_up(&w->net, leaf, c);
	struct c4_link *l = &f->links[f->link_of[b->at]];

	l->now_gbps = l->gbps * (float)dice_below(dice, 5) / 4;
	if (over)
		c4_place_recap_over(&w->p, w->net.pod[leaf], c, core);
	else
		c4_place_recap(&w->p, leaf, c);
	w->within = false;
	assert_int_equal(settle(w), 0);
}

static void change_util(struct world *w)
{
	double next = c4_place_next_util(&w->p);

	if (!isfinite(next))
		return;
	assert_true(next > w->p.util);
	if (w->p.util > 4) {
		next = 0.5;
		w->within = false;
	}
	c4_place_set_util(&w->p, next);
	assert_int_equal(settle(w), 0);
}

static void step(struct world *w, struct dice *dice, bool links)
{
	struct qp *q = &w->qp[dice_below(dice, QPS)];
	uint32_t act = dice_below(dice, 100);

	if (!q->used)
		add(w, dice, q);
	if (act < 2 && links)
		change_link(w, dice);
	else if (act < 4)
		change_util(w);
	else if (act < 10)
		drop(w, q);
	else if (is_placed(q))
		lift(w, q);
	else if (act < 20)
		put(w, dice, q);
	else if (act < 25 && links)
		force(w, q);
	else
		insert(w, dice, q);
}

static struct c4_clos any_shape(struct dice *dice, bool pods)
{
	uint32_t n = pods ? 2 + dice_below(dice, 3) : 1;

	return (struct c4_clos){.leaves = n * (pods ? 1 : 2) * (1 + dice_below(dice, 4)),
				.spines = 1 + dice_below(dice, 6),
				.hosts_per_leaf = 1,
				.pods = n,
				.cores = pods ? dice_below(dice, 5) : 0};
}

static void live(struct dice *dice, bool pods, uint32_t layers)
{
	static struct world w;
	bool links = dice_below(dice, 2);

	world_init(&w, dice, any_shape(dice, pods), layers);
	for (int i = 0; i < 300; i++)
		step(&w, dice, links);
	assert_int_equal(w.idle, 0);
	world_release(&w);
}

static void test_two_tiers(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 20 : 200); i++)
		live(&dice, false, 1 + (uint32_t)i % LAYERS);
}

static void test_three_tiers(void **state)
{
	struct dice dice = {2};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 20 : 200); i++)
		live(&dice, true, 1 + (uint32_t)i % LAYERS);
	assert_true(squeezed > 0);
}

/* ---- layers ---------------------------------------------------------------------------------- */

static void test_sizes_beyond_the_limit_are_rounded(void **state)
{
	static struct world w;
	struct dice dice = {3};

	(void)state;
	world_init(&w, &dice, (struct c4_clos){.leaves = 2, .spines = 2, .hosts_per_leaf = 1}, 0);
	for (uint32_t i = 0; i < C4_PLACE_LAYERS_MAX; i++)
		assert_int_equal(c4_place_layer(&w.p, 1 + 0.1 * i), i);
	assert_int_equal(c4_place_layer(&w.p, 1.2), 2);
	assert_int_equal(c4_place_layer(&w.p, 1.25), 3); /* the next larger */
	assert_int_equal(c4_place_layer(&w.p, 0.01), 0);
	assert_int_equal(c4_place_layer(&w.p, 1e6), C4_PLACE_LAYERS_MAX - 1);
	assert_int_equal(w.p.n_layers, C4_PLACE_LAYERS_MAX);
	world_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_tiers),
		cmocka_unit_test(test_three_tiers),
		cmocka_unit_test(test_sizes_beyond_the_limit_are_rounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
