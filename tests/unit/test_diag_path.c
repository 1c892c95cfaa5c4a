// SPDX-License-Identifier: BSD-3-Clause
/* What looks like a slow path and is none: noise where there are few connections, a late rank, a
 * rank that gets no core, a cell of a slow source; and that a real one is still found beside them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

#define MIB    (1ull << 20)
#define NORMAL 100.0 /* network ns per KiB */
#define STEPS  20u   /* operations of a window of the slow-rank judge */

static uint64_t random_state;

/* 0 … 1, the same in each test run. */
static double chance(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(random_state >> 40) / (1 << 24);
}

static void carry(struct c4_diag_conn *k, double times)
{
	uint64_t ns = (uint64_t)(64 * 1024 * NORMAL * times);

	k->send.win_bytes = k->recv.win_bytes = 64 * MIB;
	k->send.win_steps = k->recv.win_steps = 64;
	k->send.win_busy_ns = k->recv.win_peer_ns = ns;
	k->send.win_gpu_ns = k->recv.win_gpu_ns = ns / 4;
}

/* A ring of so many ranks, one to a node. */
static struct scene *ring(uint32_t n)
{
	struct scene *s = scene_new(n);
	uint32_t c = scene_comm(s, "dp", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);

	s->comms[c].size = n;
	scene_gpu(s, c);
	for (uint32_t r = 0; r < n; r++) {
		s->ranks[r].node = scene_nodes[r];
		scene_conn(s, c, r, (r + 1) % n, 0);
	}
	return s;
}

/* One rank to a node, everybody talks to everybody. */
static struct scene *all_to_all(uint32_t n)
{
	struct scene *s = ring(n);

	for (uint32_t a = 0; a < n; a++)
		for (uint32_t b = 0; b < n; b++)
			if (a != b && b != (a + 1) % n)
				scene_conn(s, 0, a, b, 0);
	return s;
}

/* Two seconds: what has been carried is judged. */
static void look(struct scene *s)
{
	s->job.now_ns += S(2);
	s->comms[0].conn_serial++;
	s->comms[0].conn_window_ns = S(2);
	scene_look(s);
}

static void quiet(struct scene *s)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++)
		carry(&s->conns[0][i], 1 + 0.05 * chance());
}

/* A busy machine: any connection may take up to four times its time. */
static void noise(struct scene *s, double share)
{
	for (uint32_t i = 0; i < s->comms[0].nconns; i++)
		carry(&s->conns[0][i],
		      chance() < share ? 1.3 + 2.7 * chance() : 1 + 0.2 * chance());
}

static bool is(const struct scene *s, enum c4_incident_kind kind, bool confirmed)
{
	for (uint32_t i = 0; i < s->out.n; i++)
		if (s->out.v[i].kind == kind && s->out.v[i].confirmed >= confirmed)
			return true;
	return false;
}

/* Runs of two minutes, of 100, in which somebody is named. */
static uint32_t named_by_noise(double share)
{
	uint32_t named = 0;

	for (uint32_t n = 4; n <= 8; n++)
		for (uint64_t seed = 0; seed < 20; seed++) {
			struct scene *s = ring(n);
			bool confirmed = false;

			random_state = seed * 977 + n;
			for (int i = 0; i < 60; i++) {
				noise(s, share);
				look(s);
				confirmed |= scene_confirmed(s) > 0;
			}
			named += confirmed;
			scene_free(s);
		}
	return named;
}

/* Where almost every third window of each connection is bad, chance alone looks like a fault once
 * in hours; not more often. */
static void test_noise_of_few_connections(void **state)
{
	(void)state;
	assert_int_equal(named_by_noise(0.1), 0);
	assert_in_range(named_by_noise(0.3), 0, 1);
}

static void test_slow_path_of_few_connections(void **state)
{
	(void)state;
	for (uint32_t n = 4; n <= 8; n++) {
		struct scene *s = ring(n);

		for (int i = 0; i < (n < 8 ? 4 : 3); i++) {
			quiet(s);
			carry(scene_find(s, 0, 2, 3), 4);
			look(s);
		}
		assert_true(is(s, C4_INC_SLOW_LINK, true));
		assert_int_equal(scene_confirmed(s), 1);
		scene_free(s);
	}
}

/* Noise in every tenth cell delays it; it is found within a minute in most runs. */
static void test_slow_path_in_noise(void **state)
{
	uint32_t found = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct scene *s = ring(8);
		bool told = false;

		random_state = seed;
		for (int i = 0; i < 30 && !told; i++) {
			noise(s, 0.1);
			carry(scene_find(s, 0, 2, 3), 12);
			look(s);
			told = is(s, C4_INC_SLOW_LINK, true);
		}
		found += told;
		scene_free(s);
	}
	assert_in_range(found, 15, 20);
}

/* A window of operations: this rank has so many ms of own work, the others 20 and wait for it. */
static void operations(struct scene *s, int32_t late, double own_ms)
{
	struct c4_diag_comm *c = &s->comms[0];
	struct c4_diag_window w = {.count = STEPS, .serial = 1};

	if (c->nwindows == C4_DIAG_WINDOWS) {
		w.parts = c->windows[0].parts;
		memmove(&c->windows[0], &c->windows[1], sizeof w * (C4_DIAG_WINDOWS - 1));
		c->nwindows--;
	} else {
		w.parts = s->parts[0][c->nwindows];
	}
	if (c->nwindows)
		w.serial = c->windows[c->nwindows - 1].serial + 1;
	for (uint32_t m = 0; m < c->size; m++) {
		double own = (int32_t)m == late ? own_ms : 20, in = own_ms + 1 - own;

		w.parts[m] = (struct c4_diag_part){.present = true,
						   .sync_count = STEPS,
						   .sync_sum_ns = MS(in * STEPS),
						   .sync_min_ns = MS(in),
						   .sync_max_ns = MS(in),
						   .span_count = STEPS,
						   .span_sum_ns = MS((own_ms + 1) * STEPS),
						   .span_max_ns = MS(own_ms + 1),
						   .own_sum_ns = MS(own * STEPS),
						   .own_max_ns = MS(own)};
	}
	c->windows[c->nwindows++] = w;
}

/* Who is late serves its connections late, too. */
static void test_late_rank_explains_its_paths(void **state)
{
	(void)state;
	for (int32_t late = 2; late <= 3; late++) {
		struct scene *s = ring(4);

		for (int i = 0; i < 12; i++) {
			for (int k = 0; k < 3; k++)
				operations(s, late, 33);
			quiet(s);
			carry(scene_find(s, 0, 2, 3), 4);
			look(s);
			assert_false(is(s, C4_INC_SLOW_LINK, true));
			if (is(s, C4_INC_SLOW_RANK, false))
				assert_false(is(s, C4_INC_SLOW_LINK, false));
		}
		assert_true(is(s, C4_INC_SLOW_RANK, true));
		assert_int_equal(scene_confirmed(s), 1);
		scene_free(s);
	}
}

/* The same path, and the late rank is elsewhere: both are told. */
static void test_late_rank_does_not_hide_other_paths(void **state)
{
	struct scene *s = ring(6);

	(void)state;
	for (int i = 0; i < 12; i++) {
		for (int k = 0; k < 3; k++)
			operations(s, 5, 33);
		quiet(s);
		carry(scene_find(s, 0, 2, 3), 4);
		look(s);
	}
	assert_true(is(s, C4_INC_SLOW_RANK, true));
	assert_true(is(s, C4_INC_SLOW_LINK, true));
	scene_free(s);
}

/* An end that queues for its cores: hot again and again is not enough, steadily is. */
static void test_contended_end(void **state)
{
	struct scene *s = ring(8);

	(void)state;
	s->ranks[3].runqueue = 0.3;
	for (int i = 0; i < 24; i++) {
		quiet(s);
		if (i % 4)
			carry(scene_find(s, 0, 2, 3), 4);
		look(s);
		assert_false(is(s, C4_INC_SLOW_LINK, true));
	}
	for (int i = 0; i < 8; i++) {
		quiet(s);
		carry(scene_find(s, 0, 2, 3), 4);
		look(s);
	}
	assert_true(is(s, C4_INC_SLOW_LINK, true));
	scene_free(s);
}

/* One of a slow destination's connections is slower still. */
static void test_cell_of_a_slow_end_is_no_path(void **state)
{
	(void)state;
	for (int tx = 0; tx < 2; tx++) {
		struct scene *s = all_to_all(4);

		for (int i = 0; i < 12; i++) {
			quiet(s);
			for (uint32_t r = 0; r < 4; r++)
				if (r != 1)
					carry(scene_find(s, 0, tx ? 1 : r, tx ? r : 1), 2.5);
			carry(scene_find(s, 0, tx ? 1 : 0, tx ? 0 : 1), 6);
			look(s);
			assert_false(is(s, C4_INC_SLOW_LINK, false));
		}
		assert_true(is(s, tx ? C4_INC_SLOW_TX : C4_INC_SLOW_RX, true));
		assert_int_equal(scene_confirmed(s), 1);
		scene_free(s);
	}
}

/* A slow path, and noise on another connection of the same source (or destination). */
static void test_path_and_a_noisy_neighbour_are_no_slow_end(void **state)
{
	(void)state;
	for (int tx = 0; tx < 2; tx++) {
		struct scene *s = all_to_all(4);

		for (int i = 0; i < 8; i++) {
			quiet(s);
			carry(scene_find(s, 0, 0, 3), 7);
			carry(scene_find(s, 0, tx ? 0 : 1, tx ? 1 : 3), 1.7);
			look(s);
			assert_false(is(s, C4_INC_SLOW_TX, true));
			assert_false(is(s, C4_INC_SLOW_RX, true));
		}
		assert_true(is(s, C4_INC_SLOW_LINK, true));
		scene_free(s);
	}
}

/* Each connection of a few ranks has its own speed: what the fit leaves of that is no noise to
 * measure by, and one that is half as slow again is none that stands out. */
static void test_uneven_connections_of_few_ranks(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct scene *s = all_to_all(4);
		double speed[SCENE_CONNS];

		random_state = seed;
		for (uint32_t i = 0; i < s->comms[0].nconns; i++)
			speed[i] = 0.6 + 1.0 * chance();
		for (int k = 0; k < 12; k++) {
			for (uint32_t i = 0; i < s->comms[0].nconns; i++)
				carry(&s->conns[0][i], speed[i] * (1 + 0.1 * chance()));
			look(s);
			assert_false(is(s, C4_INC_SLOW_LINK, true));
		}
		scene_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_noise_of_few_connections),
		cmocka_unit_test(test_slow_path_of_few_connections),
		cmocka_unit_test(test_slow_path_in_noise),
		cmocka_unit_test(test_late_rank_explains_its_paths),
		cmocka_unit_test(test_late_rank_does_not_hide_other_paths),
		cmocka_unit_test(test_contended_end),
		cmocka_unit_test(test_cell_of_a_slow_end_is_no_path),
		cmocka_unit_test(test_uneven_connections_of_few_ranks),
		cmocka_unit_test(test_path_and_a_noisy_neighbour_are_no_slow_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
