// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/oracle_scene.h"

#include <errno.h>

#include "planner/model/oracle/oracle_linear.h"

#define FLAT(spines) ((struct c4_clos){4, (spines), 4, 1, 1, 0, 0, 200})

static struct c4_hash_model model(enum c4_flowhash_kind kind, uint32_t seed)
{
	return (struct c4_hash_model){.kind = kind, .seed = seed};
}

/* One pair teaches the leaf, the next ones need two probes each, all ports are then known. */
static void learn_leaf(enum c4_flowhash_kind kind, uint32_t seed, uint32_t spines)
{
	struct c4_want wants[64];
	struct oracle_scene s;
	uint32_t n, before;

	scene_open(&s, FLAT(spines), model(kind, seed), c4_oracle_linear_new(65536));
	n = scene_wants(&s, 0, 15, wants, 64);
	assert_int_equal(n, spines);
	assert_int_equal(scene_settle(&s, 0, 15, wants, n, 64), n);
	scene_check(&s, 0, 15, wants, n);
	assert_true(c4_oracle_linear_trusts(s.o, s.f.nics[0].leaf));
	assert_in_range(s.probes, 15, 15 + spines + 8 + 2);
	for (uint32_t src = 0; src < 4; src++)
		for (uint32_t dst = 4; dst < 15; dst++) {
			before = s.probes;
			n = scene_wants(&s, src, dst, wants, 64);
			assert_int_equal(scene_settle(&s, src, dst, wants, n, 64), n);
			assert_in_range(s.probes - before, src || dst != 15 ? 0 : 2, 2);
			scene_check(&s, src, dst, wants, n);
		}
	assert_int_equal(s.o->stats.refuted, 0);
	scene_close(&s);
}

static void test_linear_hashes_are_learned(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 10; seed++) /* many spines cost most: fewer seeds */
		for (uint32_t spines = 2; spines <= (seed ? 16 : 64); spines *= 2)
			for (int kind = 0; kind < C4_FLOWHASH_JHASH; kind++)
				learn_leaf((enum c4_flowhash_kind)kind, seed, spines);
}

/* Every port of the range, not only those asked for. */
static void test_predictions_are_right_for_all_ports(void **state)
{
	struct c4_want wants[16];
	struct oracle_scene s;

	(void)state;
	scene_open(&s, FLAT(16), model(C4_FLOWHASH_CRC16, 4), c4_oracle_linear_new(65536));
	scene_wants(&s, 1, 9, wants, 16);
	scene_settle(&s, 1, 9, wants, 16, 64);
	for (uint32_t port = C4_PORT_FIRST; port <= 0xFFFF; port++) {
		struct c4_path is, said;

		assert_int_equal(c4_oracle_path(s.switches, 1, 9, (uint16_t)port, &is), 0);
		assert_int_equal(c4_oracle_path(s.o, 1, 9, (uint16_t)port, &said), 0);
		assert_true(c4_path_equal(&is, &said));
	}
	scene_close(&s);
}

/* Not linear, or not a power of two: nothing is trusted, the table finds the ports. */
static void falls_back(enum c4_flowhash_kind kind, uint32_t spines)
{
	struct c4_want wants[64];
	struct oracle_scene s;
	uint32_t n;

	scene_open(&s, FLAT(spines), model(kind, 6), c4_oracle_linear_new(65536));
	n = scene_wants(&s, 0, 15, wants, 64);
	assert_int_equal(scene_settle(&s, 0, 15, wants, n, 8), n);
	scene_check(&s, 0, 15, wants, n);
	assert_false(c4_oracle_linear_trusts(s.o, s.f.nics[0].leaf));
	scene_close(&s);
}

static void test_other_hashes_fall_back(void **state)
{
	(void)state;
	falls_back(C4_FLOWHASH_JHASH, 16);
	falls_back(C4_FLOWHASH_JHASH, 64);
	falls_back(C4_FLOWHASH_CRC32, 60);
	falls_back(C4_FLOWHASH_XOR, 7);
}

static void test_three_tiers_fall_back(void **state)
{
	struct c4_clos pods = {8, 4, 1, 1, 1, 2, 0, 200};
	struct c4_want wants[16];
	struct oracle_scene s;

	(void)state;
	scene_open(&s, pods, model(C4_FLOWHASH_CRC32, 6), c4_oracle_linear_new(65536));
	assert_int_equal(scene_wants(&s, 0, 7, wants, 16), 16);
	assert_int_equal(scene_settle(&s, 0, 7, wants, 16, 16), 16);
	scene_check(&s, 0, 7, wants, 16);
	scene_close(&s);
}

static void test_one_wrong_prediction_ends_the_trust(void **state)
{
	struct c4_want wants[16];
	struct oracle_scene s;
	struct c4_path path;
	uint16_t port = 0xC123;

	(void)state;
	scene_open(&s, FLAT(16), model(C4_FLOWHASH_CRC32, 4), c4_oracle_linear_new(65536));
	scene_wants(&s, 1, 9, wants, 16);
	scene_settle(&s, 1, 9, wants, 16, 64);
	assert_int_equal(c4_oracle_path(s.o, 1, 9, port, &path), 0);
	scene_observe(&s, 1, 9, port);
	assert_true(c4_oracle_linear_trusts(s.o, s.f.nics[1].leaf));
	path = c4_path_equal(&path, &wants[0].path) ? wants[1].path : wants[0].path;
	assert_int_equal(c4_oracle_learn(s.o, 1, 9, port, &path), 0);
	assert_false(c4_oracle_linear_trusts(s.o, s.f.nics[1].leaf));
	assert_int_equal(s.o->stats.refuted, 1);
	assert_int_equal(c4_oracle_path(s.o, 1, 9, 0xC124, &path), -EAGAIN);
	s.f.switches[s.f.nics[1].leaf].epoch++; /* a new epoch is a new chance */
	scene_wants(&s, 1, 9, wants, 16);
	assert_int_equal(scene_settle(&s, 1, 9, wants, 16, 64), 16);
	assert_true(c4_oracle_linear_trusts(s.o, s.f.nics[1].leaf));
	scene_check(&s, 1, 9, wants, 16);
	scene_close(&s);
}

/* A pair that contradicts itself: its second probe does not fit the first one. */
static void test_check_of_a_pair_can_refute(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	struct c4_path wrong;
	uint16_t ports[2];

	(void)state;
	scene_open(&s, FLAT(8), model(C4_FLOWHASH_CRC32, 4), c4_oracle_linear_new(65536));
	scene_wants(&s, 0, 9, wants, 8);
	scene_settle(&s, 0, 9, wants, 8, 64);
	scene_wants(&s, 1, 9, wants, 8);
	c4_oracle_want(s.o, 1, 9, wants, 8);
	assert_int_equal(c4_oracle_probe(s.o, 1, 9, wants, 8, ports, 2), 2);
	scene_observe(&s, 1, 9, ports[0]);
	assert_int_equal(c4_oracle_path(s.switches, 1, 9, ports[1], &wrong), 0);
	wrong = c4_path_equal(&wrong, &wants[0].path) ? wants[1].path : wants[0].path;
	assert_int_equal(c4_oracle_learn(s.o, 1, 9, ports[1], &wrong), 0);
	c4_oracle_want(s.o, 1, 9, wants, 8);
	assert_false(c4_oracle_linear_trusts(s.o, s.f.nics[1].leaf));
	assert_int_equal(s.o->stats.refuted, 1);
	scene_close(&s);
}

/* Seven of eight uplinks: no power of two. With the eighth back, what was learned is void. */
static void test_failure_and_repair(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	uint32_t link, n;

	(void)state;
	scene_open(&s, FLAT(8), model(C4_FLOWHASH_CRC32, 4), c4_oracle_linear_new(65536));
	n = scene_wants(&s, 0, 9, wants, 8);
	scene_settle(&s, 0, 9, wants, n, 64);
	link = scene_link(&s, "leaf0", "spine3");
	for (int i = 0; i < 2; i++) {
		scene_set_link(&s, link, i ? 200 : 0);
		assert_false(c4_oracle_linear_trusts(s.o, s.f.nics[0].leaf));
		n = scene_wants(&s, 0, 9, wants, 8);
		assert_int_equal(n, i ? 8 : 7);
		assert_int_equal(scene_settle(&s, 0, 9, wants, n, 64), n);
		scene_check(&s, 0, 9, wants, n);
	}
	scene_close(&s);
}

/* Links dead at the far leaf change the hops towards it, not those learned: that pair is not
 * predicted, others are. Four of eight is a power of two again. */
static void other_hops(uint32_t dead)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	struct c4_path path;
	char spine[16];
	uint32_t n, known = 0;

	scene_open(&s, FLAT(8), model(C4_FLOWHASH_CRC32, 4), c4_oracle_linear_new(65536));
	for (uint32_t i = 0; i < dead; i++) {
		snprintf(spine, sizeof spine, "spine%u", 2 * i);
		scene_set_link(&s, scene_link(&s, "leaf3", spine), 0);
	}
	n = scene_wants(&s, 0, 9, wants, 8);
	scene_settle(&s, 0, 9, wants, n, 64);
	assert_true(c4_oracle_linear_trusts(s.o, s.f.nics[0].leaf));
	n = scene_wants(&s, 0, 13, wants, 8);
	assert_int_equal(n, 8 - dead);
	assert_int_equal(scene_settle(&s, 0, 13, wants, n, 64), n);
	scene_check(&s, 0, 13, wants, n);
	for (uint32_t port = 0xC000; port <= 0xFFFF; port++)
		known += c4_oracle_path(s.o, 0, 13, (uint16_t)port, &path) == 0;
	assert_in_range(known, n, 200);
	scene_close(&s);
}

static void test_other_hops_are_not_predicted(void **state)
{
	(void)state;
	other_hops(1);
	other_hops(4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linear_hashes_are_learned),
		cmocka_unit_test(test_predictions_are_right_for_all_ports),
		cmocka_unit_test(test_other_hashes_fall_back),
		cmocka_unit_test(test_three_tiers_fall_back),
		cmocka_unit_test(test_one_wrong_prediction_ends_the_trust),
		cmocka_unit_test(test_check_of_a_pair_can_refute),
		cmocka_unit_test(test_failure_and_repair),
		cmocka_unit_test(test_other_hops_are_not_predicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
