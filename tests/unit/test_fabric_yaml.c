// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/io/fabric_json.h"
#include "planner/io/fabric_load.h"
#include "planner/io/fabric_yaml.h"
#include "planner/model/fabric/clos.h"

static const char good[] = "schema: c4.fabric/v1\n"				/* 1 */
			   "hosts:\n"						/* 2 */
			   "- name: h0\n"					/* 3 */
			   "  nics:\n"						/* 4 */
			   "  - {name: n0, leaf: leaf0}\n"			/* 5 */
			   "  - name: n1\n"					/* 6 */
			   "    leaf: leaf1\n"					/* 7 */
			   "    plane: 1\n"					/* 8 */
			   "    ipv4: 10.1.2.3\n"				/* 9 */
			   "leaves: [leaf0, leaf1]\n"				/* 10 */
			   "spines:\n"						/* 11 */
			   "- spine0\n"						/* 12 */
			   "- spine1\n"						/* 13 */
			   "switches:\n"					/* 14 */
			   "- {name: spine1, epoch: 7, tier: spine}\n"		/* 15 */
			   "links:\n"						/* 16 */
			   "- {a: leaf0, b: spine0, gbps: 400}\n"		/* 17 */
			   "- a: leaf1\n"					/* 18 */
			   "  b: spine1\n"					/* 19 */
			   "  gbps: 200\n"					/* 20 */
			   "  count: 2\n"					/* 21 */
			   "- {b: leaf1, a: spine1, gbps: 200, state: down}\n"; /* 22 */

static int parse(struct c4_fabric *f, const char *text, struct c4_buf *errors)
{
	return c4_fabric_parse(f, "F", text, strlen(text), C4_FABRIC_GUESS, errors);
}

static void test_all_keys_are_read(void **state)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	(void)state;
	if (parse(&f, good, &errors))
		fail_msg("%s", c4_buf_str(&errors));
	assert_int_equal(f.n_links, 4);
	assert_true(f.links[1].gbps == 200.f && f.links[1].now_gbps == 200.f);
	assert_true(f.links[3].now_gbps == 0);
	assert_int_equal(f.links[3].a, c4_fabric_switch(&f, "leaf1")); /* lower tier first */
	assert_int_equal(f.nics[1].plane, 1);
	assert_int_equal(f.nics[1].ipv4, 0x0a010203);
	assert_int_equal(f.switches[c4_fabric_switch(&f, "spine1")].epoch, 7);
	assert_int_equal(f.n_nets, 2);
	assert_null(errors.data);
	c4_fabric_release(&f);
}

/* `good` with the first `old` replaced. */
static char *with(const char *old, const char *new)
{
	const char *at = strstr(good, old);
	char *text = NULL;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, new, at + strlen(old)) > 0);
	return text;
}

/* Every mistake: the line, what, what was expected. */
static void test_mistakes_are_precise(void **state)
{
	static const struct {
		const char *old, *new, *begins;
	} cases[] = {
		{"leaf: leaf1", "leaf: leaf9", "F:7: leaf 'leaf9' is unknown, expected"},
		{"b: spine1\n", "b: spine9\n", "F:19: switch 'spine9' is unknown, expected"},
		{"{a: leaf0, b: spine0", "{a: leaf9, b: spine0", "F:17: switch 'leaf9' is unknown"},
		{"b: spine1\n", "b: leaf0\n", "F:18: link leaf1–leaf0 joins leaf and leaf, exp"},
		{"b: spine1\n", "b: h0\n", "F:19: 'h0' is a host, expected a switch"},
		{"b: spine1\n", "b: spine0\n", "F:17: link leaf0–spine0 joins planes 1 and 0, exp"},
		{"- spine1\n", "- spine0\n", "F:13: name 'spine0' is already that of a spine, exp"},
		{"- spine1\n", "- h0\n", "F:3: name 'h0' is already that of a spine, expected"},
		{"- name: n1", "- name: n0", "F:6: host h0 has a NIC 'n0' already, expected"},
		{"leaf: leaf0}", "leaf: spine0}", "F:5: 'spine0' is a spine, expected a leaf"},
		{"plane: 1", "plane: 900", "F:8: plane 900, expected 0 to 255"},
		{"plane: 1", "plane: -1", "F:8: hosts[0].nics[1].plane is '-1', expected a whole"},
		{"plane: 1", "plane: one",
		 "F:8: hosts[0].nics[1].plane is 'one', expected a whole"},
		{"10.1.2.3", "10.1.2", "F:9: ipv4 '10.1.2', expected four numbers"},
		{"gbps: 200\n", "gbps: 0\n", "F:20: gbps 0, expected above 0"},
		{"gbps: 200\n", "gbps: -1\n", "F:20: gbps -1, expected above 0"},
		{"gbps: 200\n", "gbps: fast\n", "F:20: links[1].gbps is 'fast', expected a number"},
		{"gbps: 200\n", "gbps: []\n", "F:20: links[1].gbps is a list, expected a number"},
		{"  gbps: 200\n", "", "F:18: links[1] has no key 'gbps', expected a mapping with"},
		{"gbps: 200\n", "gbps: 2\n  gpbs: 3\n",
		 "F:21: unknown key 'gpbs' in links[1], exp"},
		{"count: 2", "count: 0", "F:21: count 0, expected 1 to 256"},
		{"count: 2", "now_gbps: 500", "F:21: now_gbps 500, expected 0 (dead) to"},
		{"state: down", "state: bad", "F:22: links[2].state is 'bad', expected up or down"},
		{"spine1, epoch", "spine9, epoch",
		 "F:15: switch 'spine9' is unknown, expected one"},
		{"tier: spine", "tier: leaf", "F:15: tier of spine1 is spine by the lists above"},
		{"schema: c4.fabric/v1", "schema: c4.fabric/v2",
		 "F:1: schema is 'c4.fabric/v2', ex"},
		{"schema: c4.fabric/v1\n", "", "F:1: the file has no key 'schema', expected a map"},
		{"links:\n", "lynx:\n",
		 "F:16: unknown key 'lynx' in the file, expected one of sch"},
		{"[leaf0, leaf1]", "leaf0", "F:10: leaves is a single value, expected a list"},
		{"[leaf0, leaf1]", "[leaf0, leaf1, '']", "F:10: leaves[2] is empty, expected a te"},
		{"[leaf0, leaf1]", "[leaf0, leaf1, 'a b']", "F:10: leaf name with character 0x20"},
		{"[leaf0, leaf1]", "[leaf0, leaf1", "F:11: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *text = with(cases[i].old, cases[i].new);
		struct c4_buf errors = {0};
		struct c4_fabric f;

		assert_int_equal(parse(&f, text, &errors), -EINVAL);
		if (strncmp(errors.data, cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("case %zu: '%s'\nis not '%s…'", i, errors.data, cases[i].begins);
		assert_int_equal(errors.data[errors.len - 1], '\n');
		c4_buf_release(&errors);
		free(text);
	}
}

static void test_texts_that_are_no_fabric(void **state)
{
	static const struct {
		const char *text, *begins;
	} cases[] = {
		{"", "F:1: the file is empty, expected a mapping with the keys schema"},
		{"# nothing\n", "F:1: the file is empty"},
		{"hello", "F:1: the file is a single value, expected a mapping"},
		{"- 1\n", "F:1: the file is a list, expected a mapping"},
		{"schema: \xff\n", "F:1: invalid"},
		{"schema: c4.fabric/v1\nhosts: [\n", "F:"},
		{"schema: c4.fabric/v1\nhosts: }\n",
		 "F:2: did not find expected node content, expected YAML"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct c4_buf errors = {0};
		struct c4_fabric f;

		assert_int_not_equal(parse(&f, cases[i].text, &errors), 0);
		if (strncmp(errors.data, cases[i].begins, strlen(cases[i].begins)) != 0)
			fail_msg("case %zu: '%s'\nis not '%s…'", i, errors.data, cases[i].begins);
		c4_buf_release(&errors);
	}
}

/* Not one line per mistake when everything is wrong, but a count. */
static void test_mistakes_are_counted(void **state)
{
	struct c4_buf text = {0}, errors = {0};
	struct c4_fabric f;

	(void)state;
	c4_buf_printf(&text, "%s", good);
	for (int i = 0; i < 100; i++)
		c4_buf_printf(&text, "- {a: leaf0, b: nobody%d, gbps: 1}\n", i);
	assert_int_equal(parse(&f, text.data, &errors), -EINVAL);
	assert_non_null(strstr(errors.data, "F:23: switch 'nobody0'"));
	assert_non_null(strstr(errors.data, "F:42: switch 'nobody19'"));
	assert_null(strstr(errors.data, "nobody20"));
	assert_non_null(strstr(errors.data, "and 80 more"));
	c4_buf_release(&text);
	c4_buf_release(&errors);
}

/* An alias stands for an entry again, as dumpers write it; a million of them do not stand. */
static void test_aliases_are_bounded(void **state)
{
	struct c4_buf text = {0}, errors = {0};
	struct c4_fabric f;

	(void)state;
	c4_buf_printf(&text, "%s- &x {a: leaf0, b: spine1, gbps: 1, state: down}\n- *x\n", good);
	assert_int_equal(parse(&f, text.data, &errors), -EINVAL); /* planes meet */
	assert_non_null(strstr(errors.data, "F:23: link leaf0–spine1"));
	c4_buf_release(&errors);
	text.len = 0;
	c4_buf_printf(&text, "schema: c4.fabric/v1\nhosts:\n- &h\n  name: h\n  nics:\n");
	for (int i = 0; i < 256; i++)
		c4_buf_printf(&text, "  - {name: n%d, leaf: l}\n", i);
	for (int i = 0; i < 20000; i++)
		c4_buf_printf(&text, "- *h\n");
	c4_buf_printf(&text, "leaves: [l]\nspines: []\nlinks: []\n");
	assert_int_equal(parse(&f, text.data, &errors), -ENOMEM);
	assert_non_null(strstr(errors.data, "times its length"));
	c4_buf_release(&text);
	c4_buf_release(&errors);
}

static char *written(const struct c4_fabric *f, int (*write)(const struct c4_fabric *, FILE *))
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_int_equal(write(f, out), 0);
	fclose(out);
	return text;
}

/* YAML and JSON say the same and read back to the same. */
static void test_what_is_written_reads_back(void **state)
{
	struct c4_clos shape = {4, 2, 2, 2, 2, 2, 0, 12.5};
	struct c4_buf errors = {0};
	struct c4_fabric f, again;
	struct c4_fault fault;
	char *yaml, *json, *second;

	(void)state;
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, &shape, &fault), 0);
	f.links[3].now_gbps = 0;
	f.links[4].now_gbps = 1.25f;
	f.switches[2].epoch = 9;
	f.nics[1].ipv4 = 0x0a000001;
	f.nics[1].gbps = 100;
	c4_fabric_add_switch(&f, C4_SPINE, "Yes", &fault); /* names that YAML might misread */
	c4_fabric_add_switch(&f, C4_SPINE, "1e3", &fault);
	c4_fabric_add_switch(&f, C4_SPINE, "a\"\\:#", &fault);
	c4_fabric_add_host(&f, "null", &fault);
	assert_int_equal(c4_fabric_finish(&f, &fault), 0);
	yaml = written(&f, c4_fabric_write_yaml);
	json = written(&f, c4_fabric_write_json);
	assert_non_null(strstr(yaml, "- \"Yes\"\n"));
	for (int i = 0; i < 2; i++) {
		if (parse(&again, i ? json : yaml, &errors))
			fail_msg("%s", c4_buf_str(&errors));
		second = written(&again, c4_fabric_write_yaml);
		assert_string_equal(second, yaml);
		free(second);
		c4_fabric_release(&again);
	}
	free(yaml);
	free(json);
	c4_fabric_release(&f);
}

/* Sorted keys, one per line, an entry that stands twice as an alias: PyYAML's way. */
static void test_what_a_script_dumps(void **state)
{
	static const char text[] = "hosts:\n"
				   "- name: h0\n"
				   "  nics:\n"
				   "  - leaf: leaf0\n"
				   "    name: r0p0\n"
				   "    plane: 0\n"
				   "    rail: 0\n"
				   "leaves:\n"
				   "- leaf0\n"
				   "links:\n"
				   "- &id001\n"
				   "  a: leaf0\n"
				   "  b: spine0\n"
				   "  gbps: 400.0\n"
				   "  now_gbps: null\n"
				   "- *id001\n"
				   "- a: leaf0\n"
				   "  b: spine0\n"
				   "  gbps: 4.0e+2\n"
				   "schema: c4.fabric/v1\n"
				   "spines:\n"
				   "- spine0\n";
	struct c4_buf errors = {0};
	struct c4_fabric f;

	(void)state;
	if (parse(&f, text, &errors))
		fail_msg("%s", c4_buf_str(&errors));
	assert_int_equal(f.n_links, 3);
	assert_true(f.links[1].now_gbps == 400.f && f.links[2].gbps == 400.f);
	c4_fabric_release(&f);
}

static void test_unreadable_files(void **state)
{
	struct c4_buf errors = {0};
	struct c4_fabric f;

	(void)state;
	assert_int_equal(c4_fabric_load(&f, "/nowhere/f", C4_FABRIC_GUESS, &errors), -ENOENT);
	assert_int_equal(c4_fabric_load(&f, "/", C4_FABRIC_GUESS, &errors), -EISDIR);
	assert_non_null(strstr(errors.data, "/nowhere/f: cannot read: "));
	assert_non_null(strstr(errors.data, "\n/: cannot read: "));
	c4_buf_release(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_keys_are_read),
		cmocka_unit_test(test_mistakes_are_precise),
		cmocka_unit_test(test_texts_that_are_no_fabric),
		cmocka_unit_test(test_mistakes_are_counted),
		cmocka_unit_test(test_aliases_are_bounded),
		cmocka_unit_test(test_what_is_written_reads_back),
		cmocka_unit_test(test_what_a_script_dumps),
		cmocka_unit_test(test_unreadable_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
