// SPDX-License-Identifier: BSD-3-Clause
/* crash and mismatch: positives and near-misses. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

static void die(struct scene *s, int r, double seconds_ago)
{
	s->ranks[r].run = C4_RUN_GONE;
	s->ranks[r].gone_for_ns = S(seconds_ago);
}

static void die_by(struct scene *s, int r, double seconds_ago, int signal)
{
	die(s, r, seconds_ago);
	s->ranks[r].status_known = true;
	s->ranks[r].wait_status = signal;
}

static void assert_one(const struct scene *s, enum c4_incident_kind kind, int32_t rank)
{
	const struct c4_verdict *v = scene_verdict(s, kind);

	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], rank);
}

static void test_first_to_go_is_named(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	for (int r = 0; r < 4; r++)
		die(s, r, r == 2 ? 0.412 : 0.400);
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 2);
	scene_free(s);
}

/* The launcher's SIGTERM reached one rank's agent report before the killed one's. */
static void test_the_launchers_victims_are_not(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	for (int r = 0; r < 4; r++)
		die_by(s, r, r == 1 ? 0.400 : 0.403, r == 1 ? SIGKILL : SIGTERM);
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 1);
	assert_non_null(strstr(s->out.v[0].summary, "signal 9"));
	scene_free(s);
}

static void test_abort_is_its_callers(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	for (int r = 0; r < 4; r++)
		die(s, r, r == 0 ? 0.410 : 0.400);
	s->ranks[3].aborted = true;
	s->ranks[3].abort_code = 7;
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 3);
	assert_non_null(strstr(s->out.v[0].summary, "MPI_Abort(7)"));
	scene_free(s);
}

static void test_finalized_ranks_may_go(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	for (int r = 0; r < 4; r++) {
		die(s, r, 1);
		s->ranks[r].finalized = true;
	}
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_operator_ends_the_job(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	for (int r = 0; r < 4; r++)
		die_by(s, r, 1, SIGTERM);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	for (int r = 0; r < 4; r++)
		s->ranks[r].status_known = false;
	s->job.ending = true;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* kill -TERM of one rank: the others live on, and hang. */
static void test_one_rank_told_to_end(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	die_by(s, 2, 1, SIGTERM);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_pass(s, S(4));
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 2);
	scene_free(s);
}

static void test_waits_for_late_reports(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	die(s, 2, 0.05);
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_pass(s, S(0.2));
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 2);
	scene_free(s);
}

/* A dead rank is a crash, and no hang beside it. */
static void test_dead_rank_is_not_hung(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 3; r++)
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(10));
	die(s, 3, 10);
	scene_look(s);
	assert_one(s, C4_INC_CRASH, 3);
	scene_free(s);
}

static struct scene *agreeing(void)
{
	struct scene *s = scene_new(4);

	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, MS(100));
	return s;
}

static void test_agreement(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_skipped_operation(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	scene_did(s, 0, 2, C4_OP_BARRIER, 0, -1);
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 2);
	assert_non_null(strstr(s->out.v[0].summary, "Barrier"));
	scene_free(s);
}

/*
 * Rank 1 left out a broadcast. 0 and 2 are through with it and in the next operation; 3 waits for
 * its message in it: the only two at that number are rank 1 and a victim. One fault, no hang.
 */
static void test_those_who_went_on_are_asked(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		scene_enter(s, 0, r, r == 1 ? C4_OP_ALLREDUCE : C4_OP_BCAST, S(10));
	for (int r = 0; r <= 2; r += 2) {
		s->state[0][r].finished++;
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(10));
	}
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 1);
	scene_free(s);
}

static void test_different_counts(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	scene_did(s, 0, 1, C4_OP_ALLREDUCE, 4100, -1);
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 1);
	scene_free(s);
}

static void test_uneven_v_counts_are_legal(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	for (unsigned int r = 0; r < 4; r++)
		scene_did(s, 0, r, C4_OP_ALLTOALLV, 100u * r, -1);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Members at different counters are in different operations by right. */
static void test_different_progress_is_legal(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	s->state[0][1].finished++;
	scene_enter(s, 0, 1, C4_OP_BARRIER, MS(1));
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_different_roots(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	for (unsigned int r = 0; r < 4; r++)
		scene_did(s, 0, r, C4_OP_BCAST, 4096, r == 3);
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 3);
	scene_free(s);
}

static void test_leaver(void **state)
{
	struct scene *s = agreeing();

	(void)state;
	s->state[0][2].entered = s->state[0][2].finished;
	s->ranks[2].call = (struct c4_diag_call){.kind = C4_OP_FINALIZE, .comm = C4_DIAG_NONE};
	s->ranks[2].finalizing = true;
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_pass(s, S(3));
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 2);
	scene_free(s);
}

static void test_window_signatures(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	s->comms[0].windows[0] =
		(struct c4_diag_window){.count = 16, .serial = 1, .parts = s->parts[0][0]};
	s->comms[0].nwindows = 1;
	for (int r = 0; r < 4; r++)
		s->parts[0][0][r] = (struct c4_diag_part){.present = true, .signature = 77};
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	s->parts[0][0][3].signature = 78;
	scene_look(s);
	assert_one(s, C4_INC_MISMATCH, 3);
	s->parts[0][0][3].missing = 1; /* incomplete sums prove nothing */
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_missing_ranks_are_a_gap(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	s->ranks[3].seen = false;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	s->job.now_ns += S(11);
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_DATA_GAP));
	assert_int_equal(s->out.v[0].nranks, 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_to_go_is_named),
		cmocka_unit_test(test_the_launchers_victims_are_not),
		cmocka_unit_test(test_abort_is_its_callers),
		cmocka_unit_test(test_finalized_ranks_may_go),
		cmocka_unit_test(test_operator_ends_the_job),
		cmocka_unit_test(test_one_rank_told_to_end),
		cmocka_unit_test(test_waits_for_late_reports),
		cmocka_unit_test(test_dead_rank_is_not_hung),
		cmocka_unit_test(test_agreement),
		cmocka_unit_test(test_skipped_operation),
		cmocka_unit_test(test_those_who_went_on_are_asked),
		cmocka_unit_test(test_different_counts),
		cmocka_unit_test(test_uneven_v_counts_are_legal),
		cmocka_unit_test(test_different_progress_is_legal),
		cmocka_unit_test(test_different_roots),
		cmocka_unit_test(test_leaver),
		cmocka_unit_test(test_window_signatures),
		cmocka_unit_test(test_missing_ranks_are_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
