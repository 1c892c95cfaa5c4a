// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/fabric/clos.h"
#include "planner/model/fabric/fabric.h"

static struct c4_fault fault;

/* leafA, leafB, spineX, spineY with one host each side; not finished */
static void begin(struct c4_fabric *f)
{
	c4_fabric_init(f);
	c4_fabric_add_switch(f, C4_LEAF, "leafA", &fault);
	c4_fabric_add_switch(f, C4_LEAF, "leafB", &fault);
	c4_fabric_add_switch(f, C4_SPINE, "spineX", &fault);
	c4_fabric_add_switch(f, C4_SPINE, "spineY", &fault);
	c4_fabric_add_host(f, "a", &fault);
	c4_fabric_add_nic(f, "eth0", "leafA", 0, 0, &fault);
	c4_fabric_add_host(f, "b", &fault);
	c4_fabric_add_nic(f, "eth0", "leafB", 0, 0, &fault);
	c4_fabric_add_nic(f, "eth1", "leafB", 0, 1, &fault);
}

static void expect(int64_t rc, int want, const char *says)
{
	assert_int_equal(rc, want);
	if (!strstr(fault.what, says))
		fail_msg("'%s' does not say '%s'", fault.what, says);
}

static void test_names_are_unique(void **state)
{
	struct c4_fabric f;

	(void)state;
	begin(&f);
	expect(c4_fabric_add_switch(&f, C4_SPINE, "leafA", &fault), -EEXIST, "of a leaf");
	expect(c4_fabric_add_host(&f, "spineX", &fault), -EEXIST, "of a spine");
	expect(c4_fabric_add_switch(&f, C4_LEAF, "a", &fault), -EEXIST, "of a host");
	expect(c4_fabric_add_nic(&f, "eth1", "leafA", 0, 0, &fault), -EEXIST, "host b");
	expect(c4_fabric_add_switch(&f, C4_LEAF, "", &fault), -EINVAL, "empty");
	expect(c4_fabric_add_switch(&f, C4_LEAF, "a b", &fault), -EINVAL, "0x20");
	expect(c4_fabric_add_switch(&f, C4_LEAF, "caf\xc3\xa9", &fault), -EINVAL, "ASCII");
	expect(c4_fabric_add_host(&f, "a/b", &fault), -EINVAL, "0x2f");
	assert_int_equal(f.n_switches, 4);
	assert_int_equal(f.n_hosts, 2);
	assert_int_equal(f.n_nics, 3);
	c4_fabric_release(&f);
}

static void test_values_are_checked(void **state)
{
	struct c4_fabric f;

	(void)state;
	begin(&f);
	expect(c4_fabric_add_nic(&f, "x", "leafC", 0, 0, &fault), -ENOENT, "leafC");
	expect(c4_fabric_add_nic(&f, "x", "spineX", 0, 0, &fault), -EINVAL, "a spine");
	expect(c4_fabric_add_nic(&f, "x", "leafA", 256, 0, &fault), -EINVAL, "plane 256");
	expect(c4_fabric_add_nic(&f, "x", "leafA", 0, 5000, &fault), -EINVAL, "rail 5000");
	expect(c4_fabric_add_link(&f, "leafA", "leafB", 1, 1, &fault), -EINVAL, "leaf and leaf");
	expect(c4_fabric_add_link(&f, "leafA", "leafA", 1, 1, &fault), -EINVAL, "leaf and leaf");
	expect(c4_fabric_add_link(&f, "leafA", "Z", 1, 1, &fault), -ENOENT, "'Z'");
	expect(c4_fabric_add_link(&f, "leafA", "a", 1, 1, &fault), -EINVAL, "'a' is a host");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", 0, 0, &fault), -EINVAL, "gbps 0");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", -4, 0, &fault), -EINVAL, "gbps -4");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", NAN, 0, &fault), -EINVAL, "above 0");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", 1e-60, 0, &fault), -EINVAL, "above 0");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", INFINITY, 0, &fault), -EINVAL, "at most");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", 4, 5, &fault), -EINVAL, "now_gbps 5");
	expect(c4_fabric_add_link(&f, "leafA", "spineX", 4, NAN, &fault), -EINVAL, "now_gbps");
	assert_int_equal(f.n_links, 0);
	assert_int_equal(f.n_nics, 3);
	c4_fabric_release(&f);
}

static void test_a_nic_needs_a_host(void **state)
{
	struct c4_fabric f;

	(void)state;
	c4_fabric_init(&f);
	c4_fabric_add_switch(&f, C4_LEAF, "leaf", &fault);
	expect(c4_fabric_add_nic(&f, "x", "leaf", 0, 0, &fault), -EINVAL, "host first");
	c4_fabric_release(&f);
}

static void test_nics_are_found_by_name(void **state)
{
	struct c4_fabric f;
	char name[C4_NAME_MAX * 2];

	(void)state;
	begin(&f);
	assert_int_equal(c4_fabric_nic(&f, "a/eth0"), 0);
	assert_int_equal(c4_fabric_nic(&f, "b/eth1"), 2);
	assert_int_equal(c4_fabric_nic(&f, "a"), 0);	   /* it has one */
	assert_int_equal(c4_fabric_nic(&f, "b"), C4_NONE); /* which? */
	assert_int_equal(c4_fabric_nic(&f, "b/"), C4_NONE);
	assert_int_equal(c4_fabric_nic(&f, "/eth0"), C4_NONE);
	assert_int_equal(c4_fabric_nic(&f, "leafA/eth0"), C4_NONE);
	memset(name, 'x', sizeof name);
	name[sizeof name - 2] = '/';
	name[sizeof name - 1] = '\0';
	assert_int_equal(c4_fabric_nic(&f, name), C4_NONE);
	assert_int_equal(c4_fabric_switch(&f, "a"), C4_NONE);
	assert_int_equal(c4_fabric_host(&f, "leafA"), C4_NONE);
	c4_fabric_release(&f);
}

/* Whatever the order of adding: by the far end, parallel ones in order. */
static void test_links_of_a_switch_are_sorted(void **state)
{
	struct c4_clos shape = {16, 12, 1, 2, 2, 4, 0, 100};
	struct c4_fabric clos, f;

	(void)state;
	c4_fabric_init(&clos);
	assert_int_equal(c4_clos_make(&clos, &shape, &fault), 0);
	c4_fabric_init(&f);
	for (uint32_t i = 0; i < clos.n_switches; i++)
		c4_fabric_add_switch(&f, clos.switches[i].tier, clos.switches[i].name, &fault);
	srand(1);
	for (int i = 0; i < 5000; i++) {
		const struct c4_link *l = &clos.links[(uint32_t)rand() % clos.n_links];
		bool turn = rand() % 2;

		assert_int_equal(
			c4_fabric_join(&f, turn ? l->b : l->a, turn ? l->a : l->b, 100, 1, &fault),
			i);
	}
	assert_int_equal(c4_fabric_finish(&f, &fault), 0);
	assert_int_equal(f.link_at[f.n_switches], 2 * f.n_links);
	for (uint32_t s = 0; s < f.n_switches; s++)
		for (uint32_t k = f.link_at[s]; k < f.link_at[s + 1]; k++) {
			const struct c4_link *l = &f.links[f.link_of[k]], *before;
			uint32_t far = l->a == s ? l->b : l->a, far_before;

			assert_true(l->a == s || l->b == s);
			if (k == f.link_at[s])
				continue;
			before = &f.links[f.link_of[k - 1]];
			far_before = before->a == s ? before->b : before->a;
			assert_true(far_before < far ||
				    (far_before == far && f.link_of[k - 1] < f.link_of[k]));
		}
	c4_fabric_release(&f);
	c4_fabric_release(&clos);
}

static void test_planes_may_not_meet(void **state)
{
	struct c4_clos shape = {4, 2, 1, 1, 2, 0, 0, 100};
	struct c4_fabric f;

	(void)state;
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, &fault), 0);
	f.links[5].b = c4_fabric_switch(&f, "spine2"); /* leaf2–spine1 before */
	expect(c4_fabric_finish(&f, &fault), -EINVAL, "leaf2–spine2");
	assert_int_equal(fault.link, 5);
	f.links[5].b = c4_fabric_switch(&f, "spine1");
	f.nics[5].plane = 0; /* h2/r0p1 */
	f.nics[7].plane = 0;
	expect(c4_fabric_finish(&f, &fault), -EINVAL, "planes 0 and 1");
	f.nics[7].plane = 1;
	assert_int_equal(c4_fabric_add_host(&f, "more", &fault), 4);
	c4_fabric_add_nic(&f, "x", "leaf0", 1, 0, &fault);
	expect(c4_fabric_finish(&f, &fault), -EINVAL, "one plane per leaf");
	assert_int_equal(fault.nic, 8);
	c4_fabric_release(&f);
}

static void test_without_a_leaf_there_is_no_fabric(void **state)
{
	struct c4_fabric f;

	(void)state;
	c4_fabric_init(&f);
	c4_fabric_add_switch(&f, C4_SPINE, "s", &fault);
	expect(c4_fabric_finish(&f, &fault), -EINVAL, "no leaf");
	c4_fabric_release(&f);
}

struct told {
	char text[4096];
};

static void keep(void *arg, const char *what)
{
	struct told *t = arg;
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof t->text - n, "%s\n", what);
}

static void kill_links(struct c4_fabric *f, const char *name)
{
	uint32_t s = c4_fabric_switch(f, name);

	for (uint32_t k = f->link_at[s]; k < f->link_at[s + 1]; k++)
		f->links[f->link_of[k]].now_gbps = 0;
}

static void test_check_tells_what_is_cut_off(void **state)
{
	struct c4_clos shape = {4, 2, 1, 1, 1, 0, 0, 100};
	struct told t = {.text = ""};
	struct c4_fabric f;

	(void)state;
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, &fault), 0);
	c4_fabric_add_switch(&f, C4_LEAF, "lonely", &fault);
	c4_fabric_add_host(&f, "naked", &fault);
	assert_int_equal(c4_fabric_finish(&f, &fault), 0);
	f.links[0].now_gbps = 0;  /* leaf0–spine0 */
	f.links[3].now_gbps = 0;  /* leaf1–spine1 */
	f.links[4].now_gbps = 50; /* leaf2–spine0 */
	kill_links(&f, "leaf3");
	assert_int_equal(c4_fabric_check(&f, keep, &t), 9);
	assert_non_null(strstr(t.text, "host naked has no NICs"));
	assert_non_null(strstr(t.text, "leaf lonely has no links"));
	assert_non_null(strstr(t.text, "leaf leaf3 has no live uplink"));
	assert_non_null(strstr(t.text, "link leaf0–spine0 is dead"));
	assert_non_null(strstr(t.text, "link leaf2–spine0 is degraded: 50 of 100"));
	assert_non_null(strstr(t.text, "leaves leaf0 and leaf1 share no live path"));
	c4_fabric_release(&f);
}

/* Between pods it is the core that counts. */
static void test_check_looks_across_pods(void **state)
{
	struct c4_clos shape = {4, 1, 1, 1, 1, 2, 0, 100};
	struct told t = {.text = ""};
	struct c4_fabric f;

	(void)state;
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, &fault), 0);
	kill_links(&f, "core0");
	assert_int_equal(c4_fabric_check(&f, keep, &t), 2); /* core1 is left */
	kill_links(&f, "core1");
	t.text[0] = '\0';
	assert_int_equal(c4_fabric_check(&f, keep, &t), 5);
	assert_non_null(strstr(t.text, "leaves leaf0 and leaf2, and 1 more"));
	c4_fabric_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_unique),
		cmocka_unit_test(test_values_are_checked),
		cmocka_unit_test(test_a_nic_needs_a_host),
		cmocka_unit_test(test_nics_are_found_by_name),
		cmocka_unit_test(test_links_of_a_switch_are_sorted),
		cmocka_unit_test(test_planes_may_not_meet),
		cmocka_unit_test(test_without_a_leaf_there_is_no_fabric),
		cmocka_unit_test(test_check_tells_what_is_cut_off),
		cmocka_unit_test(test_check_looks_across_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
