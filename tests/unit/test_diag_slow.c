// SPDX-License-Identifier: BSD-3-Clause
/*
 * Golden tests of slow-rank: measured means of real Open MPI runs (six ranks; per step an
 * all-gather in pairs, an all-reduce in the even and odd group, an all-reduce in the world; 20 ms
 * of work), each with its culprit and with the near-misses beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/scene.h"

#define STEPS 40u /* per window */

/* Mean time inside, ms, per rank: its pair, its odd/even group, the world. */
struct golden {
	double pair[6], group[6], world[6];
	double slow; /* own work of the culprit, ms; the others have 20 */
	int culprit; /* -1: none */
};

static const struct golden healthy = {{.18, .21, .16, .21, .18, .19},
				      {.23, .22, .24, .25, .25, .27},
				      {.20, .19, .22, .19, .17, .16},
				      20,
				      -1};
static const struct golden slow10 = {{.18, .23, 1.96, .07, .18, .19},
				     {1.90, 1.34, .15, .15, 1.37, 1.95},
				     {.19, .17, .18, .15, .15, .15},
				     22,
				     3};
static const struct golden slow30 = {{.17, .22, 5.97, .08, .18, .17},
				     {5.91, 4.03, .16, .15, 4.05, 5.96},
				     {.19, .18, .18, .16, .16, .15},
				     26,
				     3};
static const struct golden slow80 = {{.17, .21, .16, .19, .10, 16.08},
				     {10.75, 16.03, 16.06, 10.76, .19, .19},
				     {.18, .19, .19, .19, .13, .15},
				     36,
				     4};

static double inside_of(const struct golden *g, int r)
{
	return g->pair[r] + g->group[r] + g->world[r];
}

/* A window of STEPS operations with mean inside and own time in ms; every rank has some jitter, the
 * same in each test run. */
static void fill(struct c4_diag_part *p, double span_ms, double inside_ms, double own_ms,
		 unsigned int salt)
{
	double jitter = 0.01 * ((salt * 2654435761u >> 20) % 11 - 5.0) / 5.0;

	*p = (struct c4_diag_part){.present = true,
				   .sync_count = STEPS,
				   .sync_sum_ns = MS(inside_ms * STEPS),
				   .sync_min_ns = MS(inside_ms * 0.5),
				   .sync_max_ns = MS(inside_ms * 2),
				   .span_count = STEPS,
				   .span_sum_ns = MS(span_ms * STEPS),
				   .span_max_ns = MS(span_ms),
				   .own_sum_ns = MS((own_ms + jitter) * STEPS),
				   .own_max_ns = MS(own_ms + jitter)};
	p->elsewhere_sum_ns = p->span_sum_ns > p->own_sum_ns + p->sync_sum_ns
				      ? p->span_sum_ns - p->own_sum_ns - p->sync_sum_ns
				      : 0;
}

static void add_window(struct scene *s, uint32_t comm, const struct golden *g, const double *inside)
{
	struct c4_diag_comm *c = &s->comms[comm];
	struct c4_diag_window w = {.count = STEPS};
	double span = g->slow + (g->culprit < 0 ? inside_of(g, 0) : inside_of(g, g->culprit));

	if (c->nwindows == C4_DIAG_WINDOWS) {
		struct c4_diag_part *oldest = c->windows[0].parts;

		memmove(&c->windows[0], &c->windows[1], sizeof w * (C4_DIAG_WINDOWS - 1));
		c->nwindows--;
		w.parts = oldest;
	} else {
		w.parts = s->parts[comm][c->nwindows];
	}
	w.serial = c->nwindows ? c->windows[c->nwindows - 1].serial + 1 : 1;
	for (uint32_t m = 0; m < c->size; m++) {
		int r = c->members[m];

		fill(&w.parts[m], span, inside[r], span - inside_of(g, r),
		     (unsigned int)(w.serial * 16 + (unsigned int)r));
	}
	c->windows[c->nwindows++] = w;
}

static struct scene *six_ranks(void)
{
	struct scene *s = scene_new(6);

	scene_comm(s, "world", 100, 0, 1, 2, 3, 4, 5, -1);
	scene_comm(s, "pair01", 100, 0, 1, -1);
	scene_comm(s, "pair23", 100, 2, 3, -1);
	scene_comm(s, "pair45", 100, 4, 5, -1);
	scene_comm(s, "even", 100, 0, 2, 4, -1);
	scene_comm(s, "odd", 100, 1, 3, 5, -1);
	return s;
}

static void run(struct scene *s, const struct golden *g, unsigned int windows)
{
	for (unsigned int k = 0; k < windows; k++) {
		add_window(s, 0, g, g->world);
		for (uint32_t c = 1; c <= 3; c++)
			add_window(s, c, g, g->pair);
		add_window(s, 4, g, g->group);
		add_window(s, 5, g, g->group);
		s->job.now_ns += S(0.9);
		scene_look(s);
	}
}

/* Exactly one confirmed verdict: this rank on this node. */
static void assert_names(const struct scene *s, int32_t rank, const char *node)
{
	const struct c4_verdict *v = scene_verdict(s, C4_INC_SLOW_RANK);

	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(v->nranks, 1);
	assert_int_equal(v->ranks[0], rank);
	assert_string_equal(v->node, node);
	assert_true(v->nevidence >= 2);
}

static void names_culprit(const struct golden *g, const char *node)
{
	struct scene *s = six_ranks();

	run(s, g, 7);
	assert_names(s, g->culprit, node);
	scene_free(s);
}

static void test_ten_percent(void **state)
{
	(void)state;
	names_culprit(&slow10, "n1");
}

static void test_thirty_percent(void **state)
{
	(void)state;
	names_culprit(&slow30, "n1");
}

static void test_eighty_percent(void **state)
{
	(void)state;
	names_culprit(&slow80, "n2");
}

static void test_healthy_names_nobody(void **state)
{
	struct scene *s = six_ranks();

	(void)state;
	run(s, &healthy, 30);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Four windows after the fault the verdict is there, ten after the repair it is gone. */
static void test_comes_and_goes(void **state)
{
	struct scene *s = six_ranks();

	(void)state;
	run(s, &healthy, 8);
	assert_int_equal(s->out.n, 0);
	run(s, &slow30, 5);
	assert_names(s, 3, "n1");
	run(s, &healthy, 5);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

static void test_single_blip_is_not_slow(void **state)
{
	struct scene *s = six_ranks();

	(void)state;
	run(s, &healthy, 8);
	for (int k = 0; k < 6; k++) {
		run(s, k == 1 ? &slow80 : &healthy, 1);
		assert_int_equal(s->out.n, 0);
	}
	scene_free(s);
}

/* The longest piece of own work of a window is left out: one checkpoint per window is no slowness.
 */
static void test_one_pause_per_window_is_not_slow(void **state)
{
	struct scene *s = six_ranks();

	(void)state;
	for (int k = 0; k < 8; k++) {
		struct c4_diag_part *p;

		run(s, &healthy, 1);
		p = &s->comms[0].windows[s->comms[0].nwindows - 1].parts[0];
		p->own_sum_ns += MS(400);
		p->own_max_ns += MS(400);
		p->span_sum_ns += MS(400);
		p->span_max_ns += MS(400);
		scene_look(s);
		assert_int_equal(s->out.n, 0);
	}
	scene_free(s);
}

static void test_silent_windows_lose_their_say(void **state)
{
	struct scene *s = six_ranks();

	(void)state;
	run(s, &slow30, 7);
	assert_non_null(scene_verdict(s, C4_INC_SLOW_RANK));
	s->job.now_ns += S(30);
	scene_look(s);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Half of the ranks have more work: two classes of nodes, not four stragglers. */
static void test_two_classes_are_not_slow(void **state)
{
	struct scene *s = scene_new(8);
	struct golden g = healthy;

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	for (int k = 0; k < 8; k++) {
		struct c4_diag_window w = {
			.count = STEPS, .serial = (uint64_t)k + 1, .parts = s->parts[0][k]};

		for (int r = 0; r < 8; r++)
			fill(&w.parts[r], 26, r % 2 ? 6 : .2, r % 2 ? 20 : 25.8,
			     (unsigned int)(k * 8 + r));
		s->comms[0].windows[s->comms[0].nwindows++] = w;
		s->job.now_ns += S(1);
		scene_look(s);
		assert_int_equal(s->out.n, 0);
	}
	assert_true(g.culprit < 0);
	scene_free(s);
}

/* own work in ms per rank, in the world communicator; the span is the longest plus a bit */
static void run_world(struct scene *s, const double *own, int windows)
{
	struct c4_diag_comm *c = &s->comms[0];
	double longest = 0;

	for (uint32_t r = 0; r < c->size; r++)
		longest = own[r] > longest ? own[r] : longest;
	for (int k = 0; k < windows; k++) {
		struct c4_diag_window w = {.count = STEPS};

		if (c->nwindows == C4_DIAG_WINDOWS) {
			w.parts = c->windows[0].parts;
			memmove(&c->windows[0], &c->windows[1], sizeof w * (C4_DIAG_WINDOWS - 1));
			c->nwindows--;
		} else {
			w.parts = s->parts[0][c->nwindows];
		}
		w.serial = c->nwindows ? c->windows[c->nwindows - 1].serial + 1 : 1;
		for (uint32_t r = 0; r < c->size; r++)
			fill(&w.parts[r], longest + .2, longest + .2 - own[r], own[r],
			     (unsigned int)(w.serial * 16 + r));
		c->windows[c->nwindows++] = w;
		s->job.now_ns += S(1);
		scene_look(s);
	}
}

static void test_two_stragglers_are_both_named(void **state)
{
	static const double own[] = {20, 26, 20, 20, 20, 27, 20, 20};
	struct scene *s = scene_new(8);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	run_world(s, own, 7);
	assert_int_equal(scene_confirmed(s), 2);
	assert_int_equal(s->out.v[0].ranks[0], 1);
	assert_int_equal(s->out.v[1].ranks[0], 5);
	scene_free(s);
}

static void test_whole_node_is_slow_node(void **state)
{
	static const double own[] = {20, 20, 20, 20, 26, 26, 20, 20};
	struct scene *s = scene_new(8);
	const struct c4_verdict *v;

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, 4, 5, 6, 7, -1);
	run_world(s, own, 7);
	v = scene_verdict(s, C4_INC_SLOW_NODE);
	assert_non_null(v);
	assert_int_equal(scene_confirmed(s), 1);
	assert_int_equal(v->nranks, 2);
	assert_int_equal(v->ranks[0], 4);
	assert_string_equal(v->node, "n2");
	scene_free(s);
}

/* A pipeline's heavy stage is heavy by design; the same ranks slower than they were are not. */
static void test_coupled_ranks_need_a_change(void **state)
{
	static const double before[] = {20, 20, 20, 23}, after[] = {20, 20, 20, 30};
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++)
		s->ranks[r].p2p_share = 0.1;
	run_world(s, before, 15);
	assert_int_equal(s->out.n, 0);
	run_world(s, after, 6);
	assert_names(s, 3, "n1");
	scene_free(s);
}

/* More to run than cores: what looks slow for some seconds may be bad luck with the scheduler. */
static void test_contended_node_needs_longer(void **state)
{
	static const double even[] = {20, 20, 20, 20}, own[] = {20, 20, 20, 26};
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	for (int r = 0; r < 4; r++) {
		s->ranks[r].runqueue = 0.6;
		s->ranks[r].cpu = 0.4;
	}
	run_world(s, even, 12);
	run_world(s, own, 5);
	assert_int_equal(s->out.n, 0);
	run_world(s, even, 6); /* it was luck */
	assert_int_equal(s->out.n, 0);
	run_world(s, own, 15); /* … with the scheduler: it does no more than the others */
	assert_int_equal(s->out.n, 0);
	s->ranks[3].cpu = 0.5;
	run_world(s, own, 1);
	assert_names(s, 3, "n1");
	s->ranks[3].cpu = 0.3; /* or throttled */
	s->ranks[3].runqueue = 0.4;
	run_world(s, own, 1);
	assert_names(s, 3, "n1");
	scene_free(s);
}

static void test_two_ranks(void **state)
{
	static const double even[] = {20, 20.4}, uneven[] = {20, 24};
	struct scene *s = scene_new(2);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, -1);
	run_world(s, even, 7);
	assert_int_equal(s->out.n, 0);
	run_world(s, uneven, 6);
	assert_names(s, 1, "n0");
	scene_free(s);
}

static void test_foreign_communicator_is_not_judged(void **state)
{
	static const double own[] = {20, 20, 20, 30};
	struct scene *s = scene_new(4);

	(void)state;
	scene_comm(s, "world", 100, 0, 1, 2, 3, -1);
	s->comms[0].judged = false;
	run_world(s, own, 7);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* ---- on GPUs: inside is the kernel, everybody spins ------------------------------------------ */

/* The golden runs as NCCL shows them. The ring of the world passes the straggler's lateness on:
 * every receiver behind it waits for data, no transfer takes longer. */
static struct scene *six_gpus(void)
{
	struct scene *s = six_ranks();

	for (uint32_t c = 0; c < s->job.ncomms; c++)
		scene_gpu(s, c);
	for (uint32_t m = 0; m < 6; m++) {
		struct c4_diag_conn *k = scene_conn(s, 0, m, (m + 1) % 6, 0);

		k->send.win_bytes = k->recv.win_bytes = 512u << 20;
		k->send.win_steps = k->recv.win_steps = 1024;
		k->send.win_busy_ns = MS(50);
		k->send.win_gpu_ns = m == 3 ? S(1) : MS(100);
		k->recv.win_peer_ns = m == 2 ? 0 : S(1);
	}
	return s;
}

static void run_gpus(struct scene *s, const struct golden *g, unsigned int windows)
{
	while (windows--) {
		s->comms[0].conn_serial++;
		s->comms[0].conn_window_ns = S(0.9);
		run(s, g, 1);
	}
}

static void test_straggler_and_not_its_neighbours(void **state)
{
	static const struct golden *const goldens[] = {&slow10, &slow30, &slow80};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct scene *s = six_gpus();

		run_gpus(s, goldens[i], 7);
		assert_names(s, goldens[i]->culprit, i < 2 ? "n1" : "n2");
		scene_free(s);
	}
}

static void test_healthy_gpus_name_nobody(void **state)
{
	struct scene *s = six_gpus();

	(void)state;
	run_gpus(s, &healthy, 30);
	assert_int_equal(s->out.n, 0);
	scene_free(s);
}

/* Pipelines: stages weigh differently from the start; what changes later is a straggler. */
static void test_pipelines_on_gpus_need_a_change(void **state)
{
	struct scene *s = six_gpus();

	(void)state;
	for (uint32_t r = 0; r < 6; r++)
		s->ranks[r].gpu_p2p = true;
	run_gpus(s, &slow30, 20);
	assert_int_equal(scene_confirmed(s), 0);
	scene_free(s);
	s = six_gpus();
	for (uint32_t r = 0; r < 6; r++)
		s->ranks[r].gpu_p2p = true;
	run_gpus(s, &healthy, 12);
	run_gpus(s, &slow30, 6);
	assert_names(s, 3, "n1");
	scene_free(s);
}

static void test_throttled_straggler_shows_its_gpu(void **state)
{
	static const struct c4_diag_gpu gpu = {
		.index = 3, .sm_mhz = 800, .sm_max_mhz = 1980, .throttle = 0x8};
	struct scene *s = six_gpus();

	(void)state;
	s->ranks[3].gpu = &gpu;
	run_gpus(s, &slow30, 7);
	assert_names(s, 3, "n1");
	assert_string_equal(s->out.v[0].gpu, "n1/gpu3");
	assert_non_null(strstr(s->out.v[0].evidence[s->out.v[0].nevidence - 1].detail,
			       "hardware slowdown"));
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ten_percent),
		cmocka_unit_test(test_thirty_percent),
		cmocka_unit_test(test_eighty_percent),
		cmocka_unit_test(test_healthy_names_nobody),
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_single_blip_is_not_slow),
		cmocka_unit_test(test_one_pause_per_window_is_not_slow),
		cmocka_unit_test(test_silent_windows_lose_their_say),
		cmocka_unit_test(test_two_classes_are_not_slow),
		cmocka_unit_test(test_two_stragglers_are_both_named),
		cmocka_unit_test(test_whole_node_is_slow_node),
		cmocka_unit_test(test_coupled_ranks_need_a_change),
		cmocka_unit_test(test_contended_node_needs_longer),
		cmocka_unit_test(test_two_ranks),
		cmocka_unit_test(test_foreign_communicator_is_not_judged),
		cmocka_unit_test(test_straggler_and_not_its_neighbours),
		cmocka_unit_test(test_healthy_gpus_name_nobody),
		cmocka_unit_test(test_pipelines_on_gpus_need_a_change),
		cmocka_unit_test(test_throttled_straggler_shows_its_gpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
