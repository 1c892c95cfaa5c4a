// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/fabric/clos.h"

static void make(struct c4_fabric *f, struct c4_clos shape)
{
	struct c4_fault fault = {.what = ""};

	shape.gbps = 400;
	c4_fabric_init(f);
	if (c4_clos_make(f, &shape, &fault))
		fail_msg("%s", fault.what);
}

static uint32_t links_of(const struct c4_fabric *f, const char *name)
{
	uint32_t s = c4_fabric_switch(f, name);

	return f->link_at[s + 1] - f->link_at[s];
}

static bool joined(const struct c4_fabric *f, const char *a, const char *b)
{
	uint32_t sa = c4_fabric_switch(f, a), sb = c4_fabric_switch(f, b);

	for (uint32_t k = f->link_at[sa]; k < f->link_at[sa + 1]; k++)
		if (f->links[f->link_of[k]].b == sb)
			return true;
	return false;
}

static const char *leaf_of(const struct c4_fabric *f, const char *nic)
{
	return f->switches[f->nics[c4_fabric_nic(f, nic)].leaf].name;
}

/* Names and places as documented: scripts count on them. */
static void test_names_and_places(void **state)
{
	struct c4_fabric f;

	(void)state;
	make(&f, (struct c4_clos){
			 .leaves = 4, .spines = 3, .hosts_per_leaf = 2, .rails = 2, .planes = 2});
	assert_int_equal(f.n_hosts, 8);
	assert_int_equal(f.n_nics, 32);
	assert_int_equal(f.n_switches, 16 + 6);
	assert_int_equal(f.n_links, 16 * 3);
	assert_int_equal(f.n_nets, 2);
	assert_string_equal(leaf_of(&f, "h0/r0p0"), "leaf0");
	assert_string_equal(leaf_of(&f, "h7/r0p0"), "leaf3");
	assert_string_equal(leaf_of(&f, "h7/r1p0"), "leaf7");
	assert_string_equal(leaf_of(&f, "h2/r0p1"), "leaf9");
	assert_string_equal(leaf_of(&f, "h7/r1p1"), "leaf15");
	assert_true(joined(&f, "leaf7", "spine2"));
	assert_true(joined(&f, "leaf15", "spine5"));
	assert_false(joined(&f, "leaf7", "spine3")); /* of the other plane */
	assert_int_equal(f.nics[c4_fabric_nic(&f, "h7/r1p1")].plane, 1);
	assert_int_equal(f.nics[c4_fabric_nic(&f, "h7/r1p1")].rail, 1);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "spine5")].plane, 1);
	c4_fabric_release(&f);
}

static void test_pods_meet_at_cores(void **state)
{
	struct c4_fabric f;
	uint32_t a, b;

	(void)state;
	make(&f, (struct c4_clos){.leaves = 4,
				  .spines = 2,
				  .hosts_per_leaf = 1,
				  .rails = 2,
				  .planes = 2,
				  .pods = 2});
	/* per plane: 8 leaves, 2 pods of 2 spines; a spine has 4 leaves, so 4 cores per group */
	assert_int_equal(f.n_switches, 16 + 8 + 16);
	assert_int_equal(f.n_links, 16 * 2 + 8 * 4);
	assert_int_equal(f.n_nets, 2);
	assert_true(joined(&f, "leaf1", "spine1")); /* pod 0 of rail 0 */
	assert_true(joined(&f, "leaf2", "spine2")); /* pod 1 */
	assert_false(joined(&f, "leaf2", "spine1"));
	assert_true(joined(&f, "leaf6", "spine3")); /* pod 1 of rail 1: the same spines */
	assert_true(joined(&f, "spine0", "core0"));
	assert_true(joined(&f, "spine2", "core0")); /* spine 0 of the other pod */
	assert_true(joined(&f, "spine3", "core7"));
	assert_false(joined(&f, "spine3", "core0"));
	assert_true(joined(&f, "spine4", "core8")); /* plane 1 has its own */
	assert_int_equal(links_of(&f, "core0"), 2);
	a = c4_fabric_switch(&f, "leaf1");
	b = c4_fabric_switch(&f, "leaf2");
	assert_int_equal(f.switches[a].net, f.switches[b].net);
	assert_int_not_equal(f.switches[a].pod, f.switches[b].pod);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "core0")].pod, C4_NONE);
	assert_int_equal(c4_fabric_check(&f, NULL, NULL), 0);
	c4_fabric_release(&f);
}

static void test_cores_can_be_fewer(void **state)
{
	struct c4_fabric f;

	(void)state;
	make(&f, (struct c4_clos){.leaves = 8,
				  .spines = 2,
				  .hosts_per_leaf = 1,
				  .rails = 1,
				  .planes = 1,
				  .pods = 4,
				  .cores = 1});
	assert_int_equal(f.n_switches, 8 + 8 + 2);
	assert_int_equal(links_of(&f, "core1"), 4);
	c4_fabric_release(&f);
}

static void test_impossible_shapes_are_refused(void **state)
{
	static const struct {
		struct c4_clos shape;
		int rc;
		const char *says;
	} cases[] = {
		{{0, 8, 8, 1, 1, 0, 0, 400}, -EINVAL, "leaves 0"},
		{{8, 0, 8, 1, 1, 0, 0, 400}, -EINVAL, "spines 0"},
		{{8, 8, 8, 1, 1, 3, 0, 400}, -EINVAL, "divide"},
		{{8, 8, 8, 1, 1, 9, 0, 400}, -EINVAL, "pods 9"},
		{{8, 8, 8, 1, 1, 0, 2, 400}, -EINVAL, "without pods"},
		{{8, 8, 8, 1, 1, 0, 0, 0}, -EINVAL, "gbps 0"},
		{{60000, 60000, 1, 1, 1, 0, 0, 400}, -E2BIG, "switches"},
		{{30000, 30000, 1, 1, 1, 0, 0, 400}, -E2BIG, "links"},
		{{65535, 1, 1 << 20, 256, 256, 0, 0, 400}, -E2BIG, "leaves"},
		{{1000, 1, 1 << 20, 1, 1, 0, 0, 400}, -E2BIG, "hosts"},
		{{2, 1, 1, 200, 2, 0, 0, 400}, -E2BIG, "NICs per host"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct c4_fault fault = {.what = ""};
		struct c4_fabric f;

		c4_fabric_init(&f);
		assert_int_equal(c4_clos_make(&f, &cases[i].shape, &fault), cases[i].rc);
		if (!strstr(fault.what, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, fault.what, cases[i].says);
		c4_fabric_release(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_places),
		cmocka_unit_test(test_pods_meet_at_cores),
		cmocka_unit_test(test_cores_can_be_fewer),
		cmocka_unit_test(test_impossible_shapes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
