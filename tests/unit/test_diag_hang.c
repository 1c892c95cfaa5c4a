// SPDX-License-Identifier: BSD-3-Clause
/* hang-rank, deadlock, hang-comm: each with its near-misses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

static struct scene *four_waiting_for_two(uint64_t for_ns)
{
	struct scene *s = scene_new(4);

	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		if (r != 2)
			scene_enter(s, 0, r, C4_OP_ALLREDUCE, for_ns);
	s->ranks[2].outside_ns = for_ns;
	return s;
}

static void assert_hang(const struct scene *s, int32_t rank)
{
	const struct c4_verdict *v = scene_verdict(s, C4_INC_HANG_RANK);

	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], rank);
	assert_true(v->since_ns >= S(2) && v->since_ns <= S(5));
}

static void test_stopped(void **state)
{
	struct scene *s = four_waiting_for_two(S(3));

	(void)state;
	s->ranks[2].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_hang(s, 2);
	assert_non_null(strstr(s->out.v[0].summary, "rank 2 (node n1) is stopped"));
	assert_int_equal(s->out.v[0].nwaiting, 3);
	scene_free(s);
}

static void test_asleep(void **state)
{
	struct scene *s = four_waiting_for_two(S(3.2));

	(void)state;
	s->ranks[2].idle_for_ns = S(3);
	scene_look(s);
	assert_hang(s, 2);
	scene_free(s);
}

static void test_too_early_is_suspect_only(void **state)
{
	struct scene *s = four_waiting_for_two(S(1.6));

	(void)state;
	s->ranks[2].idle_for_ns = S(1.6);
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	assert_int_equal(s->out.n, 1);
	scene_free(s);
}

static void test_busy_rank_gets_more_time(void **state)
{
	struct scene *s = four_waiting_for_two(S(5));

	(void)state;
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_pass(s, S(4));
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	scene_free(s);
}

static void test_start_up_gets_most_time(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 2, 0, 1, 2, 3, -1);
	for (int r = 1; r < 4; r++)
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(20));
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_free(s);
}

static void test_debugger_is_not_a_hang(void **state)
{
	struct scene *s = four_waiting_for_two(S(60));

	(void)state;
	s->ranks[2].run = C4_RUN_TRACED;
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_free(s);
}

/* 3 waits for 2 in a pair, so the world waits for 3: the chain ends at 2. */
static void test_blame_follows_the_chain(void **state)
{
	struct scene *s = scene_new(6);

	(void)state;
	scene_comm(s, "world", 50, 0, 1, 2, 3, 4, 5, -1);
	scene_comm(s, "pair", 50, 2, 3, -1);
	for (int r = 0; r < 6; r++)
		if (r != 2 && r != 3)
			scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(3.5));
	scene_enter(s, 1, 3, C4_OP_ALLGATHER, S(3.6));
	s->ranks[2].idle_for_ns = S(3.6);
	scene_look(s);
	assert_hang(s, 2);
	assert_int_equal(s->out.v[0].nwaiting, 5);
	scene_free(s);
}

static void test_chain_through_a_message(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 50, 0, 1, 2, 3, -1);
	scene_enter(s, 0, 0, C4_OP_ALLREDUCE, S(3.5));
	scene_enter(s, 0, 1, C4_OP_ALLREDUCE, S(3.5));
	scene_recv(s, 2, 3, S(3.5));
	s->ranks[3].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_hang(s, 3);
	scene_free(s);
}

/* Stopped inside an operation its peers have left: they wait for it in the next one. */
static void test_stopped_inside(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 3; r++) {
		s->state[0][r].finished++;
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(3));
	}
	scene_enter(s, 0, 3, C4_OP_ALLREDUCE, S(3.1));
	s->ranks[3].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_hang(s, 3);
	scene_free(s);
}

/* Stopped inside the operation all others are in: they need it to get out. */
static void test_stopped_inside_with_the_others(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(3));
	s->ranks[3].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_hang(s, 3);
	scene_free(s);
}

static void test_whole_job_suspended(void **state)
{
	struct scene *s = four_waiting_for_two(S(60));

	(void)state;
	for (int r = 0; r < 4; r++)
		s->ranks[r].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	/* resumed: what was slept through does not count as waiting … */
	scene_pass(s, S(1.2));
	for (int r = 0; r < 4; r++)
		s->ranks[r].run = C4_RUN_SLEEPING;
	s->ranks[2].idle_for_ns = S(60);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	/* … but what comes after does */
	scene_pass(s, S(3));
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	scene_free(s);
}

/* One look at a pause of rank 0 after another, as a checkpoint every 30 s makes them. */
static unsigned int pause_of_rank_0(struct scene *s, double seconds)
{
	unsigned int confirmed = 0;

	for (double t = 0.5; t < seconds; t += 0.5) {
		for (int r = 1; r < 4; r++)
			scene_enter(s, 0, r, C4_OP_BARRIER, S(t));
		s->ranks[0].idle_for_ns = S(t);
		s->job.now_ns += S(0.5);
		scene_look(s);
		confirmed += scene_confirmed(s) > 0;
	}
	for (int r = 0; r < 4; r++) {
		s->state[0][r].entered = ++s->state[0][r].finished;
		s->state[0][r].inside_ns = 0;
		s->state[0][r].kind = C4_OP_BARRIER;
		s->ranks[r].call.kind = C4_OP_NONE;
	}
	s->ranks[0].idle_for_ns = 0;
	for (int k = 0; k < 20; k++) {
		s->job.now_ns += S(0.5);
		scene_look(s);
		assert_int_equal(s->out.n, 0);
	}
	return confirmed;
}

static void test_pauses_are_learned(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	assert_true(pause_of_rank_0(s, 20) > 0);
	assert_true(pause_of_rank_0(s, 20) > 0);
	for (int k = 0; k < 4; k++)
		assert_int_equal(pause_of_rank_0(s, 20), 0);
	/* much longer than ever before is a hang again */
	assert_true(pause_of_rank_0(s, 35) > 0);
	scene_free(s);
}

/* What rank 0 is known to do excuses neither another rank nor a stopped one. */
static void test_learned_pause_excuses_nobody_else(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int k = 0; k < 3; k++)
		pause_of_rank_0(s, 20);
	for (int r = 0; r < 3; r++)
		scene_enter(s, 0, r, C4_OP_BARRIER, S(3.5));
	s->ranks[3].idle_for_ns = S(3.5);
	scene_look(s);
	assert_hang(s, 3);

	scene_enter(s, 0, 3, C4_OP_BARRIER, S(3.5));
	s->ranks[3].idle_for_ns = 0;
	s->state[0][0].entered = s->state[0][0].finished;
	s->ranks[0].call.kind = C4_OP_NONE;
	s->ranks[0].run = C4_RUN_STOPPED;
	s->job.now_ns += S(0.5);
	scene_look(s);
	assert_hang(s, 0);
	scene_free(s);
}

/* Three ranks work, one came early: uneven work, not three hung ranks. */
static void test_most_away_is_not_a_hang(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	scene_enter(s, 0, 0, C4_OP_ALLREDUCE, S(20));
	for (int r = 1; r < 4; r++)
		s->ranks[r].idle_for_ns = S(20);
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_free(s);
}

static void test_any_source_blames_nobody(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	scene_recv(s, 0, -1, S(60));
	for (int r = 1; r < 4; r++)
		s->ranks[r].idle_for_ns = S(60);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_silent_rank_is_not_blamed(void **state)
{
	struct scene *s = four_waiting_for_two(S(30));

	(void)state;
	s->ranks[2].silent = true;
	s->ranks[2].idle_for_ns = S(30);
	scene_look(s);
	assert_null(scene_verdict(s, C4_INC_HANG_RANK));
	assert_non_null(scene_verdict(s, C4_INC_DATA_GAP));
	assert_int_equal(scene_verdict(s, C4_INC_DATA_GAP)->nranks, 0);
	scene_free(s);
}

static void test_order_inversion_is_deadlock(void **state)
{
	struct scene *s = scene_new(4);
	const struct c4_verdict *v;

	(void)state;
	scene_comm(s, "A", 10, 0, 1, 2, 3, -1);
	scene_comm(s, "B", 10, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		scene_enter(s, r == 1 ? 1 : 0, r, C4_OP_ALLREDUCE, S(5));
	scene_look(s);
	v = scene_verdict(s, C4_INC_DEADLOCK);
	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_true(v->nranks >= 2);
	scene_free(s);
}

/* Both are in a message exchange with each other: the network's business. */
static void test_sender_and_receiver_are_no_circle(void **state)
{
	struct scene *s = scene_new(2);

	(void)state;
	scene_comm(s, "world", 10, 0, 1, -1);
	scene_recv(s, 0, 1, S(60));
	scene_recv(s, 1, 0, S(60));
	s->ranks[1].call.kind = C4_OP_SEND;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_all_inside_is_hang_comm(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		scene_enter(s, 0, r, C4_OP_ALLREDUCE, S(20));
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_pass(s, S(12));
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_HANG_COMM));
	assert_int_equal(s->out.v[0].nranks, 0);
	scene_free(s);
}

static void test_hang_in_creation(void **state)
{
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 1; r < 4; r++)
		scene_enter(s, 0, r, C4_OP_COMM_CREATE, S(3.5));
	s->ranks[0].idle_for_ns = S(3.5);
	scene_look(s);
	assert_hang(s, 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_too_early_is_suspect_only),
		cmocka_unit_test(test_busy_rank_gets_more_time),
		cmocka_unit_test(test_start_up_gets_most_time),
		cmocka_unit_test(test_debugger_is_not_a_hang),
		cmocka_unit_test(test_blame_follows_the_chain),
		cmocka_unit_test(test_chain_through_a_message),
		cmocka_unit_test(test_stopped_inside),
		cmocka_unit_test(test_stopped_inside_with_the_others),
		cmocka_unit_test(test_whole_job_suspended),
		cmocka_unit_test(test_pauses_are_learned),
		cmocka_unit_test(test_learned_pause_excuses_nobody_else),
		cmocka_unit_test(test_most_away_is_not_a_hang),
		cmocka_unit_test(test_any_source_blames_nobody),
		cmocka_unit_test(test_silent_rank_is_not_blamed),
		cmocka_unit_test(test_order_inversion_is_deadlock),
		cmocka_unit_test(test_sender_and_receiver_are_no_circle),
		cmocka_unit_test(test_all_inside_is_hang_comm),
		cmocka_unit_test(test_hang_in_creation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
