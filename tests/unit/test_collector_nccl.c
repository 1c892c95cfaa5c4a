// SPDX-License-Identifier: BSD-3-Clause
/* A NCCL job as posts tell of it: verdicts, matrix, answers to agents, JSON and tables. */
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
#include "collector/ctl/show.h"
#include "common/log.h"
#include "tests/unit/collector_post.h"

#define S     1000000000ull
#define MS    1000000ull
#define WALL  (1700000000ull * S)
#define COMM  0xc0deull
#define RANKS 4u
#define OPS   100u /* per second */

struct fixture {
	struct c4_collector c;
	uint64_t mono;
	uint64_t seq[RANKS], ops;
	uint64_t mib[RANKS], slow_ns[RANKS]; /* of the connection out of each rank, in all */
	bool detail[RANKS];
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

/* ---- a ring of four ranks, a node each ------------------------------------------------------- */

static C4__V1__Process *begin_post(struct fixture *f, uint32_t rank, C4__V1__Post **p)
{
	C4__V1__Process *x;
	char node[8];

	*p = post_new(100 + rank, ++f->seq[rank]);
	x = post_process(*p, 1);
	x->alive_ns = f->mono - 5000 * S + S;
	if (f->seq[rank] > 1)
		return x;
	snprintf(node, sizeof node, "n%u", rank);
	post_identity(x, "train", rank, RANKS);
	free(x->identity->node);
	post_text(&x->identity->node, node);
	post_text(&x->identity->hook, "nccl");
	x->identity->gpu = 1;
	return x;
}

static void end_post(struct fixture *f, uint32_t rank, C4__V1__Post *p)
{
	struct c4_ingest_answer answer;
	size_t n;
	uint8_t *buf = post_pack(p, &n);

	assert_int_equal(c4_collector_post(&f->c, buf, n, f->mono, WALL + f->mono, &answer),
			 C4_POST_OK);
	f->detail[rank] = answer.detail;
	free(buf);
	post_free(p);
}

static C4__V1__Comm *tell_comm(struct fixture *f, C4__V1__Process *x, uint32_t rank)
{
	C4__V1__Comm *c = post_comm(x, COMM, f->ops, f->ops);

	c->gpu_started = f->ops;
	if (f->seq[rank] == 1)
		post_text(&post_reported(c, RANKS, rank)->name, "dp");
	return c;
}

/* Both ends of what rank has to do with: 100 ns per KiB, and what is slow about it. */
static void tell_conns(struct fixture *f, C4__V1__Process *x, uint32_t rank)
{
	uint32_t before = (rank + RANKS - 1) % RANKS;

	post_conn(x, COMM, rank, (rank + 1) % RANKS, true, f->mib[rank])->busy_ns +=
		f->slow_ns[rank];
	post_conn(x, COMM, rank, before, false, f->mib[before])->peer_ns += f->slow_ns[before];
}

static void ticks(struct fixture *f, unsigned int n)
{
	while (n--) {
		f->mono += C4_TICK_MS * MS;
		c4_collector_tick(&f->c, f->mono, WALL + f->mono);
	}
}

/* slow: the rank whose connection onwards takes four times as long; RANKS: none. */
static void seconds(struct fixture *f, unsigned int n, uint32_t slow)
{
	while (n--) {
		f->ops += OPS;
		for (uint32_t r = 0; r < RANKS; r++) {
			C4__V1__Post *p;
			C4__V1__Process *x = begin_post(f, r, &p);

			tell_comm(f, x, r);
			post_block(x, COMM, f->ops - OPS, OPS, 100000);
			f->mib[r] += 512;
			f->slow_ns[r] += r == slow ? 512 * 1024 * 300 : 0;
			tell_conns(f, x, r);
			end_post(f, r, p);
		}
		ticks(f, 4);
	}
}

/* ---- asking ---------------------------------------------------------------------------------- */

static json_t *ask(struct fixture *f, const char *path, const char *key, const char *value)
{
	struct c4_request q = {.method = "GET", .path = path, .type = "", .body = ""};
	struct c4_response r = {0};
	json_t *j;

	if (key)
		q.params[q.nparams++] = (struct c4_param){key, value};
	c4_api_handle(&f->c, &q, f->mono, WALL + f->mono, &r);
	assert_int_equal(r.status, 200);
	while (r.stream && r.stream->next(r.stream, &r.body))
		;
	if (r.stream)
		r.stream->free(r.stream);
	j = json_loadb(r.body.data, r.body.len, 0, NULL);
	assert_non_null(j);
	c4_buf_release(&r.body);
	return j;
}

static double num(const json_t *o, const char *key)
{
	assert_true(json_is_number(json_object_get(o, key)));
	return json_number_value(json_object_get(o, key));
}

static const char *word(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "(none)";
}

/* The only public incident; the caller drops *ret_whole. */
static const json_t *only_incident(struct fixture *f, json_t **ret_whole)
{
	*ret_whole = ask(f, "/api/v1/incidents", NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(*ret_whole, "incidents")), 1);
	return json_array_get(json_object_get(*ret_whole, "incidents"), 0);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_healthy_ring(void **state)
{
	struct fixture *f = *state;
	json_t *whole;

	seconds(f, 30, RANKS);
	whole = ask(f, "/api/v1/incidents", NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(whole, "incidents")), 0);
	json_decref(whole);
	for (uint32_t r = 0; r < RANKS; r++)
		assert_false(f->detail[r]);
	assert_int_equal(f->c.model.conns, RANKS);
	for (int i = 0; i < C4_PART_REFUSAL_MAX; i++)
		assert_int_equal(f->c.stats.parts_refused[i], 0);
}

static void test_slow_link_is_an_incident(void **state)
{
	struct fixture *f = *state;
	const json_t *in, *culprit;
	json_t *whole;

	seconds(f, 20, RANKS);
	seconds(f, 8, 2);
	in = only_incident(f, &whole);
	culprit = json_object_get(in, "culprit");
	assert_string_equal(word(in, "kind"), "slow-link");
	assert_string_equal(word(in, "recommended_action"), "re-plan");
	assert_string_equal(word(culprit, "link"), "n2→n3 (rank 2 → rank 3)");
	assert_true(json_is_null(json_object_get(culprit, "gpu")));
	assert_true(num(in, "detect_ms") < 10000);
	json_decref(whole);
}

/* Steps are asked for as long as something is suspected, and two minutes at most. */
static void test_detail_while_suspected(void **state)
{
	struct fixture *f = *state;

	seconds(f, 20, RANKS);
	seconds(f, 4, 2);
	for (uint32_t r = 0; r < RANKS; r++)
		assert_true(f->detail[r]);
	seconds(f, 40, RANKS);
	assert_false(f->detail[0]);
	seconds(f, 120, 2);
	assert_true(f->detail[0]);
	seconds(f, 20, 2);
	assert_false(f->detail[0]);
}

static void test_matrix(void **state)
{
	struct fixture *f = *state;
	const json_t *m, *cell;
	json_t *whole;

	seconds(f, 20, 2);
	whole = ask(f, "/api/v1/matrix", "comm", "dp");
	assert_int_equal(json_array_size(json_object_get(whole, "matrices")), 1);
	assert_true(json_is_false(json_object_get(whole, "truncated")));
	m = json_array_get(json_object_get(whole, "matrices"), 0);
	assert_string_equal(word(m, "communicator"), "dp");
	assert_string_equal(word(m, "job"), "train");
	assert_int_equal(num(m, "cells_total"), RANKS);
	assert_true(num(m, "usual_ns_per_kib") > 99 && num(m, "usual_ns_per_kib") < 101);
	cell = json_array_get(json_object_get(m, "cells"), 2);
	assert_int_equal(num(cell, "src"), 2);
	assert_int_equal(num(cell, "dst"), 3);
	assert_string_equal(word(cell, "src_node"), "n2");
	assert_string_equal(word(cell, "dst_node"), "n3");
	assert_true(num(cell, "ns_per_kib") > 399 && num(cell, "ns_per_kib") < 401);
	assert_true(num(cell, "gbps") > 20 && num(cell, "gbps") < 21);
	assert_true(num(cell, "times_usual") > 3.9 && num(cell, "excess") > 2.9);
	assert_true(num(cell, "net_share") > 0.99 && num(cell, "gpu_share") < 0.01);
	json_decref(whole);
	whole = ask(f, "/api/v1/matrix", "comm", "000000000000c0de");
	assert_int_equal(json_array_size(json_object_get(whole, "matrices")), 1);
	json_decref(whole);
	whole = ask(f, "/api/v1/matrix", "comm", "tp");
	assert_int_equal(json_array_size(json_object_get(whole, "matrices")), 0);
	json_decref(whole);
	whole = ask(f, "/api/v1/matrix", "job", "other");
	assert_int_equal(json_array_size(json_object_get(whole, "matrices")), 0);
	json_decref(whole);
}

static char *shown(const json_t *answer)
{
	FILE *out = tmpfile();
	char *text;
	long n;

	c4_show_matrix(answer, out);
	n = ftell(out);
	text = calloc(1, (size_t)n + 1);
	rewind(out);
	assert_int_equal(fread(text, 1, (size_t)n, out), n);
	fclose(out);
	return text;
}

static void test_matrix_as_a_table(void **state)
{
	struct fixture *f = *state;
	json_t *whole;
	char *text;

	seconds(f, 20, 2);
	whole = ask(f, "/api/v1/matrix", NULL, NULL);
	text = shown(whole);
	assert_non_null(strstr(text, "comm dp of job train: 4 ranks, 4 connections"));
	assert_non_null(strstr(text, "       0       ·    81.9       ·       ·\n"));
	assert_non_null(strstr(text, "       2       ·       ·       ·   20.5*\n"));
	free(text);
	json_decref(whole);
	whole = json_pack("{s:[]}", "matrices");
	text = shown(whole);
	assert_string_equal(text, "no connections\n");
	free(text);
	json_decref(whole);
}

/* More ranks than a grid has room for: the slowest are listed. */
static void test_large_matrix_as_a_list(void **state)
{
	json_t *cells = json_array(), *whole;
	char *text;

	(void)state;
	for (int i = 0; i < 40; i++)
		json_array_append_new(cells, json_pack("{s:i, s:i, s:s, s:s, s:f}", "src", i, "dst",
						       i + 1, "src_node", "a", "dst_node", "b",
						       "times_usual", i == 17 ? 9.0 : 1.0));
	whole = json_pack("{s:[{s:s, s:s, s:o}]}", "matrices", "communicator", "dp", "job", "train",
			  "cells", cells);
	text = shown(whole);
	assert_non_null(strstr(text, "FROM"));
	assert_true(strstr(text, "rank 17 (a)") <
		    strchr(strchr(strchr(text, '\n') + 1, '\n') + 1, '\n'));
	free(text);
	json_decref(whole);
}

static void test_metrics(void **state)
{
	struct fixture *f = *state;
	struct c4_request q = {.method = "GET", .path = "/metrics", .type = "", .body = ""};
	struct c4_response r = {0};

	seconds(f, 20, 2);
	c4_api_handle(&f->c, &q, f->mono, WALL, &r);
	assert_non_null(strstr(r.body.data, "\nc4_connections 4\n"));
	assert_non_null(
		strstr(r.body.data, "\nc4_path_excess{job=\"train\",communicator=\"dp\"} 3\n"));
	assert_non_null(strstr(r.body.data, "reason=\"too-many-connections\"} 0\n"));
	c4_buf_release(&r.body);
}

static void test_ranks_show_their_gpu(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;
	C4__V1__Gpu *g;
	const json_t *gpu;
	json_t *whole;

	seconds(f, 2, RANKS);
	begin_post(f, 1, &p);
	g = post_gpu(p, 0, "0000:3b:00.0");
	g->throttle = 0x44;
	g->celsius = 88;
	end_post(f, 1, p);
	ticks(f, 1);
	whole = ask(f, "/api/v1/ranks", NULL, NULL);
	gpu = json_object_get(json_array_get(json_object_get(whole, "ranks"), 0), "gpu");
	assert_int_equal(num(gpu, "index"), 0);
	gpu = json_object_get(json_array_get(json_object_get(whole, "ranks"), 1), "gpu");
	assert_string_equal(word(gpu, "name"), "H200");
	assert_string_equal(word(gpu, "throttle"), "power cap, hardware thermal slowdown");
	assert_int_equal(num(gpu, "celsius"), 88);
	json_decref(whole);
}

/* Everybody is inside, the connection 2 → 3 has stopped. */
static void stopped_second(struct fixture *f, uint64_t age_ns)
{
	for (uint32_t r = 0; r < RANKS; r++) {
		uint32_t before = (r + RANKS - 1) % RANKS;
		C4__V1__Post *p;
		C4__V1__Process *x = begin_post(f, r, &p);
		C4__V1__Comm *c = tell_comm(f, x, r);
		C4__V1__Conn *out, *in;

		c->entered = c->gpu_started = f->ops + 1;
		c->inside_ns = c->gpu_inside_ns = age_ns;
		out = post_conn(x, COMM, r, (r + 1) % RANKS, true, f->mib[r]);
		in = post_conn(x, COMM, r, before, false, f->mib[before]);
		out->active = in->active = 1;
		out->opno = in->opno = f->ops;
		out->still_ns = in->still_ns = age_ns;
		out->phase = r == 2 ? C4_CONN_SENDING : C4_CONN_GPU_WAIT;
		in->phase = C4_CONN_RECEIVING;
		end_post(f, r, p);
	}
	ticks(f, 4);
}

static void test_hang_names_the_connection(void **state)
{
	struct fixture *f = *state;
	const json_t *in;
	json_t *whole;

	seconds(f, 20, RANKS);
	for (uint64_t k = 1; k <= 4; k++)
		stopped_second(f, k * S);
	in = only_incident(f, &whole);
	assert_string_equal(word(in, "kind"), "hang-comm");
	assert_string_equal(word(json_object_get(in, "culprit"), "link"),
			    "n2→n3 (rank 2 → rank 3)");
	assert_true(num(in, "detect_ms") < 5000);
	assert_true(f->detail[0]);
	json_decref(whole);
	/* it goes on: resolved */
	seconds(f, 10, RANKS);
	in = only_incident(f, &whole);
	assert_string_equal(word(in, "state"), "resolved");
	json_decref(whole);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_healthy_ring),
		T(test_slow_link_is_an_incident),
		T(test_detail_while_suspected),
		T(test_matrix),
		T(test_matrix_as_a_table),
		cmocka_unit_test(test_large_matrix_as_a_list),
		T(test_metrics),
		T(test_ranks_show_their_gpu),
		T(test_hang_names_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
