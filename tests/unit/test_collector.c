// SPDX-License-Identifier: BSD-3-Clause
/* The collector as a whole but for its sockets: posts in, judgements and JSON out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "collector/api.h"
#include "collector/collector.h"
#include "common/log.h"
#include "tests/unit/collector_post.h"

#define S     1000000000ull
#define MS    1000000ull
#define WALL  (1700000000ull * S)
#define WORLD 0xabcdull
#define RANKS 4u

struct fixture {
	struct c4_collector c;
	uint64_t mono;
	uint64_t seq[RANKS];
	uint64_t ops;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	c4_log_set_level(C4_LOG_ERROR);
	f->mono = 5000 * S;
	assert_int_equal(c4_collector_init(&f->c, NULL, NULL, 3600 * S, f->mono, WALL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	c4_collector_release(&f->c, f->mono, WALL + f->mono);
	free(f);
	return 0;
}

/* ---- a job ----------------------------------------------------------------------------------- */

static C4__V1__Process *begin_post(struct fixture *f, uint32_t rank, C4__V1__Post **p)
{
	C4__V1__Process *x;

	*p = post_new(100 + rank, ++f->seq[rank]);
	x = post_process(*p, 1);
	x->alive_ns = f->mono - 5000 * S + S;
	if (f->seq[rank] == 1)
		post_identity(x, "train", rank, RANKS);
	return x;
}

static void end_post(struct fixture *f, C4__V1__Post *p)
{
	struct c4_ingest_answer answer;
	size_t n;
	uint8_t *buf = post_pack(p, &n);

	assert_int_equal(c4_collector_post(&f->c, buf, n, f->mono, WALL + f->mono, &answer),
			 C4_POST_OK);
	free(buf);
	post_free(p);
}

static void tell_progress(struct fixture *f, C4__V1__Process *x, uint32_t rank, uint64_t inside_ns)
{
	C4__V1__Comm *c = post_comm(x, WORLD, f->ops + 100, f->ops + 100);

	if (f->seq[rank] == 1)
		post_text(&post_members(c, RANKS, rank, 0, 1)->name, "world");
	post_block(x, WORLD, f->ops, 100, inside_ns);
}

static void ticks(struct fixture *f, unsigned int n)
{
	while (n--) {
		f->mono += C4_TICK_MS * MS;
		c4_collector_tick(&f->c, f->mono, WALL + f->mono);
	}
}

/* A second of a healthy job: 100 operations; rank `late` (-1: none) comes 3 ms late each time. */
static void one_second(struct fixture *f, int late)
{
	for (uint32_t r = 0; r < RANKS; r++) {
		C4__V1__Post *p;
		bool waits = late >= 0 && r != (uint32_t)late;

		tell_progress(f, begin_post(f, r, &p), r, waits ? 3100000 : 100000);
		end_post(f, p);
	}
	f->ops += 100;
	ticks(f, 4);
}

static void end_job(struct fixture *f, uint32_t phase)
{
	for (uint32_t r = 0; r < RANKS; r++) {
		C4__V1__Post *p;
		C4__V1__Process *x = begin_post(f, r, &p);

		x->run = C4__V1__PROCESS__RUN__RUN_GONE;
		x->phase = phase;
		x->gone_age_ns = (RANKS - r) * 10 * MS;
		end_post(f, p);
	}
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The whole body, streamed or not, in r->body. */
static void drain(struct c4_response *r)
{
	if (!r->stream)
		return;
	while (r->stream->next(r->stream, &r->body))
		;
	r->stream->free(r->stream);
}

static json_t *ask(struct fixture *f, int want, const char *path, const char *key,
		   const char *value)
{
	struct c4_request q = {.method = "GET", .path = path, .type = "", .body = ""};
	struct c4_response r = {0};
	json_t *j;

	if (key)
		q.params[q.nparams++] = (struct c4_param){key, value};
	c4_api_handle(&f->c, &q, f->mono, WALL + f->mono, &r);
	assert_int_equal(r.status, want);
	assert_string_equal(r.type, "application/json");
	drain(&r);
	j = json_loadb(r.body.data, r.body.len, 0, NULL);
	assert_non_null(j);
	c4_buf_release(&r.body);
	return j;
}

/* The list under `name` of /api/v1/`name`; the caller drops *ret_whole. */
static json_t *list(struct fixture *f, const char *name, json_t **ret_whole)
{
	char path[64];

	snprintf(path, sizeof path, "/api/v1/%s", name);
	*ret_whole = ask(f, 200, path, NULL, NULL);
	return json_object_get(*ret_whole, name);
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

static json_int_t num(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

/* Every documented field is there and of its kind: s string, i integer, r real or null, a array,
 * o object or null, t time or null. */
static void has_fields(const json_t *o, const char *const *fields)
{
	for (; *fields; fields++) {
		const json_t *v = json_object_get(o, *fields + 2);
		bool ok = false;

		switch ((*fields)[0]) {
		case 's': ok = json_is_string(v); break;
		case 'i': ok = json_is_integer(v); break;
		case 'r': ok = json_is_number(v) || json_is_null(v); break;
		case 'a': ok = json_is_array(v); break;
		case 'o': ok = json_is_object(v) || json_is_null(v); break;
		case 't': ok = json_is_string(v) || json_is_null(v); break;
		}
		if (!ok)
			fail_msg("field %s is missing or of another kind", *fields + 2);
	}
}

static const char *const job_fields[] = {
	"s job", "s state",   "i ranks",     "i ranks_seen", "a nodes",	    "i communicators",
	"i ops", "r step_ms", "i incidents", "t started",    "t last_seen", NULL};
static const char *const rank_fields[] = {
	"s job", "i rank",	"s node",	"s host",	 "i pid",    "s program", "s state",
	"r cpu", "r own_share", "r wait_share", "r lateness_ms", "o inside", NULL};
static const char *const comm_fields[] = {
	"s job",	 "s id",	  "s name",	    "i size",
	"a members",	 "i ops",	  "i bytes",	    "r time_share",
	"r algbw_gbps",	 "r busbw_gbps",  "i p2p_messages", "i p2p_bytes",
	"i entered_min", "i entered_max", "a latest",	    NULL};
static const char *const report_fields[] = {
	"s schema",	   "s job",	  "s state",	 "i ranks",
	"i ranks_seen",	   "i nodes",	  "t started",	 "r duration_s",
	"a communicators", "a rank_list", "a node_list", "o losses",
	"a incidents",	   NULL};
static const char *const report_comm_fields[] = {
	"s name",	"s id",		"i size",	  "i ops",	 "i bytes",  "r time_share",
	"r algbw_gbps", "r busbw_gbps", "i p2p_messages", "i p2p_bytes", "a latest", NULL};
static const char *const loss_fields[] = {
	"i events",   "i communicators", "i members",	   "i threads",
	"i requests", "i posts",	 "i bad_segments", NULL};
static const char *const incident_fields[] = {
	"s schema",   "s id",	      "s job",	     "s kind",	    "s state",
	"o culprit",  "r confidence", "s severity",  "s summary",   "s recommended_action",
	"a evidence", "t first_seen", "t confirmed", "i detect_ms", NULL};

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_empty_lists(void **state)
{
	static const char *const names[] = {"jobs", "ranks", "comms", "incidents"};
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++) {
		json_t *whole, *l = list(f, names[i], &whole);

		assert_true(json_is_array(l) && json_array_size(l) == 0);
		json_decref(whole);
	}
	json_decref(ask(f, 404, "/api/v1/report", NULL, NULL));
	json_decref(ask(f, 404, "/api/v1/incidents/inc-0", NULL, NULL));
}

static void test_shapes(void **state)
{
	struct fixture *f = *state;
	json_t *whole, *l;

	for (int i = 0; i < 5; i++)
		one_second(f, -1);
	l = list(f, "jobs", &whole);
	assert_int_equal(json_array_size(l), 1);
	has_fields(json_array_get(l, 0), job_fields);
	assert_string_equal(word(json_array_get(l, 0), "state"), "running");
	assert_int_equal(json_array_size(json_object_get(json_array_get(l, 0), "nodes")), 2);
	assert_int_equal(num(json_array_get(l, 0), "ops"), 500);
	json_decref(whole);
	l = list(f, "ranks", &whole);
	assert_int_equal(json_array_size(l), RANKS);
	for (size_t i = 0; i < RANKS; i++) {
		has_fields(json_array_get(l, i), rank_fields);
		assert_int_equal(num(json_array_get(l, i), "rank"), i);
	}
	json_decref(whole);
	l = list(f, "comms", &whole);
	assert_int_equal(json_array_size(l), 1);
	has_fields(json_array_get(l, 0), comm_fields);
	assert_string_equal(word(json_array_get(l, 0), "name"), "world");
	assert_int_equal(num(json_array_get(l, 0), "bytes"), 500 << 20);
	json_decref(whole);
}

static void test_report_shape(void **state)
{
	struct fixture *f = *state;
	json_t *r, *comm;

	for (int i = 0; i < 5; i++)
		one_second(f, -1);
	r = ask(f, 200, "/api/v1/report", "job", "train");
	has_fields(r, report_fields);
	has_fields(json_object_get(r, "losses"), loss_fields);
	assert_string_equal(word(r, "schema"), "c4.report/v1");
	assert_int_equal(num(r, "nodes"), 2);
	comm = json_array_get(json_object_get(r, "communicators"), 0);
	has_fields(comm, report_comm_fields);
	/* 500 × 0.1 ms of the 5 s every rank has lived */
	assert_true(json_number_value(json_object_get(comm, "time_share")) > 0.009 &&
		    json_number_value(json_object_get(comm, "time_share")) < 0.011);
	json_decref(r);
	json_decref(ask(f, 404, "/api/v1/report", "job", "other"));
}

/* A job shorter than any window: the report closes what is there. */
static void test_short_job_has_numbers(void **state)
{
	struct fixture *f = *state;
	json_t *r, *comm;

	for (uint32_t rank = 0; rank < RANKS; rank++) {
		C4__V1__Post *p;
		C4__V1__Process *x = begin_post(f, rank, &p);

		post_text(&post_members(post_comm(x, WORLD, 3, 3), RANKS, rank, 0, 1)->name,
			  "world");
		post_block(x, WORLD, 0, 3, rank ? 3 * MS : MS);
		x->run = C4__V1__PROCESS__RUN__RUN_GONE;
		x->phase = C4_PHASE_FINALIZED;
		end_post(f, p);
	}
	r = ask(f, 200, "/api/v1/report", NULL, NULL);
	assert_string_equal(word(r, "state"), "finished");
	comm = json_array_get(json_object_get(r, "communicators"), 0);
	assert_int_equal(num(json_array_get(json_object_get(comm, "latest"), 0), "rank"), 0);
	assert_true(json_number_value(json_object_get(comm, "busbw_gbps")) > 0);
	json_decref(r);
}

/* More ranks than one part of the stream holds, of two jobs, one of them asked for. */
static void test_long_rank_list(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(900, 1);
	json_t *j, *l;

	one_second(f, -1);
	for (uint32_t r = 0; r < 200; r++)
		post_identity(post_process(p, r + 1), "big", r, 1000);
	end_post(f, p);
	j = ask(f, 200, "/api/v1/ranks", NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(j, "ranks")), 200 + RANKS);
	json_decref(j);
	j = ask(f, 200, "/api/v1/ranks", "job", "big");
	l = json_object_get(j, "ranks");
	assert_int_equal(json_array_size(l), 200);
	assert_int_equal(num(json_array_get(l, 199), "rank"), 199);
	json_decref(j);
}

static void test_slow_rank_is_named_once(void **state)
{
	struct fixture *f = *state;
	json_t *whole, *l, *in, *one;
	char path[64];

	for (int i = 0; i < 20; i++)
		one_second(f, -1);
	for (int i = 0; i < 20; i++)
		one_second(f, 2);
	l = list(f, "incidents", &whole);
	assert_int_equal(json_array_size(l), 1);
	in = json_array_get(l, 0);
	has_fields(in, incident_fields);
	assert_string_equal(word(in, "kind"), "slow-rank");
	assert_string_equal(word(json_object_get(in, "culprit"), "node"), "n1");
	assert_int_equal(json_integer_value(json_array_get(
				 json_object_get(json_object_get(in, "culprit"), "ranks"), 0)),
			 2);
	snprintf(path, sizeof path, "/api/v1/incidents/%s", word(in, "id"));
	one = ask(f, 200, path, NULL, NULL);
	assert_true(json_equal(one, in));
	json_decref(one);
	json_decref(whole);
	one = ask(f, 200, "/api/v1/incidents", "kind", "crash");
	assert_int_equal(json_array_size(json_object_get(one, "incidents")), 0);
	json_decref(one);
	one = ask(f, 200, "/api/v1/incidents", "job", "other");
	assert_int_equal(json_array_size(json_object_get(one, "incidents")), 0);
	json_decref(one);
}

static void test_healthy_job_has_no_incident(void **state)
{
	struct fixture *f = *state;
	json_t *whole;

	for (int i = 0; i < 60; i++)
		one_second(f, -1);
	end_job(f, C4_PHASE_FINALIZED);
	ticks(f, 40);
	assert_int_equal(json_array_size(list(f, "incidents", &whole)), 0);
	json_decref(whole);
	assert_int_equal(f->c.stats.windows_incomplete, 0);
	assert_int_equal(f->c.model.jobs[0]->state, C4_JOB_FINISHED);
	assert_null(f->c.model.jobs[0]->memory); /* judged no more */
}

/* The report of a job whose last post just came shows what that post means. */
static void test_report_knows_the_crash(void **state)
{
	struct fixture *f = *state;
	json_t *r, *in;

	for (int i = 0; i < 5; i++)
		one_second(f, -1);
	end_job(f, C4_PHASE_RUN);
	f->mono += MS;
	r = ask(f, 200, "/api/v1/report", NULL, NULL);
	assert_string_equal(word(r, "state"), "failed");
	in = json_array_get(json_object_get(r, "incidents"), 0);
	assert_string_equal(word(in, "kind"), "crash");
	assert_string_equal(word(in, "state"), "confirmed");
	json_decref(r);
	ticks(f, 30); /* and ends with the job */
	r = ask(f, 200, "/api/v1/report", NULL, NULL);
	in = json_array_get(json_object_get(r, "incidents"), 0);
	assert_string_equal(word(in, "state"), "resolved");
	json_decref(r);
}

/* Told that the job is being ended: its ranks' deaths are no crash. */
static void test_ended_on_purpose(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	json_t *whole;

	for (int i = 0; i < 5; i++)
		one_second(f, -1);
	begin_post(f, 0, &p)->ending = true;
	end_post(f, p);
	end_job(f, C4_PHASE_RUN);
	ticks(f, 30);
	assert_int_equal(f->c.model.jobs[0]->state, C4_JOB_FAILED);
	assert_int_equal(json_array_size(list(f, "incidents", &whole)), 0);
	json_decref(whole);
}

/* The collector itself was stopped for a minute: nobody went silent, nobody hung. */
static void test_own_suspension_is_no_fault(void **state)
{
	struct fixture *f = *state;
	json_t *whole;

	for (int i = 0; i < 10; i++)
		one_second(f, -1);
	f->mono += 60 * S;
	ticks(f, 8);
	assert_int_equal(f->c.clock.gaps, 1);
	assert_int_equal(f->c.model.jobs[0]->by_state[C4_RANK_SILENT], 0);
	assert_int_equal(json_array_size(list(f, "incidents", &whole)), 0);
	json_decref(whole);
}

static void test_silent_agents_make_a_lost_job(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		one_second(f, -1);
	ticks(f, 40);
	assert_int_equal(f->c.model.jobs[0]->by_state[C4_RANK_SILENT], RANKS);
	assert_int_equal(f->c.model.jobs[0]->state, C4_JOB_LOST);
	one_second(f, -1);
	assert_int_equal(f->c.model.jobs[0]->state, C4_JOB_RUNNING);
}

static void test_ways_to_ask_wrongly(void **state)
{
	static const struct {
		const char *method, *path, *type;
		int status;
	} asks[] = {
		{"GET", "/", "", 404},
		{"GET", "/api/v1/jobs/x", "", 404},
		{"GET", "/v1/post", "", 405},
		{"POST", "/api/v1/jobs", "", 405},
		{"DELETE", "/metrics", "", 405},
		{"POST", "/v2/post", "application/x-protobuf", 404},
		{"POST", "/v1/post", "text/plain", 415},
		{"POST", "/v1/post", "application/x-protobufx", 415},
		{"POST", "/v1/post", "application/x-protobuf", 400},
		{"HEAD", "/healthz", "", 200},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		struct c4_request q = {.method = asks[i].method,
				       .path = asks[i].path,
				       .type = asks[i].type,
				       .body = "",
				       .bytes = 0};
		struct c4_response r = {0};

		c4_api_handle(&f->c, &q, f->mono, WALL, &r);
		assert_int_equal(r.status, asks[i].status);
		assert_int_equal(r.allow != NULL, r.status == 405);
		c4_buf_release(&r.body);
	}
	assert_int_equal(f->c.stats.posts_refused[C4_POST_VERSION], 1);
	assert_int_equal(f->c.stats.posts_refused[C4_POST_TYPE], 2);
}

/* Names from outside appear in labels: one line per sample whatever they contain. */
static void test_metrics_are_well_formed(void **state)
{
	struct fixture *f = *state;
	struct c4_request q = {.method = "GET", .path = "/metrics", .type = "", .body = ""};
	struct c4_response r = {0};
	C4__V1__Post *p = post_new(999, 1);
	C4__V1__Process *x = post_process(p, 1);

	post_identity(x, "a\"b\\c\nd", 0, 1);
	post_members(post_comm(x, 1, 0, 0), 1, 0, 0, 1);
	end_post(f, p);
	one_second(f, -1);
	c4_api_handle(&f->c, &q, f->mono, WALL, &r);
	assert_non_null(strstr(r.body.data,
			       "c4_busbw_gbps{job=\"a\\\"b\\\\c?d\",communicator=\"comm{0}\"}"));
	assert_non_null(strstr(r.body.data, "c4_ranks{state=\"running\"} 5\n"));
	for (char *line = strtok(r.body.data, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(line[0] == '#' || !strncmp(line, "c4_", 3));
	c4_buf_release(&r.body);
}

static void test_health(void **state)
{
	struct fixture *f = *state;
	json_t *j = ask(f, 200, "/healthz", NULL, NULL);

	assert_string_equal(word(j, "status"), "ok");
	json_decref(j);
	c4_keeper_free(f->c.keeper);
	f->c.keeper =
		c4_keeper_new(NULL, c4_store_new("/nonexistent/dir/c4.db", S), &f->c.incidents);
	c4_keeper_start(f->c.keeper, S, WALL);
	j = ask(f, 503, "/healthz", NULL, NULL);
	assert_string_equal(word(j, "status"), "degraded");
	assert_non_null(strstr(word(j, "reason"), "/nonexistent"));
	json_decref(j);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_empty_lists),
		T(test_shapes),
		T(test_report_shape),
		T(test_short_job_has_numbers),
		T(test_long_rank_list),
		T(test_slow_rank_is_named_once),
		T(test_healthy_job_has_no_incident),
		T(test_report_knows_the_crash),
		T(test_ended_on_purpose),
		T(test_own_suspension_is_no_fault),
		T(test_silent_agents_make_a_lost_job),
		T(test_ways_to_ask_wrongly),
		T(test_metrics_are_well_formed),
		T(test_health),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
