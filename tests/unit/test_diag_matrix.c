// SPDX-License-Identifier: BSD-3-Clause
/* Source × destination matrices: what is not the network's fault, and what a matrix holds. */
#include <math.h>

#include "collector/diag/matrix.h"
#include "tests/unit/matrix_scene.h"

/* ---- what is not the network ----------------------------------------------------------------- */

static void test_healthy_is_silent(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	other_ring(s);
	run(s, 12, NULL);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Rank 5 comes late: it has no buffers ready, so senders to it (sockets) wait to be rid of their
 * data, and it never waits for any. */
static void late_receiver(struct scene *s)
{
	for (uint32_t r = 0; r < 8; r++) {
		struct c4_diag_conn *k;

		if (r / 2 == 2)
			continue;
		k = scene_find(s, 0, r, 5);
		k->send.win_busy_ns *= 6;
		k->recv.win_peer_ns = 1000;
	}
}

static void test_late_receiver_is_not_its_links(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, late_receiver);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Rank 5's GPU is late: its receivers wait, but what it sends goes out at full speed. */
static void late_sender(struct scene *s)
{
	for (uint32_t d = 0; d < 8; d++) {
		struct c4_diag_conn *k;

		if (d / 2 == 2)
			continue;
		k = scene_find(s, 0, 5, d);
		k->send.win_gpu_ns *= 100;
		k->recv.win_peer_ns *= 8;
	}
}

static void test_late_sender_is_not_its_links(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, late_sender);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* The same, and nothing is known from the late sender itself. */
static void late_and_unseen(struct scene *s)
{
	late_sender(s);
	for (uint32_t d = 0; d < 8; d++)
		if (d / 2 != 2)
			scene_find(s, 0, 5, d)->send.known = false;
}

static void test_receivers_alone_do_not_accuse_a_sender(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, late_and_unseen);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void unseen_ring_cell(struct scene *s)
{
	scene_find(s, 0, 2, 3)->send.known = false;
	scene_find(s, 0, 2, 3)->recv.win_peer_ns *= 8;
}

static void test_lone_wait_accuses_nobody(void **state)
{
	struct scene *s = ring();

	(void)state;
	run(s, 6, unseen_ring_cell);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Hot experts: bytes differ tenfold; per byte all is well. */
static void skewed(struct scene *s)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++) {
		struct c4_diag_conn *k = &s->conns[0][i];
		uint64_t times = k->dst == 3 ? 10 : 1;

		carry(k, 64 * MIB * times, 128 * times, NORMAL * jitter(k, 1));
	}
}

static void test_expert_skew(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, skewed);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Small pieces cost more per byte: a fixed time per step is no slow link. */
static void small_pieces(struct scene *s)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++) {
		struct c4_diag_conn *k = &s->conns[0][i];
		uint64_t piece = k->src == 4 ? 16 << 10 : 512 << 10, steps = 1024;
		/* 10 µs a step, and 20 ns per KiB */
		double ns_per_kib = 20 + 10000.0 * 1024 / (double)piece;

		carry(k, piece * steps, steps, ns_per_kib * jitter(k, 2));
	}
}

static void test_small_pieces(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, small_pieces);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Too little was carried to say anything. */
static void trickle(struct scene *s)
{
	carry(scene_find(s, 0, 1, 6), MIB / 2, 8, NORMAL * 50);
}

static void test_few_bytes_say_nothing(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 6, trickle);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* ±40 % of noise everywhere; no cell stands out of that. */
static void noise(struct scene *s)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++) {
		struct c4_diag_conn *k = &s->conns[0][i];
		double x = jitter(k, s->comms[0].conn_serial * 3 + 1) - 1;

		carry(k, 512 * MIB, 1024, NORMAL * (1 + 8 * x));
	}
}

static void test_noise(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	for (int i = 0; i < 30; i++) {
		run(s, 1, noise);
		assert_int_equal(scene_confirmed(s), 0);
	}
	scene_free(s);
}

/* ---- the matrix itself ----------------------------------------------------------------------- */

/* A neighbour's interface carries rank 1's data (PXN): still source 1, in all its connections. */
static void two_channels(struct scene *s)
{
	slow(s, 0, 1, 6, 4);
	for (uint32_t i = 0; i < s->comms[0].nconns; i++)
		if (s->conns[0][i].channel == 1)
			carry(&s->conns[0][i], 512 * MIB, 1024, NORMAL * 4);
}

static void test_channels_of_a_pair_are_one_cell(void **state)
{
	struct scene *s = all_to_all();
	struct c4_matrix m;
	const struct c4_matrix_cell *cell;

	(void)state;
	scene_conn(s, 0, 1, 6, 1);
	run(s, 3, two_channels);
	assert_string_equal(only(s, C4_INC_SLOW_LINK)->link, "n0→n3 (rank 1 → rank 6)");
	assert_int_equal(c4_matrix_init(&m, &s->comms[0]), 0);
	cell = c4_matrix_cell(&m, 1, 6);
	assert_non_null(cell);
	assert_int_equal(cell->nconns, 2);
	assert_int_equal(cell->bytes, 1024 * MIB);
	assert_true(fabs(cell->slow - 4) < 0.4 && fabs(cell->excess - 3) < 0.4);
	assert_null(c4_matrix_cell(&m, 1, 0));
	assert_null(c4_matrix_cell(&m, 99, 0));
	c4_matrix_release(&m);
	scene_free(s);
}

/* Row, column and cell together, as an additive model has it. */
static void test_fit_takes_a_matrix_apart(void **state)
{
	struct scene *s = all_to_all();
	struct c4_matrix m;

	(void)state;
	for (uint32_t i = 0; i < s->comms[0].nconns; i++) {
		struct c4_diag_conn *k = &s->conns[0][i];
		double times = 1 + (k->src == 3) * 2.0 + (k->dst == 6) * 1.0 +
			       (k->src == 0 && k->dst == 5) * 0.5;

		carry(k, 512 * MIB, 1024, NORMAL * times);
	}
	assert_int_equal(c4_matrix_init(&m, &s->comms[0]), 0);
	assert_true(fabs(m.centre - 1) < 1e-6);
	for (uint32_t r = 0; r < 8; r++) {
		assert_true(fabs(m.tx[r] - (r == 3 ? 2.0 : 0)) < 1e-6);
		assert_true(fabs(m.rx[r] - (r == 6 ? 1.0 : 0)) < 1e-6);
	}
	assert_true(fabs(c4_matrix_cell(&m, 0, 5)->excess - 0.5) < 1e-6);
	assert_true(fabs(c4_matrix_cell(&m, 3, 6)->excess) < 1e-6);
	assert_true(fabs(c4_matrix_worst(&m) - 3) < 1e-6);
	c4_matrix_release(&m);
	scene_free(s);
}

static void test_empty_matrix(void **state)
{
	struct scene *s = all_to_all();
	struct c4_matrix m;

	(void)state;
	assert_int_equal(c4_matrix_init(&m, &s->comms[0]), 0);
	assert_int_equal(m.used, 0);
	assert_true(c4_matrix_worst(&m) == 0);
	c4_matrix_release(&m);
	window(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy_is_silent),
		cmocka_unit_test(test_late_receiver_is_not_its_links),
		cmocka_unit_test(test_late_sender_is_not_its_links),
		cmocka_unit_test(test_receivers_alone_do_not_accuse_a_sender),
		cmocka_unit_test(test_lone_wait_accuses_nobody),
		cmocka_unit_test(test_expert_skew),
		cmocka_unit_test(test_small_pieces),
		cmocka_unit_test(test_few_bytes_say_nothing),
		cmocka_unit_test(test_noise),
		cmocka_unit_test(test_channels_of_a_pair_are_one_cell),
		cmocka_unit_test(test_fit_takes_a_matrix_apart),
		cmocka_unit_test(test_empty_matrix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
