// SPDX-License-Identifier: BSD-3-Clause
/* The planner's HTTP interface, without sockets; workers run while the loop does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>

#include "common/base/clock.h"
#include "common/fmt.h"
#include "planner/daemon/api.h"
#include "planner/daemon/journal.h"
#include "tests/unit/planner_scene.h"

struct fixture {
	struct scene *s;
	uv_loop_t loop;
	struct c4_planner p;
	int status;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	scene_setup((void **)&f->s);
	uv_loop_init(&f->loop);
	*state = f;
	return 0;
}

static void start(struct fixture *f)
{
	const struct c4_planner_config config = {
		.engine = {.fabric = f->s->fabric, .state = f->s->state},
		.demand = f->s->demand,
		.interval_ns = 3600 * SECOND_NS, /* only what a test asks for happens */
	};

	assert_int_equal(
		c4_planner_init(&f->p, &f->loop, &config, NULL, c4_mono_ns(), c4_wall_ns()), 0);
}

/* Begins what is due and waits until the workers have nothing to do. */
static void settle(struct fixture *f)
{
	c4_planner_tick(&f->p, c4_mono_ns());
	uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->p.loop)
		c4_planner_release(&f->p);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	scene_teardown((void **)&f->s);
	free(f);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void add_param(struct c4_request *q, const char *key, const char *value)
{
	if (value)
		q->params[q->nparams++] = (struct c4_param){key, value};
}

static struct c4_buf answer(struct fixture *f, const struct c4_request *q)
{
	struct c4_response r = {0};

	c4_planner_api_handle(&f->p, q, c4_mono_ns(), &r);
	while (r.stream && r.stream->next(r.stream, &r.body))
		;
	if (r.stream)
		r.stream->free(r.stream);
	f->status = r.status;
	assert_false(r.body.failed);
	return r.body;
}

static json_t *get(struct fixture *f, const char *path, const char *since, const char *node,
		   const char *instance)
{
	struct c4_request q = {.method = "GET", .path = path, .type = "", .body = ""};
	struct c4_buf b;
	json_error_t e;
	json_t *j;

	add_param(&q, "since", since);
	add_param(&q, "node", node);
	add_param(&q, "instance", instance);
	b = answer(f, &q);
	j = json_loadb(c4_buf_str(&b), b.len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		fail_msg("%s: %s", e.text, c4_buf_str(&b));
	c4_buf_release(&b);
	return j;
}

static json_t *plan(struct fixture *f, const char *since, const char *node)
{
	json_t *j = get(f, "/api/v1/plan", since, node, NULL);

	assert_int_equal(f->status, 200);
	assert_string_equal(json_string_value(json_object_get(j, "schema")), "c4.plan/v1");
	return j;
}

static int post(struct fixture *f, const char *path, const char *body)
{
	struct c4_request q = {.method = "POST",
			       .path = path,
			       .type = "application/json",
			       .body = body,
			       .bytes = strlen(body)};
	struct c4_buf b = answer(f, &q);

	c4_buf_release(&b);
	return f->status;
}

static size_t length(const json_t *j, const char *key)
{
	const json_t *list = json_object_get(j, key);

	assert_true(json_is_array(list));
	return json_array_size(list);
}

static bool truth(const json_t *j, const char *key)
{
	return json_is_true(json_object_get(j, key));
}

static const char *version(const json_t *j, char text[32])
{
	snprintf(text, 32, "%" JSON_INTEGER_FORMAT,
		 json_integer_value(json_object_get(j, "version")));
	return text;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_whole_plan(void **state)
{
	struct fixture *f = *state;
	json_t *j, *r;

	start(f);
	settle(f);
	j = plan(f, NULL, NULL);
	assert_true(truth(j, "full"));
	assert_int_equal(length(j, "routes"), SCENE_HOSTS);
	assert_int_equal(length(j, "unplaced"), 0);
	assert_true(json_real_value(json_object_get(j, "max_link_load")) ==
		    json_real_value(json_object_get(j, "lower_bound")));
	r = json_array_get(json_object_get(j, "routes"), 0);
	assert_string_equal(json_string_value(json_object_get(r, "id")), "c0");
	assert_int_equal(length(r, "path"), 3);
	assert_int_equal(length(r, "backup"), 3);
	assert_true(json_is_null(json_object_get(r, "sport"))); /* no oracle */
	json_decref(j);
}

static void test_plan_of_a_node(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	start(f);
	settle(f);
	j = plan(f, NULL, "h3");
	assert_int_equal(length(j, "routes"), 1);
	assert_string_equal(json_string_value(json_object_get(j, "node")), "h3");
	json_decref(j);
	j = get(f, "/api/v1/plan", NULL, "h99", NULL);
	assert_int_equal(f->status, 404);
	json_decref(j);
}

static void test_since(void **state)
{
	struct fixture *f = *state;
	char first[32], now[32];
	json_t *j;

	start(f);
	settle(f);
	j = plan(f, NULL, NULL);
	version(j, first);
	json_decref(j);
	j = plan(f, first, NULL);
	assert_true(truth(j, "unchanged") && !truth(j, "full"));
	assert_int_equal(length(j, "routes"), 0);
	json_decref(j);

	assert_int_equal(
		post(f, "/api/v1/links", "{\"a\":\"leaf0\",\"b\":\"spine1\",\"now_gbps\":0}"), 202);
	settle(f);
	j = plan(f, first, NULL);
	assert_false(truth(j, "unchanged") || truth(j, "full"));
	assert_int_equal(length(j, "moves"), 2);
	assert_true(length(j, "routes") >= 2 && length(j, "routes") < SCENE_HOSTS);
	assert_string_not_equal(version(j, now), first);
	json_decref(j);
	j = plan(f, "12345", NULL); /* nobody's */
	assert_true(truth(j, "full"));
	assert_int_equal(length(j, "routes"), SCENE_HOSTS);
	assert_int_equal(length(j, "moves"), 2);
	json_decref(j);
}

static void test_removed(void **state)
{
	struct fixture *f = *state;
	char first[32];
	json_t *j;

	start(f);
	settle(f);
	j = plan(f, NULL, NULL);
	version(j, first);
	json_decref(j);
	scene_write_demand(f->s, 0, 10, 5, 1);
	assert_int_equal(post(f, "/api/v1/reload", ""), 202);
	settle(f);
	j = plan(f, first, NULL);
	assert_int_equal(length(j, "removed"), 6);
	assert_int_equal(length(j, "moves"), 0);
	json_decref(j);
	j = plan(f, first, "h12");
	assert_int_equal(length(j, "removed"), 1);
	assert_int_equal(length(j, "routes"), 0);
	json_decref(j);
}

static void test_versions_of_another_instance(void **state)
{
	struct fixture *f = *state;
	char first[32];
	json_t *j;

	start(f);
	settle(f);
	j = plan(f, NULL, NULL);
	version(j, first);
	json_decref(j);
	j = get(f, "/api/v1/plan", first, NULL, "0123456789abcdef");
	assert_true(truth(j, "full"));
	json_decref(j);
	j = get(f, "/api/v1/plan", first, NULL, f->p.instance);
	assert_false(truth(j, "full"));
	json_decref(j);
}

static void test_bad_queries(void **state)
{
	static const char *const bad[] = {
		"", "x", "-1", "1.5", "1e3", " 1", "99999999999999999999999"};
	struct fixture *f = *state;

	start(f);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_decref(get(f, "/api/v1/plan", bad[i], NULL, NULL));
		assert_int_equal(f->status, 400);
	}
	json_decref(get(f, "/api/v1/nothing", NULL, NULL, NULL));
	assert_int_equal(f->status, 404);
	json_decref(get(f, "/api/v1/reload", NULL, NULL, NULL));
	assert_int_equal(f->status, 405);
	assert_int_equal(post(f, "/api/v1/plan", ""), 405);
}

static void test_bad_link_reports(void **state)
{
	static const struct {
		const char *body;
		int status;
	} bad[] = {
		{"", 400},
		{"[]", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\"}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":\"0\"}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":-1}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":401}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":1e999}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":0,\"parallel\":1}", 404},
		{"{\"a\":\"leaf0\",\"b\":\"spine0\",\"now_gbps\":0,\"parallel\":-1}", 400},
		{"{\"a\":\"leaf0\",\"b\":\"leaf1\",\"now_gbps\":0}", 404},
		{"{\"a\":\"leaf0\",\"b\":\"h0\",\"now_gbps\":0}", 404},
		{"{\"a\":\"leaf0\",\"b\":\"nobody\",\"now_gbps\":0}", 404},
	};
	struct fixture *f = *state;
	char *large = calloc(1, C4_PLANNER_BODY_MAX + 2);

	start(f);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(post(f, "/api/v1/links", bad[i].body), bad[i].status);
	memset(large, ' ', C4_PLANNER_BODY_MAX + 1);
	assert_int_equal(post(f, "/api/v1/links", large), 413);
	free(large);
	assert_int_equal(f->p.n_reports, 0);
}

/* Reports of one link replace each other while they wait. */
static void test_reports_coalesce(void **state)
{
	struct fixture *f = *state;
	char body[128];

	start(f);
	settle(f);
	f->p.ending = true; /* nothing is begun: they wait */
	for (int i = 0; i < 5000; i++) {
		snprintf(body, sizeof body, "{\"a\":\"leaf%d\",\"b\":\"spine1\",\"now_gbps\":%d}",
			 i % 4, i % 400);
		assert_int_equal(post(f, "/api/v1/links", body), 202);
	}
	assert_int_equal(f->p.n_reports, 4);
	f->p.ending = false;
	settle(f);
	assert_int_equal(f->p.n_reports, 0);
	assert_int_equal(f->p.edition->links.n, 4);
}

static void test_idle_without_a_fabric(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	assert_int_equal(remove(f->s->fabric), 0);
	start(f);
	settle(f);
	j = plan(f, NULL, "h0");
	assert_string_equal(json_string_value(json_object_get(j, "standing")), "no-fabric");
	assert_int_equal(length(j, "routes"), 0);
	json_decref(j);
	assert_int_equal(
		post(f, "/api/v1/links", "{\"a\":\"leaf0\",\"b\":\"spine1\",\"now_gbps\":0}"), 503);
	j = get(f, "/healthz", NULL, NULL, NULL);
	assert_int_equal(f->status, 200);
	assert_string_equal(json_string_value(json_object_get(j, "status")), "idle");
	json_decref(j);
	scene_write_fabric(f->s, &scene_shape);
	assert_int_equal(post(f, "/api/v1/reload", ""), 202);
	settle(f);
	j = plan(f, NULL, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "standing")), "ok");
	assert_int_equal(length(j, "routes"), SCENE_HOSTS);
	json_decref(j);
}

static const char *reason(const json_t *health, const char *part)
{
	return json_string_value(json_object_get(json_object_get(health, "reasons"), part));
}

static void test_health_tells_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	start(f);
	settle(f);
	j = get(f, "/healthz", NULL, NULL, NULL);
	assert_int_equal(f->status, 200);
	assert_string_equal(json_string_value(json_object_get(j, "status")), "ok");
	json_decref(j);
	scene_write_text(f->s->fabric, "what: ever\n");
	scene_write_text(f->s->demand, "{");
	post(f, "/api/v1/reload", "");
	settle(f);
	j = get(f, "/healthz", NULL, NULL, NULL);
	assert_int_equal(f->status, 503);
	assert_non_null(strstr(reason(j, "fabric"), "fabric.yaml"));
	assert_non_null(strstr(reason(j, "demand"), "demand.json"));
	json_decref(j);
	j = plan(f, NULL, NULL); /* as before */
	assert_int_equal(length(j, "routes"), SCENE_HOSTS);
	json_decref(j);
	scene_write_fabric(f->s, &scene_shape);
	scene_write_demand(f->s, 0, SCENE_HOSTS, 5, 1);
	post(f, "/api/v1/reload", "");
	settle(f);
	json_decref(get(f, "/healthz", NULL, NULL, NULL));
	assert_int_equal(f->status, 200);
}

static void test_unwritable_state(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	strcat(f->s->state, "/not/here");
	start(f);
	settle(f);
	j = get(f, "/healthz", NULL, NULL, NULL);
	assert_int_equal(f->status, 503);
	assert_non_null(strstr(reason(j, "state"), "/not/here"));
	json_decref(j);
	j = plan(f, NULL, NULL);
	assert_int_equal(length(j, "routes"), SCENE_HOSTS);
	json_decref(j);
}

/* An answer that is being sent is of one plan, whatever happens meanwhile. */
static void test_answer_under_way(void **state)
{
	struct c4_request q = {.method = "GET", .path = "/api/v1/plan", .type = "", .body = ""};
	struct fixture *f = *state;
	struct c4_response r = {0};
	json_t *j;

	scene_write_demand(f->s, 0, 2000, 5, 1);
	start(f);
	settle(f);
	c4_planner_api_handle(&f->p, &q, c4_mono_ns(), &r);
	assert_true(r.stream->next(r.stream, &r.body));
	scene_write_demand(f->s, 0, 3, 5, 1);
	post(f, "/api/v1/reload", "");
	settle(f);
	while (r.stream->next(r.stream, &r.body))
		;
	r.stream->free(r.stream);
	j = json_loadb(c4_buf_str(&r.body), r.body.len, 0, NULL);
	assert_int_equal(length(j, "routes"), 2000);
	json_decref(j);
	c4_buf_release(&r.body);
	j = plan(f, NULL, NULL);
	assert_int_equal(length(j, "routes"), 3);
	json_decref(j);
}

static void test_names_are_quoted(void **state)
{
	struct fixture *f = *state;
	json_t *j;

	scene_write_text(f->s->demand,
			 "{\"schema\":\"c4.demand/v1\",\"connections\":[{\"id\":\"a\\\"\\\\\\u00e9/"
			 "\\u20ac\",\"job\":\"j\",\"src\":\"h0/r0p0\",\"dst\":\"h5/r0p0\","
			 "\"weight\":1,\"qps\":1}]}");
	start(f);
	settle(f);
	j = plan(f, NULL, NULL);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(j, "routes"), 0), "id")),
			    "a\"\\\xc3\xa9/\xe2\x82\xac");
	json_decref(j);
}

static void test_metrics(void **state)
{
	struct c4_request q = {.method = "GET", .path = "/metrics", .type = "", .body = ""};
	struct fixture *f = *state;
	struct c4_buf b;

	start(f);
	settle(f);
	b = answer(f, &q);
	assert_int_equal(f->status, 200);
	assert_non_null(strstr(b.data, "\nc4_plan_routes 16\n"));
	assert_non_null(strstr(b.data, "\nc4_plan_moves_total{reason=\"link-down\"} 0\n"));
	assert_non_null(strstr(b.data, "\nc4_plan_max_link_load 1\n"));
	c4_buf_release(&b);
}

/* ---- journal --------------------------------------------------------------------------------- */

static void add_delta(struct c4_journal *j, uint64_t v, uint64_t follows, uint32_t moves)
{
	struct c4_delta *d = c4_delta_new(v, follows, NULL, NULL);
	const struct c4_shift m = {.id = "x", .why = C4_SHIFT_ARRIVAL};

	for (uint32_t i = 0; i < moves; i++)
		c4_delta_move(d, &m);
	c4_journal_add(j, d);
	c4_delta_drop(d);
}

static void test_journal_is_bounded(void **state)
{
	struct c4_journal j = {0};

	(void)state;
	for (uint64_t v = 2; v < 200; v++)
		add_delta(&j, v, v - 1, 1);
	assert_int_equal(j.n, C4_JOURNAL_DELTAS);
	assert_int_equal(c4_journal_since(&j, 199), C4_JOURNAL_DELTAS);
	assert_int_equal(c4_journal_since(&j, 198), C4_JOURNAL_DELTAS - 1);
	assert_int_equal(c4_journal_since(&j, 199 - C4_JOURNAL_DELTAS), 0);
	assert_int_equal(c4_journal_since(&j, 199 - C4_JOURNAL_DELTAS - 1), -1);
	assert_int_equal(c4_journal_since(&j, 0), -1);
	add_delta(&j, 300, 299, 1); /* something is missing in between */
	assert_int_equal(c4_journal_since(&j, 199), -1);
	assert_int_equal(c4_journal_since(&j, 299), 0);
	for (uint64_t v = 301; v < 310; v++)
		add_delta(&j, v, v - 1, C4_DELTA_MAX + 5);
	assert_true(j.n <= 3);
	assert_int_equal(j.deltas[j.n - 1]->moves_untold, 5);
	assert_int_equal(c4_journal_since(&j, 309), (int)j.n);
	c4_journal_release(&j);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_whole_plan),
		T(test_plan_of_a_node),
		T(test_since),
		T(test_removed),
		T(test_versions_of_another_instance),
		T(test_bad_queries),
		T(test_bad_link_reports),
		T(test_reports_coalesce),
		T(test_idle_without_a_fabric),
		T(test_health_tells_what_is_wrong),
		T(test_unwritable_state),
		T(test_answer_under_way),
		T(test_names_are_quoted),
		T(test_metrics),
		cmocka_unit_test(test_journal_is_bounded),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
