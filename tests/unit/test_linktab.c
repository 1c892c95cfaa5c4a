// SPDX-License-Identifier: BSD-3-Clause
/* What planners say of links, and the life of the incidents that follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/linktab.h"

#define S 1000000000ull

struct scene {
	struct c4_linktab t;
	struct c4_incidents set;
	uint64_t now_ns;
	char why[256];
};

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);

	c4_incidents_init(&s->set, NULL, NULL);
	s->now_ns = 1000 * S;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	c4_linktab_release(&s->t);
	c4_incidents_release(&s->set);
	free(s);
	return 0;
}

static int post(struct scene *s, const char *planner, const char *links)
{
	char body[4096];
	int n = snprintf(
		body, sizeof body,
		"{\"schema\":\"c4.links/v1\",\"planner\":\"%s\",\"ttl_s\":10,\"links\":[%s]}",
		planner, links);

	return c4_linktab_post(&s->t, body, (size_t)n, s->now_ns, s->why, sizeof s->why);
}

#define LINK(a, b, kind, confirmed)                                                                \
	"{\"a\":\"" a "\",\"b\":\"" b "\",\"parallel\":0,\"toward\":\"" b "\",\"kind\":\"" kind    \
	"\",\"confirmed\":" confirmed ",\"nominal_gbps\":400,\"measured_gbps\":40,"                \
	"\"speed\":0.1,\"peers\":0.9,\"flows\":2,\"windows\":3,\"age_s\":4,"                       \
	"\"pairs\":[\"h0>h4\",\"h1>h5\"]}"
#define SLOW LINK("leaf1", "spine3", "slow-link", "true")

static void look_after(struct scene *s, uint64_t ns)
{
	s->now_ns += ns;
	c4_linktab_look(&s->t, &s->set, s->now_ns, s->now_ns);
}

static const struct c4_incident *only(const struct scene *s)
{
	assert_int_equal(s->set.n, 1);
	return s->set.v[0];
}

static void test_slow_link_becomes_an_incident(void **state)
{
	struct scene *s = *state;
	const struct c4_incident *in;

	assert_int_equal(post(s, "p", SLOW), 0);
	look_after(s, S);
	in = only(s);
	assert_int_equal(in->kind, C4_INC_SLOW_LINK);
	assert_int_equal(in->state, C4_INC_STATE_CONFIRMED);
	assert_string_equal(in->link, "leaf1-spine3");
	assert_string_equal(in->job, C4_LINKTAB_JOB);
	assert_string_equal(in->node, "");
	assert_int_equal(in->detect_ms, 5000); /* four of the planner's, one of ours */
	assert_non_null(strstr(in->summary, "40 of 400 Gb/s"));
	assert_true(in->nevidence >= 3);
}

static void test_it_ends_with_the_report(void **state)
{
	struct scene *s = *state;

	assert_int_equal(post(s, "p", SLOW), 0);
	for (int i = 0; i < 20; i++) {
		look_after(s, 4 * S);
		assert_int_equal(post(s, "p", SLOW), 0);
	}
	assert_int_equal(only(s)->state, C4_INC_STATE_CONFIRMED);
	assert_int_equal(post(s, "p", ""), 0);
	look_after(s, S);
	assert_int_equal(only(s)->state, C4_INC_STATE_CONFIRMED);
	look_after(s, 20 * S);
	assert_int_equal(only(s)->state, C4_INC_STATE_RESOLVED);
	assert_int_equal(post(s, "p", SLOW), 0); /* within a minute it is the same one again */
	look_after(s, S);
	assert_int_equal(only(s)->state, C4_INC_STATE_CONFIRMED);
	assert_int_equal(only(s)->flaps, 1);
}

static void test_silence_ends_it_too(void **state)
{
	struct scene *s = *state;

	assert_int_equal(post(s, "p", SLOW), 0);
	look_after(s, S);
	look_after(s, 8 * S); /* within its time to live */
	assert_int_equal(s->t.n, 1);
	look_after(s, 2 * S);
	assert_int_equal(s->t.n, 0);
	look_after(s, 20 * S);
	assert_int_equal(only(s)->state, C4_INC_STATE_RESOLVED);
}

static void test_suspects_are_not_told(void **state)
{
	struct scene *s = *state;

	assert_int_equal(post(s, "p", LINK("leaf1", "spine3", "slow-link", "false")), 0);
	look_after(s, S);
	assert_false(c4_incident_public(only(s)));
	assert_int_equal(post(s, "p", ""), 0);
	look_after(s, 5 * S);
	assert_int_equal(s->set.n, 0);
}

static void test_congestion_is_another_kind(void **state)
{
	struct scene *s = *state;

	assert_int_equal(post(s, "p", LINK("leaf1", "spine3", "congestion", "true") "," SLOW), 0);
	look_after(s, S);
	assert_int_equal(s->set.n, 2);
	assert_int_not_equal(s->set.v[0]->kind, s->set.v[1]->kind);
}

static void test_planners_do_not_mix(void **state)
{
	struct scene *s = *state;

	assert_int_equal(post(s, "p", SLOW), 0);
	assert_int_equal(post(s, "q", LINK("leaf2", "spine0", "slow-link", "true")), 0);
	assert_int_equal(s->t.n, 2);
	assert_int_equal(post(s, "p", ""), 0);
	assert_int_equal(s->t.n, 1);
	assert_string_equal(s->t.rows[0].found.a, "leaf2");
}

static void test_refused_words_change_nothing(void **state)
{
	static const char *const bad[] = {
		"7",
		"{}",
		LINK("", "spine3", "slow-link", "true"),
		LINK("leaf1", "leaf1", "slow-link", "true"),
		LINK("leaf 1", "spine3", "slow-link", "true"),
		LINK("leaf1", "spine3", "slow", "true"),
		SLOW ",{\"a\":\"x\"}",
	};
	struct scene *s = *state;

	assert_int_equal(post(s, "p", SLOW), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(post(s, "p", bad[i]), -EINVAL);
	assert_int_equal(post(s, "", ""), -EINVAL);
	assert_non_null(strstr(s->why, "planner"));
	assert_int_equal(c4_linktab_post(&s->t, "{", 1, 0, s->why, sizeof s->why), -EINVAL);
	assert_int_equal(s->t.n, 1);
	assert_int_equal(s->t.refused, 9);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_slow_link_becomes_an_incident), T(test_it_ends_with_the_report),
		T(test_silence_ends_it_too),	       T(test_suspects_are_not_told),
		T(test_congestion_is_another_kind),    T(test_planners_do_not_mix),
		T(test_refused_words_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
