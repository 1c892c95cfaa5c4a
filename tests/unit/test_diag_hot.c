// SPDX-License-Identifier: BSD-3-Clause
/* slow-tx, slow-rx, slow-link, congestion by source × destination matrices; each with its
 * near-misses. */
#include "tests/unit/matrix_scene.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_sender),
		cmocka_unit_test(test_slow_receiver),
		cmocka_unit_test(test_slow_link),
		cmocka_unit_test(test_whole_node_both_ways),
		cmocka_unit_test(test_missing_receivers),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
