// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/plan_json.h"
#include "planner/io/plan_read.h"
#include "tests/unit/clos_fabric.h"

struct world {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
	char *text;
	size_t n;
	struct c4_buf errors;
};

static uint32_t sw(const struct world *w, const char *name)
{
	uint32_t s = c4_fabric_switch(&w->f, name);

	assert_int_not_equal(s, C4_NONE);
	return s;
}

static void add(struct world *w, const char *id, const char *src, const char *dst, double weight,
		uint32_t qps)
{
	struct c4_fault fault;

	assert_true(c4_demand_add(&w->d, id, (uint32_t)c4_demand_job(&w->d, "job \"1\""),
				  c4_fabric_nic(&w->f, src), c4_fabric_nic(&w->f, dst), weight, qps,
				  &fault) >= 0);
}

/*
 * Two pods of two leaves and two spines, two cores per group, a second link leaf0–spine0.
 * One connection of each kind of route; the last QP has no place.
 */
static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct c4_fault fault;

	assert_non_null(w);
	clos_fabric(&w->f,
		    (struct c4_clos){.leaves = 4, .spines = 2, .hosts_per_leaf = 2, .pods = 2});
	free(w->f.link_of);
	free(w->f.link_at);
	w->f.link_of = w->f.link_at = NULL;
	assert_true(c4_fabric_add_link(&w->f, "leaf0", "spine0", 400, 400, &fault) >= 0);
	assert_int_equal(c4_fabric_finish(&w->f, &fault), 0);
	c4_demand_init(&w->d);
	add(w, "local", "h0", "h1", 1, 1);
	add(w, "near\n", "h0", "h2", 2, 2);
	add(w, "far", "h0", "h7", 1, 1);
	add(w, "lost", "h3", "h4", 1, 1);
	assert_int_equal(c4_plan_init(&w->p, &w->d), 0);
	w->p.routes[0].state = C4_ROUTE_LOCAL;
	w->p.routes[1] = (struct c4_route){.state = C4_ROUTE_SPINE,
					   .up = (uint16_t)sw(w, "spine0"),
					   .down = (uint16_t)sw(w, "spine0"),
					   .parallel_up = 1,
					   .sport = 0xC001,
					   .share = 0.75f};
	w->p.routes[2] = (struct c4_route){.state = C4_ROUTE_SPINE,
					   .up = (uint16_t)sw(w, "spine1"),
					   .down = (uint16_t)sw(w, "spine1"),
					   .sport = 0xC000,
					   .share = 0.25f};
	w->p.routes[3] = (struct c4_route){.state = C4_ROUTE_CORE,
					   .up = (uint16_t)sw(w, "spine1"),
					   .core = (uint16_t)sw(w, "core3"),
					   .down = (uint16_t)sw(w, "spine3"),
					   .sport = 0xFFFF,
					   .share = 1};
	w->p.routes[4].state = C4_ROUTE_NO_PATH;
	w->p.n_unplaced = 1;
	w->p.max_load = 1.5;
	w->p.lower_bound = 1.25;
	w->p.max_util = INFINITY;
	w->p.util_bound = 1;
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	free(w->text);
	c4_plan_release(&w->p);
	c4_demand_release(&w->d);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->errors);
	free(w);
	return 0;
}

/* The plan's text, kept; and as a tree, the caller's. */
static json_t *write_plan(struct world *w, const struct c4_plan *previous, const double *load)
{
	const struct c4_plan_json what = {.f = &w->f,
					  .d = &w->d,
					  .p = &w->p,
					  .previous = previous,
					  .load = load,
					  .oracle = "xor"};
	FILE *f;
	json_t *j;

	free(w->text);
	f = open_memstream(&w->text, &w->n);
	assert_non_null(f);
	assert_int_equal(c4_plan_json_write(f, &what), 0);
	fclose(f);
	j = json_loadb(w->text, w->n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	return j;
}

static void assert_json(const json_t *o, const char *key, const char *want)
{
	char *text = json_dumps(json_object_get(o, key), JSON_COMPACT | JSON_ENCODE_ANY);

	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void test_every_kind_of_route_is_written(void **state)
{
	struct world *w = *state;
	json_t *j = write_plan(w, NULL, NULL), *routes = json_object_get(j, "routes");
	const json_t *r;

	assert_json(j, "schema", "\"c4.plan/v1\"");
	assert_json(j, "max_link_load", "1.5");
	assert_json(j, "lower_bound", "1.25");
	assert_json(j, "max_utilization", "null");
	assert_json(j, "utilization_bound", "1");
	assert_json(j, "oracle", "\"xor\"");
	assert_json(j, "unplaced", "[{\"id\":\"lost\",\"qp\":0,\"reason\":\"no-path\"}]");
	assert_null(json_object_get(j, "links"));
	assert_null(json_object_get(j, "moves"));
	assert_int_equal(json_array_size(routes), 4);

	r = json_array_get(routes, 0);
	assert_json(r, "id", "\"local\"");
	assert_json(r, "job", "\"job \\\"1\\\"\"");
	assert_json(r, "path", "[\"leaf0\"]");
	assert_json(r, "sport", "null");
	assert_json(r, "flow_label", "null");
	r = json_array_get(routes, 1);
	assert_json(r, "id", "\"near\\n\"");
	assert_json(r, "qp", "0");
	assert_json(r, "plane", "0");
	assert_json(r, "path", "[\"leaf0\",\"spine0\",\"leaf1\"]");
	assert_json(r, "parallel", "[1,0]");
	assert_json(r, "load", "1.5");
	assert_json(r, "sport", "49153");
	assert_json(r, "flow_label", "1");
	r = json_array_get(routes, 2);
	assert_json(r, "qp", "1");
	assert_null(json_object_get(r, "parallel"));
	assert_json(r, "load", "0.5");
	assert_json(r, "flow_label", "16385"); /* 0 would mean: any */
	r = json_array_get(routes, 3);
	assert_json(r, "path", "[\"leaf0\",\"spine1\",\"core3\",\"spine3\",\"leaf3\"]");
	json_decref(j);
}

static void test_links_on_demand(void **state)
{
	struct world *w = *state;
	double *load = calloc(2 * w->f.n_links, sizeof *load);
	double sum = 0;
	const json_t *l;
	json_t *j;
	size_t i;

	c4_plan_measure(&w->f, &w->d, &w->p, load);
	j = write_plan(w, NULL, load);
	assert_int_equal(json_array_size(json_object_get(j, "links")), w->f.n_links);
	json_array_foreach(json_object_get(j, "links"), i, l) sum +=
		json_number_value(json_object_get(l, "load_up")) +
		json_number_value(json_object_get(l, "load_down"));
	assert_true(sum == 2 * 1.5 + 2 * 0.5 + 4);
	l = json_array_get(json_object_get(j, "links"), w->f.n_links - 1); /* the parallel one */
	assert_json(l, "a", "\"leaf0\"");
	assert_json(l, "b", "\"spine0\"");
	assert_json(l, "gbps", "400");
	assert_json(l, "now_gbps", "400");
	assert_json(l, "load_up", "1.5");
	assert_json(l, "load_down", "0");
	json_decref(j);
	free(load);
}

static void test_moves_say_why(void **state)
{
	struct world *w = *state;
	struct c4_plan before;
	const json_t *moves;
	json_t *j;

	assert_int_equal(c4_plan_init(&before, &w->d), 0);
	memcpy(before.routes, w->p.routes, w->d.n_qps * sizeof *before.routes);
	before.routes[0].state = C4_ROUTE_NONE; /* had none: not a move */
	w->p.routes[1].parallel_up = 0;
	w->p.routes[2].up = w->p.routes[2].down = (uint16_t)sw(w, "spine0");
	w->p.routes[3].core = (uint16_t)sw(w, "core2");
	for (uint32_t i = 0; i < w->f.n_links; i++)
		if (w->f.links[i].b == sw(w, "core3"))
			w->f.links[i].now_gbps = 100;
		else if (w->f.links[i].a == sw(w, "leaf1") && w->f.links[i].b == sw(w, "spine1"))
			w->f.links[i].now_gbps = 0;
	j = write_plan(w, &before, NULL);
	moves = json_object_get(j, "moves");
	assert_int_equal(json_array_size(moves), 3);
	assert_json(json_array_get(moves, 0), "reason", "\"rebalance\"");
	assert_json(json_array_get(moves, 1), "reason", "\"link-down\"");
	assert_json(json_array_get(moves, 1), "qp", "1");
	assert_json(json_array_get(moves, 1), "from", "[\"leaf0\",\"spine1\",\"leaf1\"]");
	assert_json(json_array_get(moves, 1), "to", "[\"leaf0\",\"spine0\",\"leaf1\"]");
	assert_json(json_array_get(moves, 2), "reason", "\"link-weak\"");
	json_decref(j);
	c4_plan_release(&before);
}

static void test_a_stream_that_fails_is_told(void **state)
{
	struct world *w = *state;
	const struct c4_plan_json what = {.f = &w->f, .d = &w->d, .p = &w->p};
	FILE *f = fopen("/dev/full", "w");

	if (!f)
		skip();
	assert_int_equal(c4_plan_json_write(f, &what), -ENOSPC);
	fclose(f);
}

/* ---- reading back ---------------------------------------------------------------------------- */

static void test_what_was_written_is_read_again(void **state)
{
	struct world *w = *state;
	struct c4_plan again;
	uint64_t unknown = 7;

	json_decref(write_plan(w, NULL, NULL));
	assert_int_equal(c4_plan_read_onto(&w->f, &w->d, "p.json", w->text, w->n, &again, &unknown,
					   &w->errors),
			 0);
	assert_int_equal(unknown, 0);
	for (uint32_t i = 0; i < 4; i++) {
		const struct c4_route *a = &w->p.routes[i], *b = &again.routes[i];

		assert_int_equal(a->state, b->state);
		assert_int_equal(a->up, b->up);
		assert_int_equal(a->core, b->core);
		assert_int_equal(a->down, b->down);
		assert_int_equal(a->sport, b->sport);
		assert_int_equal(a->parallel_up, b->parallel_up);
		assert_true(a->share == b->share);
	}
	assert_int_equal(again.routes[4].state, C4_ROUTE_NONE);
	c4_plan_release(&again);
}

/* One route of connection "far" onto the demand: whether it is believed. */
static bool believed(struct world *w, const char *fields)
{
	struct c4_buf text = {0};
	struct c4_plan p;
	uint64_t unknown;
	bool yes;

	c4_buf_printf(&text, "{\"schema\":\"c4.plan/v1\",\"routes\":[{\"id\":\"far\",%s}]}",
		      fields);
	assert_int_equal(c4_plan_read_onto(&w->f, &w->d, "p.json", text.data, text.len, &p,
					   &unknown, &w->errors),
			 0);
	yes = p.routes[3].state != C4_ROUTE_NONE;
	assert_int_equal(unknown, !yes);
	c4_plan_release(&p);
	c4_buf_release(&text);
	return yes;
}

static void test_nothing_is_believed_that_cannot_be(void **state)
{
	struct world *w = *state;
#define WAY "\"path\":[\"leaf0\",\"spine1\",\"core3\",\"spine3\",\"leaf3\"]"

	assert_true(believed(w, "\"qp\":0," WAY));
	assert_false(believed(w, "\"qp\":1," WAY));
	assert_false(believed(w, "\"qp\":0,\"path\":[]"));
	assert_false(believed(w, "\"qp\":0,\"path\":[\"leaf0\"]"));
	assert_false(believed(w, "\"qp\":0,\"path\":[\"leaf0\",\"spine1\",\"leaf3\"]"));
	assert_false(believed(w, "\"path\":[\"leaf1\",\"spine1\",\"core3\",\"spine3\",\"leaf3\"]"));
	assert_false(believed(w, "\"path\":[\"leaf0\",\"core3\",\"spine1\",\"spine3\",\"leaf3\"]"));
	assert_false(believed(w, "\"path\":[\"leaf0\",\"spine1\",\"core0\",\"spine3\",\"leaf3\"]"));
	assert_false(believed(w, "\"path\":[\"leaf0\",\"nobody\",\"core3\",\"spine3\",\"leaf3\"]"));
	assert_false(believed(w, WAY ",\"parallel\":[9,0,0,0]"));
	assert_false(believed(w, WAY ",\"parallel\":[0,16,0,0]"));
#undef WAY
}

static void refuses(struct world *w, const char *text, const char *words)
{
	const struct c4_plan_visitor v = {0};
	struct c4_plan_summary sum;

	c4_buf_release(&w->errors);
	assert_int_equal(c4_plan_read("p.json", text, strlen(text), &v, &sum, &w->errors), -EINVAL);
	if (!strstr(c4_buf_str(&w->errors), words))
		fail_msg("\"%s\" is not in \"%s\"", words, c4_buf_str(&w->errors));
}

static void test_what_is_no_plan_is_refused(void **state)
{
	struct world *w = *state;
#define HEAD "{\"schema\":\"c4.plan/v1\",\n\"routes\":["

	refuses(w, "no", "p.json:1: column 1:");
	refuses(w, "{}", "no \"schema\", expected \"c4.plan/v1\"");
	refuses(w, "{\"schema\":\"c4.demand/v1\"}", "not a plan, expected");
	refuses(w, "{\"schema\":\"c4.plan/v1\",\"routes\":3}", "expected an array");
	refuses(w, HEAD "{}]}", "p.json:2: routes[0]: no \"id\"");
	refuses(w, HEAD "{\"id\":\"a\",\"qp\":-1}]}",
		"p.json:2: routes[0] (id \"a\"): \"qp\", expected");
	refuses(w, HEAD "{\"job\":\"j\"}]}", "p.json:2: routes[0] (job \"j\"): no \"id\"");
	refuses(w, HEAD "7]}", "p.json:2: routes[0]: no \"id\"");
	refuses(w, HEAD "{\"id\":\"a\",\"qp\":128}]}", "\"qp\", expected");
	refuses(w, HEAD "{\"id\":\"a\",\"sport\":65536}]}", "\"sport\", expected");
	refuses(w, HEAD "{\"id\":\"a\",\"path\":[1]}]}", "expected the path");
	refuses(w, HEAD "{\"id\":\"a\",\"path\":[\"1\",\"\",\"\",\"\",\"\",\"\"]}]}",
		"expected the path");
	refuses(w, HEAD "{\"id\":\"a\",\"parallel\":[256]}]}", "\"parallel\", expected");
#undef HEAD
}

static int stop_at_two(void *arg, const struct c4_plan_record *r)
{
	uint32_t *n = arg;

	assert_non_null(r->id);
	return ++*n == 2 ? 9 : 0;
}

static void test_summary_and_visitors(void **state)
{
	struct world *w = *state;
	uint32_t n = 0;
	struct c4_plan_visitor v = {0};
	struct c4_plan_summary sum;

	json_decref(write_plan(w, NULL, NULL));
	assert_int_equal(c4_plan_read("p.json", w->text, w->n, &v, &sum, &w->errors), 0);
	assert_int_equal(sum.n_routes, 4);
	assert_int_equal(sum.n_unplaced, 1);
	assert_int_equal(sum.n_moves, 0);
	assert_true(sum.max_load == 1.5 && sum.lower_bound == 1.25 && isnan(sum.max_util));
	v.route = stop_at_two;
	v.arg = &n;
	assert_int_equal(c4_plan_read("p.json", w->text, w->n, &v, &sum, &w->errors), 9);
	assert_int_equal(n, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind_of_route_is_written),
		TEST(test_links_on_demand),
		TEST(test_moves_say_why),
		TEST(test_a_stream_that_fails_is_told),
		TEST(test_what_was_written_is_read_again),
		TEST(test_nothing_is_believed_that_cannot_be),
		TEST(test_what_is_no_plan_is_refused),
		TEST(test_summary_and_visitors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
