// SPDX-License-Identifier: BSD-3-Clause
/* The collector's incidents and matrix as ratings of pairs of hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/ratings.h"
#include "tests/unit/clos_fabric.h"

struct world {
	struct c4_fabric f;
	struct c4_ratings r;
	struct c4_buf notes;
	json_t *incidents, *ranks, *matrix;
};

/* h0 … h7, two a leaf, four rails. */
static int make_world(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	clos_fabric(&w->f,
		    (struct c4_clos){.leaves = 4, .spines = 2, .hosts_per_leaf = 2, .rails = 4});
	w->incidents = json_pack("{s:[]}", "incidents");
	w->ranks = json_pack("{s:[]}", "ranks");
	w->matrix = json_pack("{s:[{s:s, s:[]}]}", "matrices", "job", "j", "cells");
	*state = w;
	return 0;
}

static int drop_world(void **state)
{
	struct world *w = *state;

	c4_ratings_release(&w->r);
	c4_fabric_release(&w->f);
	c4_buf_release(&w->notes);
	json_decref(w->incidents);
	json_decref(w->ranks);
	json_decref(w->matrix);
	free(w);
	return 0;
}

/* `per` ranks on each of the hosts h0, h1, … */
static void ranks(struct world *w, int n, int per)
{
	for (int i = 0; i < n; i++) {
		char node[16];

		snprintf(node, sizeof node, "h%d", i / per);
		json_array_append_new(json_object_get(w->ranks, "ranks"),
				      json_pack("{s:s, s:i, s:s, s:s}", "job", "j", "rank", i,
						"node", node, "state", "running"));
	}
}

static json_t *cells(struct world *w)
{
	return json_object_get(json_array_get(json_object_get(w->matrix, "matrices"), 0), "cells");
}

static void cell(struct world *w, int src, int dst, double times)
{
	json_array_append_new(cells(w), json_pack("{s:i, s:i, s:i, s:f}", "src", src, "dst", dst,
						  "connections", 2, "times_usual", times));
}

static void incident(struct world *w, const char *job, const char *kind, const char *state, int a,
		     int b)
{
	json_t *named = json_array();

	if (a >= 0)
		json_array_append_new(named, json_integer(a));
	if (b >= 0)
		json_array_append_new(named, json_integer(b));
	json_array_append_new(json_object_get(w->incidents, "incidents"),
			      json_pack("{s:s, s:s, s:s, s:{s:o}}", "job", job, "kind", kind,
					"state", state, "culprit", "ranks", named));
}

static int rate(struct world *w)
{
	const struct c4_ratings_source s = {"j", w->incidents, w->ranks, w->matrix};
	int rc;

	c4_ratings_release(&w->r);
	rc = c4_ratings_add(&w->r, &w->f, &s, &w->notes);
	c4_ratings_close(&w->r);
	return rc;
}

static const struct c4_rating *rating(const struct world *w, const char *src, const char *dst)
{
	uint32_t a = c4_fabric_host(&w->f, src), b = c4_fabric_host(&w->f, dst);

	for (uint32_t i = 0; i < w->r.n; i++)
		if (w->r.v[i].src == a && w->r.v[i].dst == b)
			return &w->r.v[i];
	return NULL;
}

static void test_jobs_with_slow_paths(void **state)
{
	struct world *w = *state;
	const char *jobs[C4_RATINGS_JOBS];

	incident(w, "a", "slow-rank", "confirmed", 1, -1);
	incident(w, "b", "slow-link", "confirmed", 1, 2);
	incident(w, "b", "congestion", "acted", -1, -1);
	incident(w, "c", "slow-link", "suspect", 1, 2);
	incident(w, "d", "congestion", "resolved", -1, -1);
	incident(w, "fabric", "slow-link", "confirmed", -1, -1); /* our own word */
	assert_int_equal(c4_ratings_jobs(w->incidents, jobs), 1);
	assert_string_equal(jobs[0], "b");
	assert_int_equal(c4_ratings_jobs(w->ranks, jobs), -EINVAL);
	assert_int_equal(c4_ratings_jobs(NULL, jobs), -EINVAL);
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof name, "j%d", i);
		incident(w, name, "congestion", "confirmed", -1, -1);
	}
	assert_int_equal(c4_ratings_jobs(w->incidents, jobs), C4_RATINGS_JOBS);
}

static void test_slow_link_accuses_its_own_cell(void **state)
{
	struct world *w = *state;

	ranks(w, 4, 1);
	incident(w, "j", "slow-link", "confirmed", 1, 2);
	incident(w, "other", "slow-link", "confirmed", 2, 3);
	cell(w, 1, 2, 5);
	cell(w, 2, 1, 1); /* the way back is well */
	cell(w, 2, 3, 4); /* slow, but who said so spoke of another job */
	cell(w, 0, 1, 1.1);
	assert_int_equal(rate(w), 0);
	assert_int_equal(w->r.n, 4);
	assert_true(rating(w, "h1", "h2")->accused);
	assert_false(rating(w, "h1", "h2")->shared);
	assert_true(rating(w, "h1", "h2")->slow == 5);
	assert_int_equal(rating(w, "h1", "h2")->connections, 2);
	assert_int_equal(rating(w, "h1", "h2")->src_rail, C4_NONE);
	assert_false(rating(w, "h2", "h1")->accused);
	assert_false(rating(w, "h2", "h3")->accused);
	assert_true(rating(w, "h0", "h1")->slow < 1.2f);
}

/* It names nobody: what is slow, and has no end that is named for something else. */
static void test_congestion_accuses_what_is_slow(void **state)
{
	struct world *w = *state;

	ranks(w, 6, 1);
	incident(w, "j", "congestion", "confirmed", -1, -1);
	incident(w, "j", "slow-rank", "confirmed", 5, -1);
	cell(w, 0, 2, 2);
	cell(w, 1, 3, 3);
	cell(w, 0, 3, 1.2);
	cell(w, 5, 3, 4);
	assert_int_equal(rate(w), 0);
	assert_true(rating(w, "h0", "h2")->accused && rating(w, "h0", "h2")->shared);
	assert_true(rating(w, "h1", "h3")->accused);
	assert_false(rating(w, "h0", "h3")->accused);
	assert_false(rating(w, "h5", "h3")->accused);
}

/* Ranks of one host are near different rails; cells of the same ends become one. */
static void test_rails_and_the_same_ends(void **state)
{
	struct world *w = *state;
	const struct c4_rating *x;

	ranks(w, 16, 8); /* eight a host: two a rail */
	incident(w, "j", "slow-link", "confirmed", 4, 12);
	cell(w, 4, 12, 2);
	cell(w, 5, 13, 1);
	cell(w, 5, 12, 3); /* slow, nobody says why */
	cell(w, 0, 8, 1);
	cell(w, 0, 1, 9); /* within a host */
	assert_int_equal(rate(w), 0);
	assert_int_equal(w->r.n, 2);
	x = &w->r.v[1];
	assert_int_equal(x->src_rail, 2);
	assert_int_equal(x->dst_rail, 2);
	assert_true(x->accused && x->slow == 3);
	assert_int_equal(w->r.v[0].src_rail, 0);
	assert_false(w->r.v[0].accused);
}

static void test_what_cannot_be_placed(void **state)
{
	struct world *w = *state;

	ranks(w, 2, 1);
	json_array_append_new(json_object_get(w->ranks, "ranks"),
			      json_pack("{s:s, s:i, s:s, s:s}", "job", "j", "rank", 2, "node",
					"mars", "state", "running"));
	cell(w, 0, 1, 1);
	cell(w, 0, 2, 1);
	cell(w, 0, 7, 1);
	cell(w, -1, 1, 1);
	json_array_append_new(cells(w), json_pack("{s:i, s:i, s:n}", "src", 0, "dst", 1,
						  "times_usual")); /* too little to say */
	json_array_append_new(cells(w), json_string("x"));
	assert_int_equal(rate(w), 0);
	assert_int_equal(w->r.n, 1);
	assert_int_equal(w->r.unknown, 3);
}

static void test_jobs_that_ended_say_nothing(void **state)
{
	struct world *w = *state;
	json_t *r;

	ranks(w, 2, 1);
	cell(w, 0, 1, 1);
	for (int i = 0; i < 2; i++) {
		r = json_array_get(json_object_get(w->ranks, "ranks"), (size_t)i);
		json_object_set_new(r, "state", json_string("finished"));
	}
	assert_int_equal(rate(w), 0);
	assert_int_equal(w->r.n, 0);
}

static void test_answers_of_another_form(void **state)
{
	struct world *w = *state;
	const struct c4_ratings_source swapped = {"j", w->incidents, w->matrix, w->ranks};
	const struct c4_ratings_source nothing = {"j", NULL, NULL, NULL};
	const struct c4_ratings_source no_matrix = {"j", w->incidents, w->ranks, w->incidents};

	assert_int_equal(c4_ratings_add(&w->r, &w->f, &swapped, &w->notes), -EINVAL);
	assert_int_equal(c4_ratings_add(&w->r, &w->f, &nothing, &w->notes), -EINVAL);
	assert_non_null(strstr(c4_buf_str(&w->notes), "/api/v1/ranks"));
	assert_int_equal(c4_ratings_add(&w->r, &w->f, &no_matrix, &w->notes), -EINVAL);
	assert_non_null(strstr(c4_buf_str(&w->notes), "/api/v1/matrix"));
	assert_int_equal(w->r.n, 0);
	c4_ratings_close(&w->r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_jobs_with_slow_paths),
		TEST(test_slow_link_accuses_its_own_cell),
		TEST(test_congestion_accuses_what_is_slow),
		TEST(test_rails_and_the_same_ends),
		TEST(test_what_cannot_be_placed),
		TEST(test_jobs_that_ended_say_nothing),
		TEST(test_answers_of_another_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
