// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/oracle_scene.h"

#include <errno.h>

#include "planner/model/oracle/oracle_table.h"

#define FLAT  ((struct c4_clos){4, 8, 2, 1, 1, 0, 0, 200})
#define PODS  ((struct c4_clos){8, 4, 1, 1, 1, 2, 0, 200})
#define JHASH ((struct c4_hash_model){.kind = C4_FLOWHASH_JHASH, .seed = 11})

static void test_probes_until_each_path_has_a_port(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	uint32_t n;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(4096));
	n = scene_wants(&s, 0, 7, wants, 8);
	assert_int_equal(n, 8);
	c4_oracle_want(s.o, 0, 7, wants, n);
	assert_int_equal(wants[0].answer, C4_PORT_UNKNOWN);
	assert_int_equal(wants[0].sport, 0);
	assert_int_equal(scene_settle(&s, 0, 7, wants, n, 1), 8);
	scene_check(&s, 0, 7, wants, n);
	assert_in_range(s.probes, 8, 60); /* coupon collector of 8: 22, once in a hundred over 50 */
	scene_close(&s);
}

static void test_stops_when_the_wanted_ones_are_found(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	uint32_t total = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 20; seed++) {
		struct c4_hash_model m = {.kind = C4_FLOWHASH_JHASH, .seed = seed};

		scene_open(&s, FLAT, m, c4_oracle_table_new(4096));
		scene_wants(&s, 0, 7, wants, 8);
		assert_int_equal(scene_settle(&s, 0, 7, &wants[3], 1, 1), 1);
		total += s.probes;
		scene_close(&s);
	}
	assert_in_range(total, 20 * 4, 20 * 16); /* one of eight: 8 on average */
}

static void test_older_epochs_are_stale(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	struct c4_path path;
	uint16_t port;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(4096));
	scene_wants(&s, 0, 7, wants, 8);
	scene_settle(&s, 0, 7, wants, 8, 8);
	port = wants[0].sport;
	assert_int_equal(c4_oracle_path(s.o, 0, 7, port, &path), 0);
	s.f.switches[s.f.nics[7].leaf].epoch++; /* the destination's leaf chooses nothing here */
	assert_int_equal(c4_oracle_path(s.o, 0, 7, port, &path), 0);
	s.f.switches[s.f.nics[0].leaf].epoch++;
	assert_int_equal(c4_oracle_path(s.o, 0, 7, port, &path), -EAGAIN);
	c4_oracle_want(s.o, 0, 7, wants, 8);
	assert_int_equal(wants[0].answer, C4_PORT_UNKNOWN);
	assert_int_equal(wants[0].sport, 0);
	scene_observe(&s, 0, 7, port); /* seen again: fresh */
	assert_int_equal(c4_oracle_path(s.o, 0, 7, port, &path), 0);
	scene_close(&s);
}

static void test_dead_link_needs_no_epoch(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	struct c4_path path;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(4096));
	scene_wants(&s, 0, 7, wants, 8);
	scene_settle(&s, 0, 7, wants, 8, 8);
	s.f.links[wants[2].path.link[1]].now_gbps = 0;
	assert_int_equal(c4_oracle_path(s.o, 0, 7, wants[2].sport, &path), -EAGAIN);
	assert_int_equal(c4_oracle_path(s.o, 0, 7, wants[3].sport, &path), 0);
	scene_close(&s);
}

/* After a failure the old map is wrong for most ports: everything is found anew, and right. */
static void test_learns_again_after_a_failure(void **state)
{
	struct c4_want wants[8];
	struct oracle_scene s;
	uint32_t n;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(4096));
	n = scene_wants(&s, 0, 7, wants, 8);
	scene_settle(&s, 0, 7, wants, n, 8);
	scene_set_link(&s, scene_link(&s, "leaf0", "spine5"), 0);
	n = scene_wants(&s, 0, 7, wants, 8);
	assert_int_equal(n, 7);
	assert_int_equal(scene_settle(&s, 0, 7, wants, n, 8), 7);
	scene_check(&s, 0, 7, wants, n);
	scene_close(&s);
}

/* Tiers that hash alike: the twelve other paths are called unreachable long before all ports. */
static void test_polarised_paths_are_found_out(void **state)
{
	struct c4_hash_model alike = {.kind = C4_FLOWHASH_CRC32, .alike = true};
	struct oracle_scene apart, s;
	struct c4_want wants[16];
	uint32_t unreachable = 0;

	(void)state;
	scene_open(&apart, PODS, JHASH, c4_oracle_table_new(1));
	scene_open(&s, PODS, alike, c4_oracle_table_new(4096));
	assert_int_equal(scene_wants(&apart, 0, 7, wants, 16), 16);
	assert_int_equal(scene_settle(&s, 0, 7, wants, 16, 16), 4);
	for (int i = 0; i < 16; i++)
		unreachable += wants[i].answer == C4_PORT_UNREACHABLE;
	assert_int_equal(unreachable, 12);
	assert_in_range(s.probes, 200, 500); /* 16 · (ln 16 + 16) = 300 */
	scene_check(&s, 0, 7, wants, 16);
	scene_close(&apart);
	scene_close(&s);
}

static void test_full_table_forgets_the_oldest(void **state)
{
	struct oracle_scene s;
	struct c4_path path;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(100));
	for (uint32_t i = 0; i < 1000; i++) {
		scene_observe(&s, i % 2, 7 - i % 3, (uint16_t)(C4_PORT_FIRST + i));
		for (uint32_t k = i > 120 ? i - 120 : 0; k <= i; k++)
			assert_int_equal(c4_oracle_path(s.o, k % 2, 7 - k % 3,
							(uint16_t)(C4_PORT_FIRST + k), &path),
					 k + 100 > i ? 0 : -EAGAIN);
	}
	assert_int_equal(s.o->stats.lost, 900);
	scene_close(&s);
}

static void test_impossible_observations_are_refused(void **state)
{
	struct oracle_scene s;
	struct c4_path path;

	(void)state;
	scene_open(&s, FLAT, JHASH, c4_oracle_table_new(100));
	assert_int_equal(c4_oracle_path(s.switches, 0, 7, 0xC000, &path), 0);
	assert_int_equal(c4_oracle_learn(s.o, 0, 7, 80, &path), -EINVAL);
	assert_int_equal(c4_oracle_learn(s.o, 0, 5, 0xC000, &path), -EINVAL);
	assert_int_equal(c4_oracle_learn(s.o, 0, 8, 0xC000, &path), -EINVAL);
	path.link[1] = s.f.n_links;
	assert_int_equal(c4_oracle_learn(s.o, 0, 7, 0xC000, &path), -EINVAL);
	path.hops = 1;
	assert_int_equal(c4_oracle_learn(s.o, 0, 7, 0xC000, &path), -EINVAL);
	assert_int_equal(c4_oracle_learn(s.switches, 0, 7, 0xC000, &path), -EOPNOTSUPP);
	scene_close(&s);
}

static void test_nth_port_is_a_permutation(void **state)
{
	static uint8_t seen[C4_PORTS];

	(void)state;
	for (uint32_t i = 0; i < C4_PORTS; i++)
		seen[c4_oracle_nth_port(3, 9, i) - C4_PORT_FIRST]++;
	for (uint32_t i = 0; i < C4_PORTS; i++)
		assert_int_equal(seen[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probes_until_each_path_has_a_port),
		cmocka_unit_test(test_stops_when_the_wanted_ones_are_found),
		cmocka_unit_test(test_older_epochs_are_stale),
		cmocka_unit_test(test_dead_link_needs_no_epoch),
		cmocka_unit_test(test_learns_again_after_a_failure),
		cmocka_unit_test(test_polarised_paths_are_found_out),
		cmocka_unit_test(test_full_table_forgets_the_oldest),
		cmocka_unit_test(test_impossible_observations_are_refused),
		cmocka_unit_test(test_nth_port_is_a_permutation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
