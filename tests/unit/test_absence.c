// SPDX-License-Identifier: BSD-3-Clause
/* Links that random ports do not meet any more: each rule, what it finds and what it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/fabric/clos.h"
#include "planner/model/sense/absence.h"

#define SPINES 4u

/* 4 leaves of 2 hosts, 4 spines; host h under leaf h / 2. Switches hash at random. */
struct net {
	struct c4_fabric f;
	struct c4_absence *a;
	float rates[64];
	bool cut[64];	 /* per link: routing has withdrawn it */
	bool silent[16]; /* per switch: it does not answer */
	bool by_address; /* leaves hash addresses only, none of leaf 1 to spine 2 */
	bool by_rate;	 /* links to spine 3 carry a tenth, and get as much less */
	uint64_t random;
	struct c4_absence_found found[C4_ABSENCE_FOUND_MAX];
};

static void make(struct net *n, struct c4_clos shape)
{
	*n = (struct net){.random = 42};
	shape.hosts_per_leaf = 2;
	shape.rails = shape.planes = 1;
	shape.gbps = 400;
	c4_fabric_init(&n->f);
	assert_int_equal(c4_clos_make(&n->f, &shape, NULL), 0);
	assert_true(n->f.n_links <= 64 && n->f.n_switches <= 16);
	for (uint32_t i = 0; i < n->f.n_links; i++)
		n->rates[i] = 400;
	n->a = c4_absence_new(&n->f);
	assert_non_null(n->a);
}

static int setup(void **state)
{
	static struct net n;

	make(&n, (struct c4_clos){.leaves = 4, .spines = SPINES});
	*state = &n;
	return 0;
}

static int teardown(void **state)
{
	struct net *n = *state;

	c4_absence_free(n->a);
	c4_fabric_release(&n->f);
	return 0;
}

static uint32_t named(const struct net *n, const char *kind, uint32_t i)
{
	char name[16];

	snprintf(name, sizeof name, "%s%u", kind, i);
	return c4_fabric_switch(&n->f, name);
}

static uint32_t link_of(const struct net *n, uint32_t leaf, uint32_t spine)
{
	uint32_t a = named(n, "leaf", leaf), b = named(n, "spine", spine);

	for (uint32_t i = 0; i < n->f.n_links; i++)
		if (n->f.links[i].a == a && n->f.links[i].b == b)
			return i;
	return C4_NONE;
}

static uint32_t roll(struct net *n)
{
	n->random = n->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(n->random >> 33);
}

static uint32_t choose_by_address(uint32_t src, uint32_t dst)
{
	uint32_t spine = (src * 7 + dst) % SPINES;

	return spine == 2 && (src / 2 == 1 || dst / 2 == 1) ? 3 : spine;
}

/* What the leaf of src sends to dst goes over one of the spines that routing leaves. */
static uint32_t choose(struct net *n, uint32_t src, uint32_t dst)
{
	uint32_t live[SPINES], count = 0;

	for (uint32_t s = 0; s < SPINES; s++) {
		uint32_t up = link_of(n, src / 2, s), down = link_of(n, dst / 2, s);

		if (up != C4_NONE && !n->cut[up] && (down == C4_NONE || !n->cut[down]))
			live[count++] = s;
	}
	assert_true(count);
	if (n->by_address)
		return choose_by_address(src, dst);
	if (n->by_rate)
		return live[roll(n) % 31 ? roll(n) % 3 : 3];
	return live[roll(n) % count];
}

static void note(struct net *n, uint32_t src, uint32_t dst, uint32_t spine, bool drawn)
{
	uint32_t via = named(n, "spine", spine);
	const struct c4_absence_draw d = {.src = n->f.hosts[src].nic,
					  .dst = n->f.hosts[dst].nic,
					  .via = n->silent[via] ? C4_NONE : via,
					  .drawn = drawn};

	c4_absence_note(n->a, n->rates, &d);
}

static void draw_over(struct net *n, uint32_t src, uint32_t dst, uint32_t spine)
{
	note(n, src, dst, spine, true);
}

static void draw_one(struct net *n, uint32_t src, uint32_t dst, bool drawn)
{
	note(n, src, dst, choose(n, src, dst), drawn);
}

/* So many draws from each host of the first leaves to each of the others there. */
static void draw(struct net *n, uint32_t leaves, uint32_t times)
{
	for (uint32_t t = 0; t < times; t++)
		for (uint32_t src = 0; src < 2 * leaves; src++)
			for (uint32_t dst = 0; dst < 2 * leaves; dst++)
				if (src / 2 != dst / 2)
					draw_one(n, src, dst, true);
}

/* … between the hosts of one leaf and those of the first leaves only. */
static void draw_at(struct net *n, uint32_t leaf, uint32_t leaves, uint32_t times)
{
	for (uint32_t t = 0; t < times; t++)
		for (uint32_t at = 2 * leaf; at < 2 * leaf + 2; at++)
			for (uint32_t other = 0; other < 2 * leaves; other++)
				if (other / 2 != leaf) {
					draw_one(n, at, other, true);
					draw_one(n, other, at, true);
				}
}

static void cut_spine(struct net *n, uint32_t spine)
{
	for (uint32_t leaf = 0; leaf < 4; leaf++)
		n->cut[link_of(n, leaf, spine)] = true;
}

static uint32_t find(struct net *n)
{
	return c4_absence_find(n->a, n->rates, n->found);
}

static bool found(const struct net *n, uint32_t count, uint32_t link)
{
	for (uint32_t i = 0; i < count; i++)
		if (n->found[i].link == link)
			return true;
	return false;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_healthy(void **state)
{
	struct net *n = *state;

	for (int i = 0; i < 500; i++) {
		draw(n, 4, 2);
		assert_int_equal(find(n), 0);
	}
}

static void test_cut_link(void **state)
{
	struct net *n = *state;
	uint32_t link = link_of(n, 1, 2);

	draw(n, 4, 4);
	n->cut[link] = true;
	draw(n, 4, 1);
	assert_int_equal(find(n), 0); /* it may be chance */
	draw(n, 4, 3);
	assert_int_equal(find(n), 1);
	assert_int_equal(n->found[0].link, link);
	assert_true(n->found[0].certain);
	assert_true(n->found[0].draws >= C4_ABSENCE_DRAWS);
	assert_false(c4_absence_met(n->a, link));

	/* planned without it: nothing is expected of it, and nobody else is accused */
	n->rates[link] = 0;
	for (int i = 0; i < 50; i++) {
		draw(n, 4, 2);
		assert_int_equal(find(n), 0);
	}
	n->cut[link] = false;
	draw(n, 4, 1);
	assert_true(c4_absence_met(n->a, link));
	assert_true(c4_absence_dry(n->a, link) == 0);
}

/* Nothing but what is planned is looked at: that meets some ways and not others. */
static void test_planned_ports_are_no_draws(void **state)
{
	struct net *n = *state;

	draw(n, 4, 4);
	n->cut[link_of(n, 1, 2)] = true;
	for (int i = 0; i < 500; i++)
		draw_one(n, 2, 4, false);
	assert_int_equal(find(n), 0);
}

/* Between two leaves both links of a way are unmet alike. */
static void test_two_leaves(void **state)
{
	struct net *n = *state;
	uint32_t count;

	draw(n, 2, 10);
	n->cut[link_of(n, 1, 2)] = true;
	draw(n, 2, 10);
	count = find(n);
	assert_int_equal(count, 2);
	assert_true(found(n, count, link_of(n, 1, 2)) && found(n, count, link_of(n, 0, 2)));
	assert_false(n->found[0].certain || n->found[1].certain);
}

static void test_spine_that_died(void **state)
{
	struct net *n = *state;
	uint32_t count;

	draw(n, 4, 4);
	cut_spine(n, 3);
	draw(n, 4, 8);
	count = find(n);
	assert_int_equal(count, 4);
	for (uint32_t leaf = 0; leaf < 4; leaf++) {
		assert_true(found(n, count, link_of(n, leaf, 3)));
		assert_false(n->found[leaf].certain);
	}
}

/* Only one leaf looks: the spine explains what it does not meet as well as its own link does. */
static void test_spine_that_died_for_one_leaf(void **state)
{
	struct net *n = *state;

	draw(n, 3, 4); /* of the last leaf nothing is known */
	cut_spine(n, 3);
	draw_at(n, 0, 3, 12);
	assert_int_equal(find(n), 3);
	assert_false(n->found[0].certain || n->found[1].certain || n->found[2].certain);
}

/* What is planned as dead already is not found again. */
static void test_spine_that_died_link_by_link(void **state)
{
	struct net *n = *state;

	draw(n, 4, 4);
	n->cut[link_of(n, 0, 3)] = true;
	draw(n, 4, 8);
	assert_int_equal(find(n), 1);
	n->rates[link_of(n, 0, 3)] = 0;
	cut_spine(n, 3);
	draw_at(n, 1, 4, 12);
	assert_int_equal(find(n), 3);
	assert_false(n->found[0].certain || n->found[1].certain || n->found[2].certain);
}

/* Routing uses it from the beginning as little as if it were not there. */
static void test_spine_that_never_was(void **state)
{
	struct net *n = *state;

	cut_spine(n, 3);
	draw(n, 4, 12);
	assert_int_equal(find(n), 4);
	assert_false(n->found[0].certain);
}

static void test_two_links(void **state)
{
	struct net *n = *state;
	uint32_t count;

	draw(n, 4, 4);
	n->cut[link_of(n, 0, 0)] = n->cut[link_of(n, 3, 1)] = true;
	draw(n, 4, 8);
	count = find(n);
	assert_int_equal(count, 2);
	assert_true(found(n, count, link_of(n, 0, 0)) && found(n, count, link_of(n, 3, 1)));
	assert_true(n->found[0].certain && n->found[1].certain);
}

/* Ports do not matter to these switches: no draw says anything. */
static void test_hash_of_addresses(void **state)
{
	struct net *n = *state;

	n->by_address = true;
	draw(n, 4, 100);
	assert_int_equal(find(n), 0);
}

/* A spine that never answers is not gone: nobody knows. */
static void test_silent_spine(void **state)
{
	struct net *n = *state;

	n->silent[named(n, "spine", 1)] = true;
	draw(n, 4, 100);
	assert_int_equal(find(n), 0);
}

/* It did: then it swallows what it gets. */
static void test_black_hole(void **state)
{
	struct net *n = *state;

	draw(n, 4, 4);
	n->silent[named(n, "spine", 1)] = true;
	draw(n, 4, 8);
	assert_int_equal(find(n), 4);
}

/* Never met, though its spine answers others: gone, if draws are not lost there. Never by name. */
static void test_link_that_was_never_met(void **state)
{
	struct net *n = *state;
	uint32_t link = link_of(n, 1, 2);

	n->cut[link] = true;
	draw(n, 4, 20);
	assert_int_equal(find(n), 1);
	assert_int_equal(n->found[0].link, link);
	assert_false(n->found[0].certain);
}

/* The spine has another address on this side, that nobody knows: draws are lost there. */
static void test_answers_of_a_stranger(void **state)
{
	struct net *n = *state;
	uint32_t spine = named(n, "spine", 2);

	for (int i = 0; i < 500; i++) {
		n->silent[spine] = true;
		draw_one(n, 2, 4, true);
		n->silent[spine] = false;
		draw_one(n, 4, 6, true);
		draw_one(n, 6, 4, true);
	}
	assert_true(c4_absence_dry(n->a, link_of(n, 1, 2)) >= C4_ABSENCE_DRAWS);
	assert_int_equal(find(n), 0);
}

/* Few draws between two leaves are no evidence for what they have not met. */
static void test_few_draws_say_nothing(void **state)
{
	struct net *n = *state;
	uint32_t count;

	draw(n, 2, 10);
	for (uint32_t i = 0; i < 6; i++)
		draw_over(n, 4, 2, i % 2); /* by port */
	draw_over(n, 4, 2, 2);
	n->cut[link_of(n, 0, 2)] = true;
	draw(n, 2, 10); /* leaf 1's link to spine 2 may be it as well */
	for (uint32_t i = 0; i < 3; i++)
		draw_over(n, 4, 2, i % 2);
	count = find(n);
	assert_int_equal(count, 2);
	assert_false(n->found[0].certain || n->found[1].certain);
	draw_over(n, 4, 2, 1); /* the fourth, of four ways */
	draw_over(n, 4, 2, 0);
	draw_over(n, 4, 2, 1);
	assert_int_equal(find(n), 1);
	assert_int_equal(n->found[0].link, link_of(n, 1, 2));
}

/* What carries less is met less where switches share by rate. */
static void test_share_by_rate(void **state)
{
	struct net *n = *state;

	n->by_rate = true;
	for (uint32_t leaf = 0; leaf < 4; leaf++)
		n->rates[link_of(n, leaf, 3)] = 40;
	for (int i = 0; i < 500; i++) {
		draw(n, 4, 1);
		assert_int_equal(find(n), 0);
	}
	n->cut[link_of(n, 0, 3)] = true;
	n->by_rate = false; /* three live ones are left for leaf 0 */
	draw(n, 4, 40);
	assert_int_equal(find(n), 1);
	assert_int_equal(n->found[0].link, link_of(n, 0, 3));
}

/* … and what carries more is not met more where they do not. */
static void test_share_alike(void **state)
{
	struct net *n = *state;

	for (uint32_t leaf = 0; leaf < 4; leaf++)
		for (uint32_t spine = 1; spine < SPINES; spine++)
			n->rates[link_of(n, leaf, spine)] = 40;
	for (int i = 0; i < 500; i++) {
		draw(n, 4, 1);
		assert_int_equal(find(n), 0);
	}
}

static void double_links(struct net *n)
{
	for (uint32_t i = 0, all = n->f.n_links; i < all; i++) {
		const struct c4_link l = n->f.links[i];

		assert_true(c4_fabric_join(&n->f, l.a, l.b, 400, 400, NULL) >= 0);
		n->rates[all + i] = 400;
	}
	assert_int_equal(c4_fabric_finish(&n->f, NULL), 0);
	n->a = c4_absence_new(&n->f);
	assert_non_null(n->a);
}

/* They are one: which of them a draw went over nobody sees. */
static void test_parallel_links(void **state)
{
	struct net p;
	uint32_t link;

	(void)state;
	make(&p, (struct c4_clos){.leaves = 4, .spines = SPINES});
	c4_absence_free(p.a);
	double_links(&p);
	draw(&p, 4, 40);
	assert_int_equal(find(&p), 0);
	link = link_of(&p, 1, 2);
	p.cut[link] = true;
	draw(&p, 4, 8);
	assert_int_equal(find(&p), 1);
	assert_int_equal(p.found[0].link, link);
	c4_absence_free(p.a);
	c4_fabric_release(&p.f);
}

static void test_pods(void **state)
{
	struct net p;
	uint32_t link;

	(void)state;
	make(&p, (struct c4_clos){.leaves = 4, .spines = 2, .pods = 2, .cores = 2});
	link = link_of(&p, 0, 1);
	draw(&p, 4, 10);
	assert_int_equal(find(&p), 0);
	p.cut[link] = true;
	for (int i = 0; i < 100; i++)
		draw_one(&p, 0, 6, true); /* to the other pod */
	assert_int_equal(find(&p), 1);
	assert_int_equal(p.found[0].link, link);
	c4_absence_free(p.a);
	c4_fabric_release(&p.f);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_healthy),
		T(test_cut_link),
		T(test_planned_ports_are_no_draws),
		T(test_two_leaves),
		T(test_spine_that_died),
		T(test_spine_that_died_for_one_leaf),
		T(test_spine_that_died_link_by_link),
		T(test_spine_that_never_was),
		T(test_two_links),
		T(test_hash_of_addresses),
		T(test_silent_spine),
		T(test_black_hole),
		T(test_link_that_was_never_met),
		T(test_answers_of_a_stranger),
		T(test_few_draws_say_nothing),
		T(test_share_by_rate),
		T(test_share_alike),
		T(test_parallel_links),
		T(test_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
