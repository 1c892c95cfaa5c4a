// SPDX-License-Identifier: BSD-3-Clause
/* Whole plans, judged by plan_check.h. Load equals the lower bound wherever the fabric is uniform.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_case.h"
#include "tests/unit/plan_check.h"

/* Plans, checks, and returns what stands above the bound by degrees. */
static double excess(struct plan_case *c, const struct c4_plan *previous)
{
	struct check check;
	double more;

	assert_int_equal(case_assign(c, previous), 0);
	check_plan(&check, c->name, &c->f, &c->d, &c->p);
	more = check.max_load - check.bound;
	check_release(&check);
	return more;
}

static void expect_exact(struct plan_case *c)
{
	double more = excess(c, NULL);

	if (more > CHECK_EPS)
		check_fail(c, "load %g, the bound is %g", c->p.max_load, c->p.max_load - more);
	if (c->p.max_load > c->p.lower_bound * (1 + CHECK_EPS))
		check_fail(c, "load %g, the plan's own bound is %g", c->p.max_load,
			   c->p.lower_bound);
}

/* ---- uniform fabrics ------------------------------------------------------------------------- */

/* Odd and prime ones too; loads that S divides and loads that it does not. */
static void test_random_demand_meets_bound_for_every_s(void **state)
{
	struct dice dice = {1};

	(void)state;
	for (uint32_t s = 2; s <= 128; s += PLAN_SLOW ? 9 : 1) {
		struct plan_case c;
		uint32_t leaves = 2 + dice_below(&dice, 30), hosts = 1 + dice_below(&dice, 2 * s);

		case_clos(&c,
			  (struct c4_clos){.leaves = leaves, .spines = s, .hosts_per_leaf = hosts});
		case_random(&c, &dice, dice_below(&dice, 4 * s * leaves) + 1,
			    1 + dice_below(&dice, 3));
		expect_exact(&c);
		case_release(&c);
	}
}

/* As many hosts per leaf as spines: not one flow may share a link. */
static void test_permutations_are_conflict_free_for_every_s(void **state)
{
	struct dice dice = {2};

	(void)state;
	for (uint32_t s = 2; s <= 128; s += PLAN_SLOW ? 9 : 1) {
		struct plan_case c;

		case_clos(&c, (struct c4_clos){.leaves = 4 + dice_below(&dice, 28),
					       .spines = s,
					       .hosts_per_leaf = s});
		case_permute(&c, &dice, 1);
		expect_exact(&c);
		assert_true(c.p.max_load <= 1 + CHECK_EPS);
		case_release(&c);
	}
}

static void test_rails_planes_and_qps(void **state)
{
	struct dice dice = {3};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 10 : 60); i++) {
		struct plan_case c;
		uint32_t s = 2 + dice_below(&dice, 20);

		case_clos(&c, (struct c4_clos){.leaves = 2 + dice_below(&dice, 10),
					       .spines = s,
					       .hosts_per_leaf = 1 + dice_below(&dice, s),
					       .rails = 1 + dice_below(&dice, 4),
					       .planes = 1 + dice_below(&dice, 3)});
		case_permute(&c, &dice, 1 + dice_below(&dice, 9));
		expect_exact(&c);
		case_release(&c);
	}
}

/* Every host to a host of another pod. */
static void permute_across_pods(struct plan_case *c, struct dice *dice, uint32_t pods)
{
	uint32_t n = c->f.n_hosts, each = n / pods, *from = malloc(n * sizeof *from);
	uint32_t shift = 1 + dice_below(dice, pods - 1);

	for (uint32_t i = 0; i < n; i++)
		from[i] = i;
	for (uint32_t pod = 0; pod < pods; pod++)
		dice_shuffle(dice, from + pod * each, each);
	for (uint32_t i = 0; i < n; i++)
		case_add(c, from[i], (i + shift * each) % n, 1, 1);
	free(from);
}

/* Tight at the leaves and at the cores at once. */
static void test_pods_tight_at_both_levels(void **state)
{
	struct dice dice = {4};

	(void)state;
	for (uint32_t s = 2; s <= (PLAN_SLOW ? 8 : 33); s++) {
		struct plan_case c;
		uint32_t pods = 2 + dice_below(&dice, 5), leaves = 1 + dice_below(&dice, 8);

		case_clos(&c, (struct c4_clos){.leaves = pods * leaves,
					       .spines = s,
					       .hosts_per_leaf = s,
					       .pods = pods});
		permute_across_pods(&c, &dice, pods);
		expect_exact(&c);
		assert_true(c.p.max_load <= 1 + CHECK_EPS);
		case_release(&c);
	}
}

static void make_pods(struct plan_case *c, struct dice *dice, bool enough_cores)
{
	uint32_t pods = 2 + dice_below(dice, 5), leaves = 1 + dice_below(dice, 6);
	uint32_t s = 1 + dice_below(dice, 17);

	case_clos(c, (struct c4_clos){.leaves = pods * leaves,
				      .spines = s,
				      .hosts_per_leaf = 1 + dice_below(dice, 2 * s),
				      .planes = 1 + dice_below(dice, 2),
				      .pods = pods,
				      .cores = enough_cores ? 0 : 1 + dice_below(dice, leaves)});
	if (dice_below(dice, 2))
		case_permute(c, dice, 1 + dice_below(dice, 3));
	else
		case_random(c, dice, 1 + dice_below(dice, 2000), 1 + dice_below(dice, 3));
}

/* Within and between pods, nothing lost at the cores. */
static void test_pods_mixed(void **state)
{
	struct dice dice = {5};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 20 : 400); i++) {
		struct plan_case c;

		make_pods(&c, &dice, true);
		expect_exact(&c);
		case_release(&c);
	}
}

/*
 * With scarce cores leaf and pod cannot always be balanced at once: two pods of two leaves, two
 * spines, one core each, A→B B→A A→C B→D C→D D→C C→B D→A has bound 1 and optimum 2. So: never more
 * than one QP above, and seldom that.
 */
static void test_pods_with_scarce_cores(void **state)
{
	struct dice dice = {6};
	uint32_t above = 0, n = PLAN_SLOW ? 40 : 1000;

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		struct plan_case c;
		double more;

		make_pods(&c, &dice, false);
		more = excess(&c, NULL) / check_unit(&c.d);
		if (more > 1 + CHECK_EPS)
			check_fail(&c, "%g QPs above the bound %g", more, c.p.lower_bound);
		above += more > CHECK_EPS;
		case_release(&c);
	}
	print_message("scarce cores: %u of %u plans one QP above the bound\n", above, n);
	assert_true(above <= n / 100);
}

static void test_a_million_flows(void **state)
{
	struct dice dice = {6};
	struct plan_case c;
	uint32_t leaves = PLAN_SLOW ? 100 : 1000;

	(void)state;
	case_clos(&c, (struct c4_clos){.leaves = leaves,
				       .spines = 64,
				       .hosts_per_leaf = PLAN_SLOW ? 64 : 1000});
	case_permute(&c, &dice, 1);
	expect_exact(&c);
	case_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_demand_meets_bound_for_every_s),
		cmocka_unit_test(test_permutations_are_conflict_free_for_every_s),
		cmocka_unit_test(test_rails_planes_and_qps),
		cmocka_unit_test(test_pods_tight_at_both_levels),
		cmocka_unit_test(test_pods_mixed),
		cmocka_unit_test(test_pods_with_scarce_cores),
		cmocka_unit_test(test_a_million_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
