// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/demand_json.h"
#include "planner/io/json_walk.h"
#include "planner/model/demand/demand.h"
#include "tests/unit/clos_fabric.h"

struct world {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_buf errors;
	int rc;
};

/* 4 leaves per rail, 2 hosts per leaf, 2 rails, 2 planes: h0 … h7 with r0p0 … r1p1. */
static int make_world(void **state)
{
	struct c4_clos shape = {.leaves = 4, .spines = 2, .hosts_per_leaf = 2};
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	shape.rails = shape.planes = 2;
	clos_fabric(&w->f, shape);
	c4_demand_init(&w->d);
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_demand_release(&w->d);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->errors);
	free(w);
	return 0;
}

/* ---- model ----------------------------------------------------------------------------------- */

static void test_connections_take_their_qps_in_order(void **state)
{
	struct world *w = *state;
	struct c4_fault fault;
	int64_t job = c4_demand_job(&w->d, "a");

	assert_int_equal(job, 0);
	assert_int_equal(c4_demand_job(&w->d, "b"), 1);
	assert_int_equal(c4_demand_job(&w->d, "a"), 0);
	assert_int_equal(c4_demand_add(&w->d, "x", 0, 1, 2, 1, 3, &fault), 0);
	assert_int_equal(c4_demand_add(&w->d, "y", 1, 2, 1, 0.5, 2, &fault), 1);
	assert_int_equal(w->d.conns[1].first, 3);
	assert_int_equal(w->d.n_qps, 5);
	assert_string_equal(w->d.jobs[w->d.conns[1].job].name, "b");
	assert_true(w->d.jobs[0].intensity == 1);
}

static void test_a_refused_connection_changes_nothing(void **state)
{
	struct world *w = *state;
	struct c4_fault fault;

	c4_demand_job(&w->d, "a");
	c4_demand_add(&w->d, "x", 0, 1, 2, 1, 1, &fault);
	assert_int_equal(c4_demand_add(&w->d, "x", 0, 1, 2, 1, 1, &fault), -EEXIST);
	assert_non_null(strstr(fault.what, "connection 0"));
	assert_int_equal(c4_demand_add(&w->d, "", 0, 1, 2, 1, 1, &fault), -EINVAL);
	assert_int_equal(c4_demand_add(&w->d, "y", 7, 1, 2, 1, 1, &fault), -EINVAL);
	assert_int_equal(c4_demand_add(&w->d, "y", 0, 1, 2, 0, 1, &fault), -EINVAL);
	assert_int_equal(c4_demand_add(&w->d, "y", 0, 1, 2, NAN, 1, &fault), -EINVAL);
	assert_int_equal(c4_demand_add(&w->d, "y", 0, 1, 2, 1, 0, &fault), -EINVAL);
	assert_int_equal(c4_demand_add(&w->d, "y", 0, 1, 2, 1, 129, &fault), -EINVAL);
	assert_int_equal(w->d.n_conns, 1);
	assert_int_equal(w->d.n_qps, 1);
	assert_int_equal(c4_demand_add(&w->d, "y", 0, 1, 2, 1, 128, &fault), 1);
}

static void test_qps_of_all_at_once(void **state)
{
	struct world *w = *state;
	struct c4_fault fault;

	c4_demand_job(&w->d, "a");
	c4_demand_add(&w->d, "x", 0, 1, 2, 1, 3, &fault);
	c4_demand_add(&w->d, "y", 0, 1, 2, 1, 5, &fault);
	assert_int_equal(c4_demand_set_qps(&w->d, 0, &fault), -EINVAL);
	assert_int_equal(c4_demand_set_qps(&w->d, 129, &fault), -EINVAL);
	assert_int_equal(w->d.n_qps, 8);
	assert_int_equal(c4_demand_set_qps(&w->d, 7, &fault), 0);
	assert_int_equal(w->d.n_qps, 14);
	assert_int_equal(w->d.conns[1].first, 7);
	assert_int_equal(w->d.conns[1].qps, 7);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void read_text(struct world *w, const char *text)
{
	w->rc = c4_demand_json_read(&w->d, &w->f, "d.json", text, strlen(text), &w->errors);
}

/* Reads what must be refused, with these words among the errors. */
static void refuses(void **state, const char *text, const char *words)
{
	struct world *w = *state;

	w->errors.len = 0;
	if (w->errors.data)
		w->errors.data[0] = '\0';
	read_text(w, text);
	assert_int_equal(w->rc, -EINVAL);
	if (!strstr(c4_buf_str(&w->errors), words))
		fail_msg("\"%s\" is not in \"%s\"", words, c4_buf_str(&w->errors));
	assert_int_equal(w->d.n_conns, 0);
}

#define HEAD "{\"schema\":\"c4.demand/v1\","
#define CONN(fields)                                                                               \
	HEAD "\"connections\":[{\"id\":\"c\",\"src\":\"h0/r0p0\",\"dst\":\"h7/r0p0\"" fields "}]}"
#define JOB(fields) HEAD "\"jobs\":[{\"job\":\"j\"" fields "}]}"

static void test_json_connections(void **state)
{
	struct world *w = *state;

	read_text(w, HEAD "\"connections\":["
			  "{\"id\":\"c0\",\"src\":\"h0/r0p0\",\"dst\":\"h7/r0p0\"},\n"
			  "{\"id\":\"c1\",\"job\":\"j\",\"src\":\"h1/r1p1\",\"dst\":\"h2/r1p1\","
			  "\"weight\":0.25,\"qps\":4,\"note\":{\"deep\":[1,2]}}]}");
	assert_string_equal(c4_buf_str(&w->errors), "");
	assert_int_equal(w->rc, 0);
	assert_int_equal(w->d.n_conns, 2);
	assert_string_equal(w->d.jobs[w->d.conns[0].job].name, "default");
	assert_true(w->d.conns[0].weight == 1);
	assert_int_equal(w->d.conns[0].qps, 1);
	assert_string_equal(w->d.conns[1].id, "c1");
	assert_string_equal(w->d.jobs[w->d.conns[1].job].name, "j");
	assert_true(w->d.conns[1].weight == 0.25f);
	assert_int_equal(w->d.conns[1].qps, 4);
	assert_int_equal(w->d.conns[1].src, c4_fabric_nic(&w->f, "h1/r1p1"));
	assert_int_equal(w->d.conns[1].dst, c4_fabric_nic(&w->f, "h2/r1p1"));
}

static void test_json_jobs(void **state)
{
	struct world *w = *state;

	read_text(w,
		  HEAD "\"jobs\":["
		       "{\"job\":\"a\",\"members\":[\"h0\",\"h2\",\"h4\"],\"intensity\":3},"
		       "{\"job\":\"a\",\"pattern\":\"p2p\",\"members\":[\"h0/r0p0\",\"h2/r1p0\"],"
		       "\"pairs\":[[1,0]],\"weight\":2,\"qps\":2},"
		       "{\"job\":\"b\",\"intensity\":0.5}]}");
	assert_string_equal(c4_buf_str(&w->errors), "");
	assert_int_equal(w->rc, 0);
	assert_int_equal(w->d.n_conns, 3 * 4 + 1); /* a ring per rail and plane, and the pair */
	assert_string_equal(w->d.conns[0].id, "a:0>1/r0p0");
	assert_string_equal(w->d.conns[12].id, "a#1:1>0/r1p0");
	assert_int_equal(w->d.conns[12].src, c4_fabric_nic(&w->f, "h2/r1p0"));
	assert_true(w->d.conns[12].weight == 2);
	assert_int_equal(w->d.conns[12].qps, 2);
	assert_int_equal(w->d.n_jobs, 2);
	assert_true(w->d.jobs[0].intensity == 3);
	assert_true(w->d.jobs[1].intensity == 0.5);
}

static void test_json_syntax_has_line_and_column(void **state)
{
	refuses(state, "garbage", "d.json:1: column 1: 'g', expected '{'");
	refuses(state, "", "the text ends, expected '{'");
	refuses(state, HEAD "\n\"connections\":[\n{\"id\":\"c\",,}]}", "d.json:3: column 11:");
	refuses(state, HEAD "\"connections\":[{\"id\":\"c\"}\n {}]}",
		"d.json:2: column 2: '{', expected ',' or ']'");
	refuses(state, HEAD "\"connections\":[]", "the text ends, expected ',' or '}'");
	refuses(state, HEAD "\"connections\":[]} x", "'x', expected nothing after the object");
	refuses(state, HEAD "\"connections\":[\xff\xfe]}", "d.json:1: column");
	refuses(state, "{\"schema\":\"c4.demand/v1\" \"x\"}", "expected ',' or '}'");
	refuses(state, HEAD "7:8}", "expected a name in double quotes");
}

static void test_json_says_what_is_missing(void **state)
{
	refuses(state, "{}", "no \"schema\", expected \"c4.demand/v1\"");
	refuses(state, "{\"schema\":\"c4.demand/v1\"}", "neither \"connections\" nor \"jobs\"");
	refuses(state, "{\"schema\":\"c4.plan/v1\",\"jobs\":[]}",
		"schema \"c4.plan/v1\", expected");
	refuses(state, "{\"schema\":3,\"jobs\":[]}", "schema an integer, expected");
	refuses(state, HEAD "\"connections\":{}}",
		"\"connections\" is an object, expected an array");
	refuses(state, HEAD "\"connections\":[7]}",
		"connections[0]: an integer, expected an object");
	refuses(state, HEAD "\"connections\":[{\"src\":\"h0/r0p0\"}]}",
		"connections[0]: no \"id\", expected a name");
	refuses(state, HEAD "\"connections\":[{\"id\":\"c\",\"dst\":\"h0/r0p0\"}]}",
		"\"src\" is missing, expected \"host/nic\"");
}

static void test_json_says_what_is_wrong_with_a_connection(void **state)
{
	refuses(state,
		HEAD "\"connections\":[\n{\"id\":\"c7\",\"src\":\"h9/r0p0\","
		     "\"dst\":\"h0/r0p0\"}]}",
		"d.json:2: connections[0] (id \"c7\"): \"src\": no host \"h9\" in the fabric");
	refuses(state,
		HEAD "\"connections\":[{\"id\":\"c\",\"src\":\"h1/r9\",\"dst\":\"h0/r0p0\"}]}",
		"\"src\": host h1 has no NIC \"r9\"");
	refuses(state, HEAD "\"connections\":[{\"id\":\"c\",\"src\":\"h1\",\"dst\":\"h0/r0p0\"}]}",
		"host h1 has 4 NICs, expected one of them: \"h1/r0p0\"");
	refuses(state, CONN(",\"weight\":0"), "\"weight\" is 0, expected a number above 0");
	refuses(state, CONN(",\"weight\":-1.5"), "\"weight\" is -1.5, expected");
	refuses(state, CONN(",\"weight\":1e30"), "weight 1e+30, expected a number from");
	refuses(state, CONN(",\"weight\":\"1\""), "\"weight\" is a string, expected a number");
	refuses(state, CONN(",\"qps\":0"), "\"qps\" is 0, expected an integer from 1 to 128");
	refuses(state, CONN(",\"qps\":1.5"), "\"qps\" is a number, expected an integer");
	refuses(state, CONN(",\"qps\":99999999999"), "\"qps\" is 99999999999");
	refuses(state, CONN(",\"job\":\"\""), "\"job\" has 0 bytes, expected 1 to 255");
	refuses(state, CONN(",\"job\":[]"), "\"job\" is an array, expected a name in quotes");
	refuses(state, CONN("},{\"id\":\"c\",\"src\":\"h0/r0p0\",\"dst\":\"h7/r0p0\""),
		"connections[1] (id \"c\"): connection 0 has this id, too");
}

static void test_json_says_what_is_wrong_with_a_job(void **state)
{
	refuses(state, JOB(",\"members\":[\"h0\",\"h1\"],\"pattern\":\"star\""),
		"jobs[0] (job \"j\"): \"pattern\" is \"star\", expected ring, tree, all-to-all");
	refuses(state, JOB(",\"pattern\":\"ring\""), "\"members\" is missing, expected an array");
	refuses(state, JOB(",\"members\":[]"), "\"members\" is empty");
	refuses(state, JOB(",\"members\":[\"h0\",4]"), "\"members[1]\" is an integer");
	refuses(state, JOB(",\"members\":[\"h0\",\"zz\"]"), "\"members[1]\": no host \"zz\"");
	refuses(state, JOB(",\"members\":[\"h0\",\"h1\"],\"pattern\":\"p2p\""),
		"\"pairs\" is missing");
	refuses(state,
		JOB(",\"members\":[\"h0\",\"h1\"],\"pattern\":\"p2p\",\"pairs\":[[0,1],[0,2]]"),
		"\"pairs[1]\" is no pair of members, expected [from, to] with numbers from 0 to 1");
	refuses(state, JOB(",\"members\":[\"h0\"],\"intensity\":0"), "\"intensity\" is 0");
}

static void test_json_tells_many_mistakes_but_not_all(void **state)
{
	struct c4_buf text = {0};
	const char *said;
	int lines = 0;

	c4_buf_printf(&text, HEAD "\"connections\":[");
	for (int i = 0; i < 1000; i++)
		c4_buf_printf(&text, "%s\n{\"id\":\"c%d\"}", i ? "," : "", i);
	c4_buf_printf(&text, "]}");
	refuses(state, text.data, "d.json:21: connections[19]");
	said = c4_buf_str(&((struct world *)*state)->errors);
	for (const char *s = said; (s = strchr(s, '\n')); s++)
		lines++;
	assert_int_equal(lines, 21);
	assert_non_null(strstr(said, "980 more"));
	c4_buf_release(&text);
}

/* An array that is streamed and one that is not, beside each other and empty. */
static int count_item(void *arg, const struct c4_json_item *item)
{
	int *seen = arg;

	if (!strcmp(item->key, "a"))
		seen[item->value ? 1 : 0]++;
	else
		seen[2] += json_array_size(item->value) == 3;
	return 0;
}

static void test_walk_hands_over_elements(void **state)
{
	static const char *const streamed[] = {"a", NULL};
	const char *text = "{ \"a\" : [ ] , \"b\":[1,[],\"]\"] ,\"a\":[1 ,{\"x\":[]}, \"\\\"]\"]}";
	struct c4_json_mistake mistake;
	int seen[3] = {0};

	(void)state;
	assert_int_equal(c4_json_walk(text, strlen(text), streamed, count_item, seen, &mistake), 0);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 3);
	assert_int_equal(seen[2], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connections_take_their_qps_in_order),
		TEST(test_a_refused_connection_changes_nothing),
		TEST(test_qps_of_all_at_once),
		TEST(test_json_connections),
		TEST(test_json_jobs),
		TEST(test_json_syntax_has_line_and_column),
		TEST(test_json_says_what_is_missing),
		TEST(test_json_says_what_is_wrong_with_a_connection),
		TEST(test_json_says_what_is_wrong_with_a_job),
		TEST(test_json_tells_many_mistakes_but_not_all),
		cmocka_unit_test(test_walk_hands_over_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
