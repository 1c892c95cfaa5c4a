// SPDX-License-Identifier: BSD-3-Clause
/* Hangs of operations on GPUs: who is named, by what the connections say, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

#define RANKS 8u
#define OP    100u

/* A ring over eight ranks, two to a node, everybody inside operation OP since for_ns. */
static struct scene *ring(uint64_t for_ns)
{
	struct scene *s = scene_new(RANKS);

	scene_comm(s, "dp", OP, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 0);
	for (uint32_t m = 0; m < RANKS; m++) {
		struct c4_diag_conn *k = scene_conn(s, 0, m, (m + 1) % RANKS, 0);

		scene_launch(s, 0, m, for_ns, true);
		scene_end(&k->send, OP, C4_CONN_GPU_WAIT, for_ns);
		scene_end(&k->recv, OP, C4_CONN_RECEIVING, for_ns);
		k->recv.posted += 8;
	}
	return s;
}

/* The connection src → src+1 stops; everything behind it stops in ring order. */
static struct scene *ring_stopped_at(uint32_t src, uint64_t for_ns)
{
	struct scene *s = ring(for_ns);
	struct c4_diag_conn *k = scene_find(s, 0, src, (src + 1) % RANKS);

	k->send.posted += 8;
	k->send.phase = C4_CONN_SENDING;
	/* the one before it cannot get rid of its data, either */
	k = scene_find(s, 0, (src + RANKS - 1) % RANKS, src);
	k->send.posted += 8;
	k->send.phase = C4_CONN_PEER_WAIT;
	k->recv.phase = C4_CONN_GPU_WAIT;
	return s;
}

static const struct c4_verdict *hang_comm(const struct scene *s)
{
	return scene_verdict(s, C4_INC_HANG_COMM);
}

static void test_stalled_connection_is_named(void **state)
{
	struct scene *s = ring_stopped_at(3, S(3.5));
	const struct c4_verdict *v;

	(void)state;
	scene_look(s);
	v = hang_comm(s);
	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_string_equal(v->link, "n1→n2 (rank 3 → rank 4)");
	assert_int_equal(v->nranks, 2);
	assert_int_equal(v->ranks[0], 3);
	assert_int_equal(v->ranks[1], 4);
	assert_int_equal(v->nwaiting, 8);
	assert_true(v->since_ns >= S(3) && v->since_ns <= S(4));
	assert_non_null(strstr(v->summary, "AllReduce #100 of comm dp"));
	scene_free(s);
}

static void test_young_standstill_is_suspect_only(void **state)
{
	struct scene *s = ring_stopped_at(3, S(1.6));

	(void)state;
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	assert_int_equal(s->out.n, 1);
	assert_int_equal(s->out.v[0].kind, C4_INC_HANG_COMM);
	scene_free(s);
}

/* One connection that still moves: slow, not hung. */
static void test_progress_is_no_hang(void **state)
{
	struct scene *s = ring_stopped_at(3, S(20));

	(void)state;
	scene_find(s, 0, 6, 7)->recv.still_ns = MS(200);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* The threshold follows the communicator's own operations. */
static void test_long_operations_get_longer(void **state)
{
	struct scene *s = ring_stopped_at(3, S(6));

	(void)state;
	s->comms[0].nwindows = 1;
	s->comms[0].windows[0] = (struct c4_diag_window){.count = 1, .parts = s->parts[0][0]};
	s->parts[0][0][2].sync_max_ns = S(4);
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_pass(s, S(7));
	scene_look(s);
	assert_non_null(hang_comm(s));
	scene_free(s);
}

/* Sockets: the sender's data went into a buffer, for it all is done; only the counters tell. */
static void test_lost_on_the_way(void **state)
{
	struct scene *s = ring(S(3.5));

	(void)state;
	scene_find(s, 0, 5, 6)->send.posted += 3;
	scene_find(s, 0, 5, 6)->send.transmitted += 3;
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_string_equal(hang_comm(s)->link, "n2→n3 (rank 5 → rank 6)");
	scene_free(s);
}

/* The ends have looked at different times: then their counters say nothing of one another. */
static void test_counters_of_other_times_accuse_nobody(void **state)
{
	struct scene *s = ring(S(3.5));

	(void)state;
	for (uint32_t i = 0; i < RANKS; i++)
		s->conns[0][i].send.transmitted += i % 2 ? 300 : 7;
	scene_find(s, 0, 2, 3)->send.transmitted -= 100;
	scene_look(s);
	assert_null(hang_comm(s));
	scene_free(s);
}

/* The sender has ended its part of this very operation, the receiver waits for it. */
static void test_sender_has_ended(void **state)
{
	struct scene *s = ring(S(3.5));

	(void)state;
	scene_find(s, 0, 1, 2)->send.active = 0;
	scene_find(s, 0, 1, 2)->send.phase = C4_CONN_IDLE;
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_string_equal(hang_comm(s)->link, "n0→n1 (rank 1 → rank 2)");
	scene_free(s);
}

/* All wait for the data of the one before: a circle without a beginning names nobody. */
static void test_circle_of_waits_names_nobody(void **state)
{
	struct scene *s = ring(S(3.5));

	(void)state;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_pass(s, S(30));
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(hang_comm(s)->nranks, 0);
	assert_string_equal(hang_comm(s)->link, "");
	scene_free(s);
}

static void test_without_connections_nobody_is_named(void **state)
{
	struct scene *s = ring_stopped_at(3, S(12));

	(void)state;
	s->comms[0].nconns = 0;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_pass(s, S(20));
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(hang_comm(s)->nranks, 0);
	scene_free(s);
}

/* Rank 4 has data to read and room to send, and does neither: its GPU. */
static void test_gpu_that_stands_still(void **state)
{
	struct scene *s = ring(S(3.5));
	struct c4_diag_conn *in = scene_find(s, 0, 3, 4);

	(void)state;
	in->send.phase = C4_CONN_PEER_WAIT;
	in->recv.phase = C4_CONN_GPU_WAIT;
	s->ranks[4].gpu_device = 2;
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(hang_comm(s)->nranks, 1);
	assert_int_equal(hang_comm(s)->ranks[0], 4);
	assert_string_equal(hang_comm(s)->gpu, "n2/gpu1");
	assert_string_equal(hang_comm(s)->node, "n2");
	assert_non_null(strstr(hang_comm(s)->summary, "the GPU of rank 4"));
	scene_free(s);
}

/* Every connection of a receiver stands still: its side, not a link. */
static void test_receiving_side(void **state)
{
	struct scene *s = ring(S(3.5));

	(void)state;
	for (uint32_t src = 0; src < 3; src++) {
		struct c4_diag_conn *k = scene_conn(s, 0, src, 6, 1);

		scene_end(&k->send, OP, C4_CONN_SENDING, S(3.5));
		scene_end(&k->recv, OP, C4_CONN_RECEIVING, S(3.5));
		k->send.posted += 8;
	}
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(hang_comm(s)->nranks, 1);
	assert_int_equal(hang_comm(s)->ranks[0], 6);
	assert_string_equal(hang_comm(s)->nic, "n3 receiving");
	scene_free(s);
}

static void test_many_stalled_name_the_network(void **state)
{
	struct scene *s = ring_stopped_at(3, S(3.5));

	(void)state;
	scene_find(s, 0, 6, 7)->send.phase = C4_CONN_SENDING;
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(hang_comm(s)->nranks, 0);
	assert_non_null(strstr(hang_comm(s)->summary, "2 connections"));
	scene_free(s);
}

/* Only the sender has an agent. */
static void test_unknown_receiver(void **state)
{
	struct scene *s = ring_stopped_at(3, S(3.5));

	(void)state;
	scene_find(s, 0, 3, 4)->recv.known = false;
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_string_equal(hang_comm(s)->link, "n1→n2 (rank 3 → rank 4)");
	assert_true(hang_comm(s)->confidence < 0.9);
	scene_free(s);
}

/* PXN: a neighbour runs the connection; it is still between the ranks it belongs to. */
static void test_steps_in_other_communicators_do_not_matter(void **state)
{
	struct scene *s = ring_stopped_at(3, S(3.5));

	(void)state;
	scene_comm(s, "tp", 10, 0, 1, -1);
	scene_gpu(s, 1);
	scene_end(&scene_conn(s, 1, 0, 1, 0)->send, 10, C4_CONN_SENDING, MS(1));
	scene_look(s);
	assert_non_null(hang_comm(s));
	assert_int_equal(scene_confirmed(s), 1);
	scene_free(s);
}

/* One fault, two communicators over the same wire: one verdict. */
static void test_same_link_is_told_once(void **state)
{
	struct scene *s = ring_stopped_at(0, S(3.5));
	struct c4_diag_conn *k;

	(void)state;
	scene_comm(s, "tp", 50, 0, 1, -1);
	scene_gpu(s, 1);
	for (uint32_t m = 0; m < 2; m++)
		scene_launch(s, 1, m, S(3.5), true);
	k = scene_conn(s, 1, 0, 1, 0);
	scene_end(&k->send, 50, C4_CONN_SENDING, S(3.5));
	scene_end(&k->recv, 50, C4_CONN_RECEIVING, S(3.5));
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 1);
	scene_free(s);
}

/* ---- somebody is missing: that is not the network -------------------------------------------- */

/* Rank 2 never called; the others' kernels wait, their processes spin. */
static struct scene *one_missing(uint64_t for_ns)
{
	struct scene *s = ring(for_ns);
	struct c4_diag_member *m = &s->state[0][2];

	m->entered = m->gpu_started = m->finished;
	m->gpu_inside_ns = m->inside_ns = 0;
	scene_find(s, 0, 2, 3)->send.active = 0;
	scene_find(s, 0, 1, 2)->recv.active = 0;
	scene_find(s, 0, 1, 2)->send.phase = C4_CONN_PEER_WAIT;
	return s;
}

static void test_missing_rank_is_hang_rank(void **state)
{
	struct scene *s = one_missing(S(3.5));

	(void)state;
	s->ranks[2].idle_for_ns = S(3.4);
	scene_look(s);
	assert_null(hang_comm(s));
	assert_int_equal(scene_confirmed(s), 1);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	assert_int_equal(s->out.v[0].ranks[0], 2);
	assert_int_equal(s->out.v[0].nwaiting, 7);
	assert_non_null(strstr(s->out.v[0].summary, "AllReduce #100 of comm dp"));
	scene_free(s);
}

/* It computes: that may take its time. */
static void test_busy_missing_rank_gets_more_time(void **state)
{
	struct scene *s = one_missing(S(5));

	(void)state;
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 0);
	scene_pass(s, S(4));
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	scene_free(s);
}

/* Handed to the stream like everybody's, but the GPU never began it. */
static void test_kernel_that_never_begins(void **state)
{
	struct scene *s = one_missing(S(9));
	const struct c4_verdict *v;

	(void)state;
	scene_launch(s, 0, 2, S(9), false);
	s->ranks[2].gpu_device = 1;
	scene_look(s);
	v = scene_verdict(s, C4_INC_HANG_RANK);
	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(v->ranks[0], 2);
	assert_string_equal(v->gpu, "n1/gpu0");
	assert_non_null(strstr(v->summary, "a GPU that has not begun it"));
	scene_free(s);
}

/* Run-ahead is everyday life: three operations handed over, kernels one after the other. */
static void test_operations_in_the_queue_are_no_hang(void **state)
{
	struct scene *s = ring(MS(300));

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++)
		s->state[0][m].entered += 3 + m % 2;
	for (uint32_t i = 0; i < RANKS; i++) {
		s->conns[0][i].send.still_ns = MS(5);
		s->conns[0][i].recv.still_ns = MS(5);
	}
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* No kernel events: an operation counts as begun once handed over. Hosts run ahead of what hangs,
 * one further than the other: the one behind is not what the others wait for. */
static void test_hosts_ahead_of_a_hang(void **state)
{
	struct scene *s = ring(S(12));

	(void)state;
	s->comms[0].nconns = 0;
	for (uint32_t m = 0; m < RANKS; m++) {
		s->state[0][m].gpu_started = 0;
		s->state[0][m].entered += m == 5 ? 2 : 6;
	}
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Rank 2 is late here because its kernel waits for rank 3 in their own communicator. */
static void test_blame_follows_the_chain_on_gpus(void **state)
{
	struct scene *s = one_missing(S(3.5));

	(void)state;
	scene_comm(s, "tp", 40, 2, 3, -1);
	scene_gpu(s, 1);
	scene_launch(s, 1, 0, S(3.6), true);
	s->state[0][3].entered = s->state[0][3].gpu_started = s->state[0][3].finished;
	s->state[0][3].gpu_inside_ns = s->state[0][3].inside_ns = 0;
	s->ranks[3].idle_for_ns = S(3.5);
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 1);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	assert_int_equal(scene_verdict(s, C4_INC_HANG_RANK)->ranks[0], 3);
	scene_free(s);
}

/* A pipeline: rank 3 is missing because its kernel waits for a message of rank 1, which sleeps. */
static struct scene *pipeline(void)
{
	struct scene *s = scene_new(4);

	scene_comm(s, "dp", 10, 2, 3, -1);
	scene_comm(s, "pp", 0, 1, 3, -1);
	scene_gpu(s, 0);
	scene_gpu(s, 1);
	scene_launch(s, 0, 0, S(3.5), true);
	s->state[1][1].p2p_open = true;
	s->ranks[1].idle_for_ns = S(3.6);
	return s;
}

static void test_chain_through_a_message_on_gpus(void **state)
{
	struct scene *s = pipeline();

	(void)state;
	scene_end(&scene_conn(s, 1, 0, 1, 0)->recv, 0, C4_CONN_RECEIVING, S(3.5));
	scene_look(s);
	assert_int_equal(scene_confirmed(s), 1);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	assert_int_equal(scene_verdict(s, C4_INC_HANG_RANK)->ranks[0], 1);
	scene_free(s);
}

/* Within a node no connection is seen: then it is not known whose fault it is. */
static void test_unseen_message_blames_nobody(void **state)
{
	struct scene *s = pipeline();

	(void)state;
	s->ranks[3].idle_for_ns = S(3.6);
	scene_pass(s, S(20));
	scene_look(s);
	assert_null(scene_verdict(s, C4_INC_HANG_RANK));
	scene_free(s);
}

/* Stopped inside the operation like everybody: its proxy moves nothing any more. */
static void test_stopped_inside_the_operation(void **state)
{
	struct scene *s = ring_stopped_at(4, S(3));

	(void)state;
	s->ranks[5].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_null(hang_comm(s));
	assert_int_equal(scene_confirmed(s), 1);
	assert_non_null(scene_verdict(s, C4_INC_HANG_RANK));
	assert_int_equal(scene_verdict(s, C4_INC_HANG_RANK)->ranks[0], 5);
	scene_free(s);
}

/* Suspended for an hour as a whole, resumed: nothing hangs yet. */
static void test_resumed_job(void **state)
{
	struct scene *s = ring_stopped_at(3, S(3600));

	(void)state;
	for (uint32_t r = 0; r < RANKS; r++)
		s->ranks[r].run = C4_RUN_STOPPED;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	for (uint32_t r = 0; r < RANKS; r++)
		s->ranks[r].run = C4_RUN_RUNNING;
	scene_pass(s, S(1));
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_pass(s, S(2.5));
	scene_look(s);
	assert_non_null(hang_comm(s));
	scene_free(s);
}

/* Different operations at the same number: nobody hangs, the program is wrong. */
static void test_mismatch_on_gpus(void **state)
{
	struct scene *s = ring_stopped_at(3, S(5));

	(void)state;
	scene_did(s, 0, 6, C4_OP_ALLGATHER, 4096, -1);
	scene_look(s);
	assert_non_null(scene_verdict(s, C4_INC_MISMATCH));
	assert_int_equal(scene_verdict(s, C4_INC_MISMATCH)->ranks[0], 6);
	assert_int_equal(scene_confirmed(s), 1);
	scene_free(s);
}

/* ---- what the library and the devices say themselves ----------------------------------------- */

static void test_async_error_names_where_it_broke(void **state)
{
	struct scene *s = ring(MS(100));
	const struct c4_verdict *v;

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++)
		s->state[0][m].async_error = m == 6 ? 2 : m % 2 ? 6 : 0;
	scene_look(s);
	v = hang_comm(s);
	assert_non_null(v);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 6);
	assert_non_null(strstr(v->summary, "NCCL error 2"));
	scene_free(s);
}

/* All others have lost a peer, and one gave up that nothing had happened to; one who gave up after
 * an error did not begin. */
static void test_abort_names_who_gave_up_unasked(void **state)
{
	struct scene *s = ring(MS(100));
	const struct c4_verdict *v;

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++) {
		s->state[0][m].async_error = m == 2 ? 0 : m < 5 ? 6 : 0;
		s->state[0][m].aborted = m == 2 || m == 3;
	}
	scene_look(s);
	v = hang_comm(s);
	assert_non_null(v);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 2);
	assert_true(v->confidence < 0.8);
	assert_string_equal(v->evidence[1].metric, "aborted");
	assert_true(v->evidence[1].value == 2);
	scene_free(s);
}

/* The error tells where it broke, whoever gives up then. */
static void test_abort_does_not_outweigh_an_error(void **state)
{
	struct scene *s = ring(MS(100));
	const struct c4_verdict *v;

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++)
		s->state[0][m].async_error = m == 6 ? 2 : m == 2 ? 0 : 6;
	s->state[0][2].aborted = true;
	scene_look(s);
	v = hang_comm(s);
	assert_non_null(v);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 6);
	scene_free(s);
}

/* Giving up is the program's right: without an error nobody is accused of it. */
static void test_abort_alone_is_no_fault(void **state)
{
	struct scene *s = ring(MS(100));

	(void)state;
	s->state[0][2].aborted = true;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Peers of a dead rank report errors, too: the death is the fault. */
static void test_async_errors_after_a_crash(void **state)
{
	struct scene *s = ring(MS(100));

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++)
		s->state[0][m].async_error = 6;
	s->ranks[3].run = C4_RUN_GONE;
	s->ranks[3].gone_for_ns = S(1);
	scene_look(s);
	assert_null(hang_comm(s));
	assert_non_null(scene_verdict(s, C4_INC_CRASH));
	scene_free(s);
}

static void test_in_progress_is_no_error(void **state)
{
	struct scene *s = ring(MS(100));

	(void)state;
	for (uint32_t m = 0; m < RANKS; m++)
		s->state[0][m].async_error = 7;
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static bool has_evidence(const struct c4_verdict *v, const char *metric, const char *word)
{
	for (uint32_t i = 0; i < v->nevidence; i++)
		if (!strcmp(v->evidence[i].metric, metric) && strstr(v->evidence[i].detail, word))
			return true;
	return false;
}

static void test_health_is_evidence(void **state)
{
	static const struct c4_diag_gpu gpu = {.index = 1,
					       .sm_mhz = 900,
					       .sm_max_mhz = 1980,
					       .celsius = 91,
					       .throttle = 0x40,
					       .last_xid = 79,
					       .last_xid_age_ns = S(5)};
	static const struct c4_diag_nic nics[] = {
		{.name = "eth0", .up = true},
		{.name = "mlx5_1", .up = true, .errors = 12, .over_s = 60}};
	static const struct c4_diag_health health = {&gpu, nics, 1, 2};
	struct scene *s = ring_stopped_at(3, S(3.5));
	const struct c4_verdict *v;

	(void)state;
	s->ranks[4].gpu = &gpu;
	s->ranks[4].health = s->ranks[5].health = &health;
	scene_look(s);
	v = hang_comm(s);
	assert_non_null(v);
	assert_true(has_evidence(v, "gpu_mhz", "hardware thermal slowdown"));
	assert_true(has_evidence(v, "gpu_xid", "fallen off the bus"));
	assert_true(has_evidence(v, "nic_errors", "n2/mlx5_1"));
	assert_false(has_evidence(v, "nic_errors", "eth0"));
	assert_string_equal(v->nic, "n2/mlx5_1");
	assert_string_equal(v->node, "n2");
	scene_free(s);
}

/* A hot GPU that holds nobody up is not told of. */
static void test_health_alone_accuses_nobody(void **state)
{
	static const struct c4_diag_gpu gpu = {.throttle = 0x48, .ecc = 3, .last_xid = 48};
	struct scene *s = ring(MS(50));

	(void)state;
	s->ranks[4].gpu = &gpu;
	for (uint32_t i = 0; i < RANKS; i++)
		s->conns[0][i].send.still_ns = s->conns[0][i].recv.still_ns = MS(1);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stalled_connection_is_named),
		cmocka_unit_test(test_young_standstill_is_suspect_only),
		cmocka_unit_test(test_progress_is_no_hang),
		cmocka_unit_test(test_long_operations_get_longer),
		cmocka_unit_test(test_lost_on_the_way),
		cmocka_unit_test(test_counters_of_other_times_accuse_nobody),
		cmocka_unit_test(test_sender_has_ended),
		cmocka_unit_test(test_circle_of_waits_names_nobody),
		cmocka_unit_test(test_without_connections_nobody_is_named),
		cmocka_unit_test(test_gpu_that_stands_still),
		cmocka_unit_test(test_receiving_side),
		cmocka_unit_test(test_many_stalled_name_the_network),
		cmocka_unit_test(test_unknown_receiver),
		cmocka_unit_test(test_steps_in_other_communicators_do_not_matter),
		cmocka_unit_test(test_same_link_is_told_once),
		cmocka_unit_test(test_missing_rank_is_hang_rank),
		cmocka_unit_test(test_busy_missing_rank_gets_more_time),
		cmocka_unit_test(test_kernel_that_never_begins),
		cmocka_unit_test(test_operations_in_the_queue_are_no_hang),
		cmocka_unit_test(test_hosts_ahead_of_a_hang),
		cmocka_unit_test(test_blame_follows_the_chain_on_gpus),
		cmocka_unit_test(test_chain_through_a_message_on_gpus),
		cmocka_unit_test(test_unseen_message_blames_nobody),
		cmocka_unit_test(test_stopped_inside_the_operation),
		cmocka_unit_test(test_resumed_job),
		cmocka_unit_test(test_mismatch_on_gpus),
		cmocka_unit_test(test_async_error_names_where_it_broke),
		cmocka_unit_test(test_async_errors_after_a_crash),
		cmocka_unit_test(test_abort_names_who_gave_up_unasked),
		cmocka_unit_test(test_abort_does_not_outweigh_an_error),
		cmocka_unit_test(test_abort_alone_is_no_fault),
		cmocka_unit_test(test_in_progress_is_no_error),
		cmocka_unit_test(test_health_is_evidence),
		cmocka_unit_test(test_health_alone_accuses_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
