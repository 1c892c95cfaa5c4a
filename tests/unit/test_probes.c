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

#include "planner/io/oracle_spec.h"
#include "planner/io/probes.h"
#include "planner/model/oracle/path.h"
#include "tests/unit/clos_fabric.h"

#define HEAD "{\"schema\":\"c4.probes/v1\",\n\"probes\":["

struct world {
	struct c4_fabric f;
	struct c4_oracle *o;
	struct c4_buf errors;
};

static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct c4_fault fault;

	assert_non_null(w);
	clos_fabric(&w->f, (struct c4_clos){.leaves = 2, .spines = 4, .hosts_per_leaf = 2});
	assert_int_equal(c4_oracle_spec("table", &w->o, &fault), 0);
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_oracle_free(w->o);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->errors);
	free(w);
	return 0;
}

static void test_a_probe_is_learned(void **state)
{
	struct world *w = *state;
	const char *text = HEAD "{\"src\":\"h0\",\"dst\":\"h3/r0p0\",\"sport\":50000,"
				"\"path\":[\"leaf0\",\"spine2\",\"leaf1\"]}]}";
	uint32_t src = c4_fabric_nic(&w->f, "h0"), dst = c4_fabric_nic(&w->f, "h3");
	struct c4_path path;

	assert_int_equal(c4_probes_read(w->o, &w->f, "p", text, strlen(text), &w->errors), 0);
	assert_int_equal(c4_oracle_path(w->o, src, dst, 50000, &path), 0);
	assert_int_equal(path.hops, 2);
	assert_int_equal(w->f.links[path.link[0]].b, c4_fabric_switch(&w->f, "spine2"));
	assert_int_equal(w->f.links[path.link[1]].a, c4_fabric_switch(&w->f, "leaf1"));
	assert_int_equal(c4_oracle_path(w->o, src, dst, 50001, &path), -EAGAIN);
}

static void refuses(struct world *w, const char *text, int rc, const char *words)
{
	c4_buf_release(&w->errors);
	assert_int_equal(c4_probes_read(w->o, &w->f, "p", text, strlen(text), &w->errors), rc);
	if (!strstr(c4_buf_str(&w->errors), words))
		fail_msg("\"%s\" is not in \"%s\"", words, c4_buf_str(&w->errors));
}

static void test_mistakes_are_told(void **state)
{
	struct world *w = *state;
	struct c4_fault fault;
#define PAIR "\"src\":\"h0\",\"dst\":\"h3\","

	refuses(w, "?", -EINVAL, "p:1: column 1:");
	refuses(w, "{\"probes\":[]}", -EINVAL, "no \"schema\"");
	refuses(w, "{\"schema\":\"c4.probes/v1\",\"probes\":{}}", -EINVAL, "expected an array");
	refuses(w, HEAD "{\"src\":\"h0\",\"dst\":\"h9\"}]}", -EINVAL,
		"p:2: probes[0]: \"src\" and");
	refuses(w, HEAD "{" PAIR "\"sport\":50000},\n7]}", -EINVAL,
		"p:3: probes[1]: \"src\" and"); /* the second is told, too */
	refuses(w, HEAD "{" PAIR "\"sport\":80}]}", -EINVAL, "\"sport\", expected a port from");
	refuses(w, HEAD "{" PAIR "\"sport\":50000,\"path\":[\"leaf0\",\"leaf1\"]}]}", -EINVAL,
		"no such path");
	refuses(w, HEAD "{" PAIR "\"sport\":50000,\"path\":[\"leaf0\",\"spine9\",\"leaf1\"]}]}",
		-EINVAL, "no such path");
	refuses(w, HEAD "{" PAIR "\"sport\":50000,\"path\":7}]}", -EINVAL, "expected the path");

	c4_oracle_free(w->o);
	assert_int_equal(c4_oracle_spec("xor", &w->o, &fault), 0);
	refuses(w, HEAD "{" PAIR "\"sport\":50000,\"path\":[\"leaf0\",\"spine1\",\"leaf1\"]}]}",
		-EOPNOTSUPP, "learns nothing, expected table or linear");
#undef PAIR
}

static void test_specs(void **state)
{
	static const char *const good[] = {"crc32",	"crc16,seed=7",
					   "xor,alike", "jhash,seed=0xff,resilient=64,alike",
					   "table",	"linear"};
	static const char *const bad[] = {
		"",	      "delphi",	       "crc32,seed=x", "crc32,seed=",
		"crc32,more", "crc32,seed=-1", "table,x",      "crc32,resilient=9999999"};
	struct c4_oracle *o = NULL;
	struct c4_fault fault;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(c4_oracle_spec(good[i], &o, &fault), 0);
		assert_non_null(o);
		c4_oracle_free(o);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(c4_oracle_spec(bad[i], &o, &fault), -EINVAL);
		assert_non_null(strstr(fault.what, "expected crc32, crc16"));
	}
	assert_int_equal(c4_oracle_spec("none", &o, &fault), 0);
	assert_null(o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_probe_is_learned),
		TEST(test_mistakes_are_told),
		cmocka_unit_test(test_specs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
