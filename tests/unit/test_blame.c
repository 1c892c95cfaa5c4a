// SPDX-License-Identifier: BSD-3-Clause
/* From slow and well pairs of hosts to links: each rule with what it finds and what it must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "planner/model/sense/blame.h"

/* Link = leaf · 4 + spine; each pair one way unless said otherwise. */
#define SPINES 4u
#define PAIRS  64u

struct net {
	struct c4_blame_pair pairs[PAIRS];
	uint32_t links[PAIRS * 8], n, n_links;
	struct c4_blame_finding found[C4_BLAME_FINDINGS];
};

static uint32_t up(uint32_t leaf, uint32_t spine)
{
	return 2 * (leaf * SPINES + spine);
}

static uint32_t down(uint32_t leaf, uint32_t spine)
{
	return up(leaf, spine) + 1;
}

static void add_way(struct net *n, uint32_t src, uint32_t spine, uint32_t dst)
{
	n->links[n->n_links++] = up(src, spine);
	n->links[n->n_links++] = down(dst, spine);
	n->pairs[n->n - 1].n += 2;
}

static void add_pair(struct net *n, double slow, uint32_t src, uint32_t spine, uint32_t dst)
{
	n->pairs[n->n++] = (struct c4_blame_pair){
		.word = slow > 1.5 ? C4_BLAME_SLOW : C4_BLAME_WELL,
		.first = n->n_links,
		.slow = slow,
	};
	add_way(n, src, spine, dst);
}

static int blame(struct net *n)
{
	const struct c4_blame_input in = {n->pairs, n->n, n->links};

	return c4_blame(&in, n->found);
}

static void test_nothing_is_slow(void **state)
{
	struct net n = {0};

	(void)state;
	assert_int_equal(blame(&n), 0);
	add_pair(&n, 1, 0, 0, 1);
	assert_int_equal(blame(&n), 0);
}

/* Two slow pairs meet on one link only. */
static void test_shared_link_is_found(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 5, 0, 1, 2);
	add_pair(&n, 4, 0, 1, 3);
	add_pair(&n, 1, 0, 2, 2);
	assert_int_equal(blame(&n), 1);
	assert_int_equal(n.found[0].link, up(0, 1));
	assert_int_equal(n.found[0].pairs, 2);
	assert_int_equal(n.found[0].alike, 0);
	assert_true(n.found[0].slow == 4);
}

/* A lone slow pair accuses both links of its way … */
static void test_lone_pair_leaves_two(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	assert_int_equal(blame(&n), 2);
	assert_int_equal(n.found[0].link, up(0, 1));
	assert_int_equal(n.found[1].link, down(2, 1));
	assert_int_equal(n.found[0].alike, 1);
	assert_int_equal(n.found[1].alike, 1);
}

/* … unless a well one crosses one of them. */
static void test_well_pair_exonerates(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_pair(&n, 1, 0, 1, 3);
	assert_int_equal(blame(&n), 1);
	assert_int_equal(n.found[0].link, down(2, 1));
	assert_int_equal(n.found[0].alike, 0);
	add_pair(&n, 1, 3, 1, 2);
	assert_int_equal(blame(&n), 0); /* its ends, or something nobody knows of */
}

/* The other direction of a link says nothing of this one. */
static void test_directions_are_apart(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_pair(&n, 1, 3, 1, 0);
	add_pair(&n, 1, 2, 1, 3);
	assert_int_equal(blame(&n), 2);
}

static void test_silent_pairs_say_nothing(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_pair(&n, 1, 0, 1, 3);
	n.pairs[1].word = C4_BLAME_SILENT;
	assert_int_equal(blame(&n), 2);
	n.pairs[0].word = C4_BLAME_SILENT;
	assert_int_equal(blame(&n), 0);
}

/* A pair over two spines: the well ones leave the one link that is slow. */
static void test_pair_of_two_ways(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_way(&n, 0, 2, 2);
	assert_int_equal(blame(&n), 4);
	assert_int_equal(n.found[0].alike, 3);
	add_pair(&n, 1, 0, 1, 3);
	add_way(&n, 0, 2, 3);
	add_pair(&n, 1, 1, 1, 2);
	assert_int_equal(blame(&n), 1);
	assert_int_equal(n.found[0].link, down(2, 2));
}

static void test_two_faults(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_pair(&n, 3, 1, 1, 2);
	add_pair(&n, 3, 3, 1, 2);
	add_pair(&n, 8, 4, 0, 5);
	add_pair(&n, 8, 4, 0, 6);
	assert_int_equal(blame(&n), 2);
	assert_int_equal(n.found[0].link, down(2, 1));
	assert_int_equal(n.found[0].pairs, 3);
	assert_int_equal(n.found[1].link, up(4, 0));
	assert_true(n.found[1].slow == 8);
}

/* Three pairs of which each two share a link: no link is better than the others. */
static void test_circle_is_not_decided(void **state)
{
	struct net n = {0};

	(void)state;
	add_pair(&n, 3, 0, 1, 2);
	add_pair(&n, 3, 0, 1, 3);
	add_pair(&n, 3, 4, 1, 2);
	add_pair(&n, 3, 4, 1, 3);
	assert_int_equal(blame(&n), 3); /* of the four that cover two: those beside the first */
	for (int i = 0; i < 3; i++)
		assert_int_equal(n.found[i].alike, 2);
}

static void test_findings_are_bounded(void **state)
{
	struct net n = {0};

	(void)state;
	for (uint32_t i = 0; i < PAIRS; i++)
		add_pair(&n, 3, 2 * i, 1, 2 * i + 1);
	assert_int_equal(blame(&n), C4_BLAME_FINDINGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_slow),
		cmocka_unit_test(test_shared_link_is_found),
		cmocka_unit_test(test_lone_pair_leaves_two),
		cmocka_unit_test(test_well_pair_exonerates),
		cmocka_unit_test(test_directions_are_apart),
		cmocka_unit_test(test_silent_pairs_say_nothing),
		cmocka_unit_test(test_pair_of_two_ways),
		cmocka_unit_test(test_two_faults),
		cmocka_unit_test(test_circle_is_not_decided),
		cmocka_unit_test(test_findings_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
