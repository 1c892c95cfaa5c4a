// SPDX-License-Identifier: BSD-3-Clause
/* slow-tx, slow-rx, slow-link, congestion by source × destination matrices; each with its
 * near-misses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collector/diag/matrix.h"
#include "tests/unit/scene.h"

#define MIB    (1ull << 20)
#define NORMAL 100.0 /* network ns per KiB of a healthy connection */

/* ---- traffic --------------------------------------------------------------------------------- */

/* The same ±5 % in each test run, different per connection and window. */
static double jitter(const struct c4_diag_conn *k, uint64_t serial)
{
	uint64_t x = (k->src * 131 + k->dst * 31 + k->channel * 7 + serial * 977) * 2654435761u;

	return 1 + 0.05 * ((double)((x >> 20) % 101) - 50) / 50;
}

/* One window: what the network took per KiB is what both ends see of it. */
static void carry(struct c4_diag_conn *k, uint64_t bytes, uint64_t steps, double ns_per_kib)
{
	uint64_t ns = (uint64_t)((double)bytes / 1024 * ns_per_kib);

	k->send.win_bytes = k->recv.win_bytes = bytes;
	k->send.win_steps = k->recv.win_steps = steps;
	k->send.win_busy_ns = k->recv.win_peer_ns = ns;
	k->send.win_peer_ns = k->recv.win_busy_ns = 0;
	k->send.win_gpu_ns = k->recv.win_gpu_ns = ns / 4;
}

/* Every connection of all communicators carries 512 MiB at the normal rate. */
static void healthy(struct scene *s)
{
	for (uint32_t c = 0; c < s->job.ncomms; c++)
		for (uint32_t i = 0; i < s->comms[c].nconns; i++) {
			struct c4_diag_conn *k = &s->conns[c][i];

			carry(k, 512 * MIB, 1024, NORMAL * jitter(k, s->comms[c].conn_serial));
		}
}

static void slow(struct scene *s, uint32_t comm, uint32_t src, uint32_t dst, double times)
{
	carry(scene_find(s, comm, src, dst), 512 * MIB, 1024,
	      NORMAL * times * jitter(scene_find(s, comm, src, dst), s->comms[comm].conn_serial));
}

/* Time goes by, a window closes in each communicator, and somebody looks. */
static void window(struct scene *s)
{
	s->job.now_ns += S(2);
	for (uint32_t c = 0; c < s->job.ncomms; c++) {
		s->comms[c].conn_serial += s->comms[c].nconns > 0;
		s->comms[c].conn_window_ns = S(2);
	}
	scene_look(s);
}

/* Eight ranks, two to a node, everybody talks to everybody. */
static struct scene *all_to_all(void)
{
	struct scene *s = scene_new(8);

	scene_comm(s, "ep", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 0);
	for (uint32_t a = 0; a < 8; a++)
		for (uint32_t b = 0; b < 8; b++)
			if (a / 2 != b / 2)
				scene_conn(s, 0, a, b, 0);
	return s;
}

/* Eight nodes of one rank, a ring: one connection per source and destination. */
static struct scene *ring(void)
{
	struct scene *s = scene_new(8);

	scene_comm(s, "dp", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 0);
	for (uint32_t r = 0; r < 8; r++) {
		s->ranks[r].node = scene_nodes[r];
		scene_conn(s, 0, r, (r + 1) % 8, 0);
	}
	return s;
}

typedef void (*fault_fn)(struct scene *s);

/* n windows with this fault; none: healthy ones. */
static void run(struct scene *s, unsigned int n, fault_fn fault)
{
	while (n--) {
		healthy(s);
		if (fault)
			fault(s);
		window(s);
	}
}

static const struct c4_verdict *only(struct scene *s, enum c4_incident_kind kind)
{
	const struct c4_verdict *v = scene_verdict(s, kind);

	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	return v;
}

/* ---- sources, destinations, links ------------------------------------------------------------ */

static void slow_source_5(struct scene *s)
{
	for (uint32_t d = 0; d < 8; d++)
		if (d / 2 != 2)
			slow(s, 0, 5, d, 3);
}

static void test_slow_sender(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *v;

	(void)state;
	run(s, 3, slow_source_5);
	v = only(s, C4_INC_SLOW_TX);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 5);
	assert_string_equal(v->node, "n2");
	assert_string_equal(v->nic, "n2 sending");
	assert_string_equal(v->link, "");
	assert_true(v->evidence[0].value > 2.5 * v->evidence[0].peers_median);
	assert_int_equal(v->evidence[0].blocks, 3);
	assert_int_equal(v->since_ns, S(6));
	scene_free(s);
}

static void slow_destination_2(struct scene *s)
{
	for (uint32_t r = 0; r < 8; r++)
		if (r / 2 != 1)
			slow(s, 0, r, 2, 2.5);
}

static void test_slow_receiver(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *v;

	(void)state;
	run(s, 3, slow_destination_2);
	v = only(s, C4_INC_SLOW_RX);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 2);
	assert_string_equal(v->nic, "n1 receiving");
	scene_free(s);
}

static void slow_cell(struct scene *s)
{
	slow(s, 0, 1, 6, 4);
}

static void test_slow_link(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *v;

	(void)state;
	run(s, 3, slow_cell);
	v = only(s, C4_INC_SLOW_LINK);
	assert_string_equal(v->link, "n0→n3 (rank 1 → rank 6)");
	assert_int_equal(v->nranks, 2);
	assert_null(v->node);
	assert_non_null(strstr(v->summary, "other connections of both ends are as usual"));
	scene_free(s);
}

/* Half of a node's interface: both ranks on it, both ways. */
static void half_interface(struct scene *s)
{
	for (uint32_t r = 0; r < 8; r++) {
		if (r / 2 == 3)
			continue;
		for (uint32_t k = 6; k < 8; k++) {
			slow(s, 0, k, r, 2);
			slow(s, 0, r, k, 2);
		}
	}
}

static void test_whole_node_both_ways(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *tx, *rx;

	(void)state;
	run(s, 3, half_interface);
	tx = scene_verdict(s, C4_INC_SLOW_TX);
	rx = scene_verdict(s, C4_INC_SLOW_RX);
	assert_non_null(tx);
	assert_non_null(rx);
	assert_int_equal(scene_confirmed(s), 2);
	assert_int_equal(tx->nranks, 2);
	assert_string_equal(tx->node, "n3");
	assert_string_equal(rx->node, "n3");
	scene_free(s);
}

/* ---- persistence ----------------------------------------------------------------------------- */

static void test_one_window_is_a_suspicion(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 3, NULL);
	assert_int_equal(s->out.n, 0);
	run(s, 1, slow_source_5);
	assert_int_equal(scene_confirmed(s), 0);
	assert_int_equal(s->out.n, 1);
	assert_int_equal(s->out.v[0].kind, C4_INC_SLOW_TX);
	run(s, 8, NULL);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_key_is_stable(void **state)
{
	struct scene *s = all_to_all();
	uint64_t key;

	(void)state;
	run(s, 3, slow_source_5);
	key = only(s, C4_INC_SLOW_TX)->key;
	for (int i = 0; i < 4; i++) { /* looks between windows say the same */
		s->job.now_ns += MS(250);
		scene_look(s);
		assert_true(only(s, C4_INC_SLOW_TX)->key == key);
	}
	run(s, 2, slow_source_5);
	assert_true(only(s, C4_INC_SLOW_TX)->key == key);
	scene_free(s);
}

static void test_it_comes_and_goes(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *v;

	(void)state;
	for (int i = 0; i < 4; i++) {
		run(s, 1, slow_cell);
		run(s, 1, NULL);
	}
	v = only(s, C4_INC_SLOW_LINK);
	assert_string_equal(v->evidence[v->nevidence - 1].metric, "flapping");
	scene_free(s);
}

static void test_old_windows_say_nothing_of_now(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 3, slow_cell);
	s->job.now_ns += S(60);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* ---- rings: one connection per source and destination ---------------------------------------- */

static void ring_cell(struct scene *s)
{
	slow(s, 0, 2, 3, 3);
}

static void test_ring_cannot_tell_the_ends(void **state)
{
	struct scene *s = ring();
	const struct c4_verdict *v;

	(void)state;
	run(s, 3, ring_cell);
	v = only(s, C4_INC_SLOW_LINK);
	assert_string_equal(v->link, "n2→n3 (rank 2 → rank 3)");
	assert_true(v->confidence < 0.8);
	assert_non_null(strstr(v->summary, "nothing else tells"));
	scene_free(s);
}

/* Another communicator of the same ranks, in another order. */
static void other_ring(struct scene *s)
{
	static const uint32_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};

	scene_comm(s, "cp", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	scene_gpu(s, 1);
	for (uint32_t i = 0; i < 8; i++)
		scene_conn(s, 1, order[i], order[(i + 1) % 8], 0);
}

static void both_out_of_2(struct scene *s)
{
	slow(s, 0, 2, 3, 3);
	slow(s, 1, 2, 4, 3);
}

static void test_other_communicator_tells_the_sender(void **state)
{
	struct scene *s = ring();
	const struct c4_verdict *v;

	(void)state;
	other_ring(s);
	run(s, 3, both_out_of_2);
	v = only(s, C4_INC_SLOW_TX);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 2);
	scene_free(s);
}

static void both_into_3(struct scene *s)
{
	slow(s, 0, 2, 3, 3);
	slow(s, 1, 1, 3, 3);
}

static void test_other_communicator_tells_the_receiver(void **state)
{
	struct scene *s = ring();

	(void)state;
	other_ring(s);
	run(s, 3, both_into_3);
	assert_int_equal(only(s, C4_INC_SLOW_RX)->ranks[0], 3);
	scene_free(s);
}

static void test_other_communicator_clears_both_ends(void **state)
{
	struct scene *s = ring();
	const struct c4_verdict *v;

	(void)state;
	other_ring(s);
	run(s, 3, ring_cell);
	v = only(s, C4_INC_SLOW_LINK);
	assert_true(v->confidence > 0.85);
	scene_free(s);
}

static void test_interface_tells_the_end(void **state)
{
	static const struct c4_diag_nic bad[] = {
		{.name = "eth0", .up = true, .errors = 7, .tx_bytes = 1, .over_s = 60}};
	static const struct c4_diag_nic good[] = {
		{.name = "eth0", .up = true, .tx_bytes = 1, .over_s = 60}};
	static const struct c4_diag_health sick = {NULL, bad, 0, 1}, well = {NULL, good, 0, 1};
	struct scene *s = ring();
	const struct c4_verdict *v;

	(void)state;
	s->ranks[2].health = &well;
	s->ranks[3].health = &sick;
	run(s, 3, ring_cell);
	v = only(s, C4_INC_SLOW_RX);
	assert_int_equal(v->ranks[0], 3);
	assert_string_equal(v->nic, "n3/eth0");
	scene_free(s);
}

static void through_node_3(struct scene *s)
{
	slow(s, 0, 2, 3, 3);
	slow(s, 0, 3, 4, 3);
}

/* Acknowledgements queue behind a slow sender's data: both its edges look slow. */
static void test_both_edges_of_a_node(void **state)
{
	struct scene *s = ring();
	const struct c4_verdict *v;

	(void)state;
	run(s, 3, through_node_3);
	v = only(s, C4_INC_SLOW_TX);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], 3);
	assert_non_null(strstr(v->summary, "direction not known"));
	assert_true(v->confidence < 0.8);
	scene_free(s);
}

/* ---- what several share ---------------------------------------------------------------------- */

static void block(struct scene *s)
{
	for (uint32_t a = 0; a < 4; a += 2)
		for (uint32_t b = 4; b < 8; b += 2)
			slow(s, 0, a, b, 3);
}

static void test_block_is_congestion(void **state)
{
	struct scene *s = all_to_all();
	const struct c4_verdict *v;

	(void)state;
	run(s, 4, NULL);
	run(s, 3, block);
	v = only(s, C4_INC_CONGESTION);
	assert_int_equal(v->nranks, 0);
	assert_null(v->node);
	assert_non_null(strstr(v->summary, "from 2 sources to 2 destinations"));
	scene_free(s);
}

static void half_the_sources(struct scene *s)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++) {
		const struct c4_diag_conn *k = &s->conns[0][i];

		if (k->src < 4)
			slow(s, 0, k->src, k->dst, 3);
	}
}

static void test_half_of_all_is_congestion(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 4, NULL);
	run(s, 3, half_the_sources);
	assert_int_equal(only(s, C4_INC_CONGESTION)->nranks, 0);
	scene_free(s);
}

/* Two kinds of interfaces from the start: how the cluster is built. */
static void test_constant_halves_are_no_congestion(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 12, half_the_sources);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Two slow senders on different nodes of many: both are named. */
static void two_sources(struct scene *s)
{
	slow_source_5(s);
	for (uint32_t d = 2; d < 8; d++)
		slow(s, 0, 0, d, 3);
}

static void test_two_slow_senders(void **state)
{
	struct scene *s = all_to_all();
	uint32_t named = 0;

	(void)state;
	run(s, 3, two_sources);
	assert_int_equal(scene_confirmed(s), 2);
	for (uint32_t i = 0; i < s->out.n; i++) {
		assert_int_equal(s->out.v[i].kind, C4_INC_SLOW_TX);
		named |= 1u << s->out.v[i].ranks[0];
	}
	assert_int_equal(named, 1u << 5 | 1u << 0);
	scene_free(s);
}

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

/* Receivers nobody knows of: the senders' view is enough. */
static void senders_only(struct scene *s)
{
	slow_source_5(s);
	for (uint32_t i = 0; i < s->comms[0].nconns; i++)
		s->conns[0][i].recv.known = false;
}

static void test_missing_receivers(void **state)
{
	struct scene *s = all_to_all();

	(void)state;
	run(s, 3, senders_only);
	assert_int_equal(only(s, C4_INC_SLOW_TX)->ranks[0], 5);
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
		cmocka_unit_test(test_slow_sender),
		cmocka_unit_test(test_slow_receiver),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_whole_node_both_ways),
		cmocka_unit_test(test_one_window_is_a_suspicion),
		cmocka_unit_test(test_key_is_stable),
		cmocka_unit_test(test_it_comes_and_goes),
		cmocka_unit_test(test_old_windows_say_nothing_of_now),
		cmocka_unit_test(test_ring_cannot_tell_the_ends),
		cmocka_unit_test(test_other_communicator_tells_the_sender),
		cmocka_unit_test(test_other_communicator_tells_the_receiver),
		cmocka_unit_test(test_other_communicator_clears_both_ends),
		cmocka_unit_test(test_interface_tells_the_end),
		cmocka_unit_test(test_both_edges_of_a_node),
		cmocka_unit_test(test_block_is_congestion),
		cmocka_unit_test(test_half_of_all_is_congestion),
		cmocka_unit_test(test_constant_halves_are_no_congestion),
		cmocka_unit_test(test_two_slow_senders),
		cmocka_unit_test(test_healthy_is_silent),
		cmocka_unit_test(test_late_receiver_is_not_its_links),
		cmocka_unit_test(test_late_sender_is_not_its_links),
		cmocka_unit_test(test_receivers_alone_do_not_accuse_a_sender),
		cmocka_unit_test(test_lone_wait_accuses_nobody),
		cmocka_unit_test(test_missing_receivers),
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
