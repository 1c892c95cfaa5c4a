// SPDX-License-Identifier: BSD-3-Clause
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/incident.h"
#include "collector/incident_json.h"

#define S    1000000000ull
#define WALL (1700000000ull * S)

struct fixture {
	struct c4_incidents set;
	struct c4_job job;
	uint64_t now;
	char told[4096]; /* "confirmed resolved …" in the order they were announced */
};

static void on_change(void *arg, const struct c4_incident *in)
{
	struct fixture *f = arg;
	size_t n = strlen(f->told);

	snprintf(f->told + n, sizeof f->told - n, "%s ", c4_incident_state_name(in->state));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	c4_incidents_init(&f->set, on_change, f);
	strcpy(f->job.id, "train");
	strcpy(f->job.name, "train");
	f->job.launch = 77;
	f->now = 1000 * S;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	c4_incidents_release(&f->set);
	free(f);
	return 0;
}

/* One look, `step` after the one before; kind C4_INC_MAX: no verdict. */
static void look(struct fixture *f, uint64_t step, enum c4_incident_kind kind, bool confirmed)
{
	int32_t ranks[] = {3};
	struct c4_verdict v = {
		.kind = kind,
		.key = 42,
		.confirmed = confirmed,
		.confidence = 0.9,
		.nranks = 1,
		.ranks = ranks,
		.node = "n1",
		.gpu = "n1/gpu3",
		.nic = "n1 sending",
		.link = "n1→n2 (rank 3 → rank 6)",
		.since_ns = 2500000000u,
		.summary = "rank 3 is late",
		.nevidence = 1,
		.evidence = {{.metric = "lateness_ms",
			      .value = 41.5,
			      .peers_median = 0.25,
			      .blocks = 4}},
	};
	struct c4_verdicts vs = {.n = kind != C4_INC_MAX, .v = &v};

	f->now += step;
	c4_incidents_apply(&f->set, &f->job, &vs, f->now, WALL + f->now);
}

static void none(struct fixture *f, uint64_t step)
{
	look(f, step, C4_INC_MAX, false);
}

static void test_suspect_fades_unannounced(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_SLOW_RANK, false);
	assert_int_equal(f->set.n, 1);
	assert_false(c4_incident_public(f->set.v[0]));
	none(f, S);
	assert_int_equal(f->set.n, 1);
	none(f, 2 * S);
	assert_int_equal(f->set.n, 0);
	assert_string_equal(f->told, "");
}

static void test_confirmed_is_told_once(void **state)
{
	struct fixture *f = *state;
	const struct c4_incident *in;

	look(f, S, C4_INC_SLOW_RANK, false);
	look(f, S, C4_INC_SLOW_RANK, true);
	for (int i = 0; i < 10; i++)
		look(f, S, C4_INC_SLOW_RANK, i % 2);
	assert_string_equal(f->told, "confirmed ");
	assert_int_equal(f->set.n, 1);
	in = f->set.v[0];
	assert_int_equal(in->state, C4_INC_STATE_CONFIRMED);
	assert_int_equal(in->detect_ms, 2500);
	assert_int_equal(in->confirmed_wall_ns - in->first_wall_ns, S);
	assert_int_equal(f->set.total[C4_INC_SLOW_RANK], 1);
}

/* Slow kinds are resolved after 15 s without verdict, hangs after 5 s, not a moment earlier. */
static void test_resolves_after_its_kind(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_SLOW_RANK, true);
	none(f, 15 * S);
	assert_string_equal(f->told, "confirmed ");
	none(f, S / 10);
	assert_string_equal(f->told, "confirmed resolved ");
	f->now += 100 * S;
	f->told[0] = '\0';
	look(f, S, C4_INC_HANG_RANK, true);
	none(f, 5 * S);
	assert_string_equal(f->told, "confirmed ");
	none(f, S / 10);
	assert_string_equal(f->told, "confirmed resolved ");
}

static void test_crash_stays_until_the_job_is_over(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_CRASH, true);
	for (int i = 0; i < 100; i++)
		none(f, 10 * S);
	assert_string_equal(f->told, "confirmed ");
	c4_incidents_job_over(&f->set, &f->job, f->now, WALL + f->now);
	assert_string_equal(f->told, "confirmed resolved ");
}

static void test_returning_one_is_reopened(void **state)
{
	struct fixture *f = *state;
	char id[C4_INCIDENT_ID_BYTES];

	look(f, S, C4_INC_HANG_RANK, true);
	strcpy(id, f->set.v[0]->id);
	none(f, 6 * S);
	look(f, 30 * S, C4_INC_HANG_RANK, false); /* suspicion alone does not reopen */
	assert_string_equal(f->told, "confirmed resolved ");
	look(f, S, C4_INC_HANG_RANK, true);
	assert_string_equal(f->told, "confirmed resolved confirmed ");
	assert_int_equal(f->set.n, 1);
	assert_string_equal(f->set.v[0]->id, id);
	assert_int_equal(f->set.v[0]->flaps, 1);
	assert_int_equal(f->set.v[0]->resolved_wall_ns, 0);
	assert_int_equal(f->set.total[C4_INC_HANG_RANK], 1);
}

static void test_late_return_is_a_new_one(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_HANG_RANK, true);
	none(f, 6 * S);
	look(f, 61 * S, C4_INC_HANG_RANK, true);
	assert_int_equal(f->set.n, 2);
	assert_true(strcmp(f->set.v[0]->id, f->set.v[1]->id) < 0);
}

static void test_jobs_do_not_share_incidents(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_SLOW_RANK, true);
	f->job.launch = 78; /* another launch of the same job */
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.n, 2);
	f->job.launch = 77;
	strcpy(f->job.id, "train2");
	strcpy(f->job.name, "train2");
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.n, 3);
}

/* Written as "train#2" by a collector that knew another launch; found again under the plain name.
 */
static void test_found_again_under_another_name(void **state)
{
	struct fixture *f = *state;

	strcpy(f->job.name, "train#2");
	look(f, S, C4_INC_SLOW_RANK, true);
	strcpy(f->job.name, "train");
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.n, 1);
}

static void test_ids_grow_though_the_clock_goes_back(void **state)
{
	struct fixture *f = *state;
	struct c4_verdicts none_left = {0};

	for (int i = 0; i < 200; i++) {
		struct c4_verdict v = {
			.kind = C4_INC_SLOW_RANK, .key = (uint64_t)i, .confirmed = true};
		struct c4_verdicts vs = {.n = 1, .v = &v};

		c4_incidents_apply(&f->set, &f->job, i < 199 ? &vs : &none_left, f->now,
				   WALL - (uint64_t)i * S);
	}
	assert_int_equal(f->set.n, 199);
	for (uint32_t i = 1; i < f->set.n; i++)
		assert_true(strcmp(f->set.v[i - 1]->id, f->set.v[i]->id) < 0);
}

/* The set is full of open incidents: a further one is counted, not taken. Resolved ones that are
 * safely stored give way. */
static void test_full_set(void **state)
{
	struct fixture *f = *state;
	struct c4_verdict *v = calloc(C4_INCIDENT_MAX, sizeof *v);
	struct c4_verdicts vs = {.n = C4_INCIDENT_MAX, .v = v};
	char oldest[C4_INCIDENT_ID_BYTES];

	for (uint32_t i = 0; i < C4_INCIDENT_MAX; i++)
		v[i] = (struct c4_verdict){
			.kind = C4_INC_CRASH, .key = 1000 + i, .confirmed = true};
	c4_incidents_apply(&f->set, &f->job, &vs, f->now, WALL);
	assert_int_equal(f->set.n, C4_INCIDENT_MAX);
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.refused, 1);
	strcpy(oldest, f->set.v[0]->id);
	f->set.v[0]->state = C4_INC_STATE_RESOLVED;
	look(f, S, C4_INC_SLOW_RANK, true); /* not yet written: it stays */
	assert_int_equal(f->set.refused, 2);
	f->set.v[0]->dirty = false;
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.refused, 2);
	assert_null(c4_incidents_by_id(&f->set, oldest));
	free(v);
}

static void test_isolation_needs_a_node(void **state)
{
	struct fixture *f = *state;

	look(f, S, C4_INC_SLOW_RANK, true);
	assert_string_equal(c4_incident_action(f->set.v[0]), "isolate-node");
	f->set.v[0]->node[0] = '\0';
	assert_string_equal(c4_incident_action(f->set.v[0]), "inspect");
	f->set.v[0]->kind = C4_INC_MISMATCH;
	assert_string_equal(c4_incident_action(f->set.v[0]), "fix-program");
}

static void test_text_from_outside_is_cleaned(void **state)
{
	struct fixture *f = *state;
	struct c4_verdict v = {
		.kind = C4_INC_CRASH, .confirmed = true, .summary = "bad \xff\n\x1b[1m µ"};
	struct c4_verdicts vs = {.n = 1, .v = &v};
	json_t *j;

	c4_incidents_apply(&f->set, &f->job, &vs, f->now, WALL);
	assert_string_equal(f->set.v[0]->summary, "bad ???[1m µ");
	j = c4_incident_to_json(f->set.v[0]);
	assert_non_null(j);
	json_decref(j);
}

static void test_json_round_trip(void **state)
{
	struct fixture *f = *state;
	struct c4_incident *back;
	const struct c4_incident *in;
	json_t *j;

	look(f, S, C4_INC_SLOW_RANK, true);
	in = f->set.v[0];
	f->set.v[0]->evidence[0].peers_median = NAN;
	j = c4_incident_to_json(in);
	assert_string_equal(json_string_value(json_object_get(j, "schema")), "c4.incident/v1");
	assert_true(json_is_null(json_object_get(j, "resolved")));
	assert_string_equal(json_string_value(json_object_get(j, "severity")), "warning");
	assert_string_equal(json_string_value(json_object_get(j, "first_seen")),
			    "2023-11-14T22:30:01.000Z");
	back = c4_incident_from_json(j);
	assert_non_null(back);
	assert_string_equal(back->id, in->id);
	assert_string_equal(back->summary, in->summary);
	assert_string_equal(back->node, "n1");
	assert_string_equal(back->gpu, "n1/gpu3");
	assert_string_equal(back->nic, "n1 sending");
	assert_string_equal(back->link, "n1→n2 (rank 3 → rank 6)");
	assert_int_equal(back->kind, in->kind);
	assert_int_equal(back->state, in->state);
	assert_int_equal(back->nranks, 1);
	assert_int_equal(back->ranks[0], 3);
	assert_int_equal(back->detect_ms, 2500);
	assert_true(back->evidence[0].value == 41.5 && isnan(back->evidence[0].peers_median));
	c4_incident_free(back);
	json_decref(j);
}

static void test_json_of_others_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"schema\":\"c4.incident/v2\"}",
		"{\"schema\":\"c4.incident/v1\",\"id\":\"x\",\"job\":\"j\",\"kind\":\"no-such\","
		"\"state\":\"confirmed\",\"summary\":\"\",\"culprit\":{}}",
		"{\"schema\":\"c4.incident/v1\",\"id\":\"x\",\"job\":\"j\",\"kind\":\"crash\","
		"\"state\":\"confirmed\",\"summary\":3,\"culprit\":{}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		json_t *j = json_loads(bad[i], 0, NULL);

		assert_non_null(j);
		assert_null(c4_incident_from_json(j));
		json_decref(j);
	}
}

/* After a restart the diagnosis is blind for a while: an open incident does not end by that. */
static void test_adopted_incident_has_time(void **state)
{
	struct fixture *f = *state;
	struct c4_incident *in;
	json_t *j;

	look(f, S, C4_INC_SLOW_RANK, true);
	j = c4_incident_to_json(f->set.v[0]);
	in = c4_incident_from_json(j);
	json_decref(j);
	in->launch = 77;
	c4_incidents_release(&f->set);
	c4_incidents_init(&f->set, on_change, f);
	f->told[0] = '\0';
	assert_true(c4_incidents_adopt(&f->set, in, f->now));
	none(f, 40 * S);
	assert_string_equal(f->told, "");
	none(f, 10 * S);
	assert_string_equal(f->told, "resolved ");
}

/* Read back from the store: the same fault is the same incident, and ids go on growing. */
static void test_adopted_incident_goes_on(void **state)
{
	struct fixture *f = *state;
	struct c4_incident *in;
	json_t *j;

	look(f, S, C4_INC_SLOW_RANK, true);
	j = c4_incident_to_json(f->set.v[0]);
	in = c4_incident_from_json(j);
	json_decref(j);
	in->key = 42;
	in->launch = 77;
	c4_incidents_release(&f->set);
	c4_incidents_init(&f->set, on_change, f);
	assert_true(c4_incidents_adopt(&f->set, in, f->now));
	assert_false(c4_incidents_adopt(&f->set, in, f->now));
	f->told[0] = '\0';
	look(f, S, C4_INC_SLOW_RANK, true);
	assert_int_equal(f->set.n, 1);
	assert_string_equal(f->told, ""); /* announced long ago */
	look(f, 16 * S, C4_INC_MAX, false);
	assert_string_equal(f->told, "resolved ");
}

static void test_orphans_are_resolved(void **state)
{
	struct fixture *f = *state;
	struct c4_model m = {.jobs = {&f->job}, .njobs = 1};

	look(f, S, C4_INC_CRASH, true);
	c4_incidents_orphans(&f->set, &m, f->now + 3600 * S, WALL);
	assert_string_equal(f->told, "confirmed ");
	m.njobs = 0;
	c4_incidents_orphans(&f->set, &m, f->now + 59 * S, WALL);
	assert_string_equal(f->told, "confirmed ");
	c4_incidents_orphans(&f->set, &m, f->now + 61 * S, WALL);
	assert_string_equal(f->told, "confirmed resolved ");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_suspect_fades_unannounced),
		T(test_confirmed_is_told_once),
		T(test_resolves_after_its_kind),
		T(test_crash_stays_until_the_job_is_over),
		T(test_returning_one_is_reopened),
		T(test_late_return_is_a_new_one),
		T(test_jobs_do_not_share_incidents),
		T(test_found_again_under_another_name),
		T(test_ids_grow_though_the_clock_goes_back),
		T(test_full_set),
		T(test_isolation_needs_a_node),
		T(test_text_from_outside_is_cleaned),
		T(test_json_round_trip),
		T(test_json_of_others_is_refused),
		T(test_adopted_incident_goes_on),
		T(test_adopted_incident_has_time),
		T(test_orphans_are_resolved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
