// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/cli/churn.h"
#include "planner/cli/compare.h"
#include "planner/cli/report.h"
#include "planner/model/eval/baseline.h"

static const struct c4_scene *scene(const char *name)
{
	size_t n;
	const struct c4_scene *all = c4_scenes(&n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].name, name))
			return &all[i];
	fail_msg("no scene %s", name);
	return NULL;
}

static struct c4_rows run(const char *name, uint32_t seeds)
{
	struct c4_scene s = *scene(name);
	struct c4_fault fault;
	struct c4_rows rows;

	s.seeds = seeds;
	assert_int_equal(c4_compare_scene(&s, &rows, &fault), 0);
	return rows;
}

static const struct c4_row *row(const struct c4_rows *rows, const char *method, uint32_t qps)
{
	for (uint32_t i = 0; i < rows->n; i++)
		if (!strcmp(rows->row[i].method, method) && (!qps || rows->row[i].qps_most == qps))
			return &rows->row[i];
	fail_msg("no row %s", method);
	return NULL;
}

/* ---- the judge ------------------------------------------------------------------------------ */

/* A plan may say what it likes: only its ports count. */
static void test_judge_believes_ports_only(void **state)
{
	struct c4_fault fault;
	struct c4_world w;
	struct c4_plan p;
	struct c4_oracle *switches;
	double x[8];
	uint64_t unpinned;

	(void)state;
	assert_int_equal(c4_world_make(&w, scene("c4-1to1"), 1, &fault), 0);
	assert_int_equal(c4_plan_init(&p, &w.d), 0);
	switches = c4_oracle_hash_new(&w.switches);
	assert_int_equal(c4_baseline_greedy(&w.f, &w.d, 1, &p), 0);
	assert_true(p.max_load < 1.001); /* it says */
	for (uint32_t i = 0; i < p.n_routes; i++)
		p.routes[i].sport = (uint16_t)(C4_PORT_FIRST + i % 7);
	p.routes[5].sport = 0;
	assert_int_equal(c4_trial_judge(&w, switches, 1, &p, x, &unpinned), 0);
	assert_int_equal(unpinned, 1);
	assert_true(p.max_load > 2);
	for (uint32_t i = 0; i < w.d.n_conns; i++) {
		struct c4_path is, says;

		assert_int_equal(c4_oracle_path(switches, w.d.conns[i].src, w.d.conns[i].dst,
						p.routes[i].sport, &is),
				 0);
		c4_path_of_route(&w.f, &w.d.conns[i], &p.routes[i], &says);
		assert_true(c4_path_equal(&is, &says));
	}
	for (uint32_t j = 0; j < w.d.n_jobs; j++)
		assert_true(x[j] < 0.51);
	c4_oracle_free(switches);
	c4_plan_release(&p);
	c4_world_release(&w);
}

/* ---- what is promised -------------------------------------------------------------------------
 */

static void test_exact_reaches_the_bound(void **state)
{
	static const char *const names[] = {"c4-1to1", "c4-2to1", "permutation", "rings-2to1",
					    "pods"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct c4_rows rows = run(names[i], 2);

		assert_true(row(&rows, "exact", 1)->of_bound >= 0.99);
		assert_true(row(&rows, "ECMP", 1)->slowest < 0.5 * row(&rows, "exact", 1)->slowest);
		assert_true(row(&rows, "exact", 1)->unpinned == 0);
	}
}

static void test_dead_uplink_costs_its_share(void **state)
{
	struct c4_rows rows = run("c4-dead-uplink", 3);

	(void)state;
	assert_true(row(&rows, "exact, k matched", 7)->worst >= 0.97 * 7 / 8);
	assert_true(row(&rows, "exact", 8)->slowest < 0.81); /* 8 QPs on 7 links */
	assert_true(row(&rows, "exact", 1)->slowest < 0.51);
}

/* With four leaves and more, greedy is not enough. */
static void test_greedy_stays_behind(void **state)
{
	struct c4_rows rows = run("rings", 3);

	(void)state;
	assert_true(row(&rows, "greedy", 1)->slowest < 0.51);
	assert_true(row(&rows, "exact", 1)->slowest > 0.99);
}

static void test_unknown_seeds(void **state)
{
	struct c4_rows crc = run("unknown-crc", 2), jhash = run("unknown-jhash", 2);

	(void)state;
	assert_true(row(&crc, "exact, wrong seeds", 1)->slowest < 0.5);
	assert_true(row(&crc, "exact, probe table", 1)->slowest > 0.99);
	assert_true(row(&crc, "exact, learned hash", 1)->slowest > 0.99);
	assert_true(row(&crc, "exact, learned hash", 1)->probes <
		    0.5 * row(&crc, "exact, probe table", 1)->probes);
	assert_true(row(&jhash, "exact, learned hash", 1)->slowest > 0.99); /* falls back */
}

static void test_churn(void **state)
{
	struct c4_fault fault;
	struct c4_rows rows;

	(void)state;
	assert_int_equal(c4_churn_run(1, &rows, &fault), 0);
	assert_true(row(&rows, "re-plan by chains", 1)->of_bound > 0.99);
	assert_true(row(&rows, "re-plan by chains", 1)->moves < 30);
	assert_true(row(&rows, "exact, keeps the last plan", 1)->of_bound > 0.99);
	assert_true(row(&rows, "exact, from scratch", 1)->moves > 100);
	assert_true(row(&rows, "greedy, never moves", 1)->worst < 0.51);
	assert_true(row(&rows, "greedy, never moves", 1)->moves == 0);
}

/* Pinned ports alone do not survive a failure: the switches hash anew. */
static void test_link_dies(void **state)
{
	struct c4_rows rows = run("failure", 20);
	const struct c4_row *chains = row(&rows, "re-plan by chains, new ports", 8);

	(void)state;
	assert_true(row(&rows, "exact, before", 8)->worst > 0.99);
	assert_true(row(&rows, "ports kept", 8)->slowest < 0.75 * chains->slowest);
	assert_true(row(&rows, "ports kept", 8)->slowest <
		    row(&rows, "ports kept, resilient tables", 8)->slowest);
	assert_true(chains->of_bound > 0.99 && chains->moves > 0 && chains->moves < 64);
}

/* The same seed is the same world, another one is not. */
static void test_worlds_repeat(void **state)
{
	struct c4_fault fault;
	struct c4_world a, b, c;
	bool differs = false;

	(void)state;
	assert_int_equal(c4_world_make(&a, scene("dead-links"), 7, &fault), 0);
	assert_int_equal(c4_world_make(&b, scene("dead-links"), 7, &fault), 0);
	assert_int_equal(c4_world_make(&c, scene("dead-links"), 8, &fault), 0);
	for (uint32_t i = 0; i < a.d.n_conns; i++) {
		assert_int_equal(a.d.conns[i].src, b.d.conns[i].src);
		assert_int_equal(a.d.conns[i].dst, b.d.conns[i].dst);
		differs |= i < c.d.n_conns && a.d.conns[i].dst != c.d.conns[i].dst;
	}
	for (uint32_t i = 0; i < a.f.n_links; i++)
		assert_true(a.f.links[i].now_gbps == b.f.links[i].now_gbps);
	assert_int_equal(a.switches.seed, b.switches.seed);
	assert_true(differs && a.switches.seed != c.switches.seed);
	c4_world_release(&a);
	c4_world_release(&b);
	c4_world_release(&c);
}

/* ---- sums and documents -----------------------------------------------------------------------
 */

static void test_rows_sum_up(void **state)
{
	double rates[2][2] = {{0.25, 1.0}, {0.5, 0.75}};
	struct c4_summing s = {0};
	struct c4_row r;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct c4_outcome o = {.rates = rates[i],
				       .n_jobs = 2,
				       .slowest = rates[i][0],
				       .bound = 0.5,
				       .max_util = 2 + 2 * i,
				       .qps = 4 + (uint32_t)i,
				       .n_qps = 10,
				       .unpinned = 1,
				       .probes = 30};

		assert_int_equal(c4_summing_add(&s, &o, 3), 0);
		assert_int_equal(c4_summing_move(&s, 10 * (uint32_t)i), 0);
	}
	r = c4_summing_end(&s, "m", 400);
	assert_true(r.slowest == 0.375 && r.worst == 0.25 && r.mean == 0.625 && r.p5 == 0.25);
	assert_true(r.bound == 0.5 && r.of_bound == 0.5 && r.util == 3 && r.util_worst == 4);
	assert_true(r.qps_least == 4 && r.qps_most == 5);
	assert_true(r.unpinned == 0.1 && r.probes == 10 && r.moves == 5);
	assert_true(r.job_gbps == (100 + 362 + 200 + 300) / 4.0); /* 400 is cut */
}

static void test_missed_target_is_said(void **state)
{
	struct c4_report_part part = {.name = "c4-1to1", .about = "x", .seeds = 1};
	char *text = NULL;
	size_t n;

	(void)state;
	part.rows.n = 1;
	part.rows.row[0] = (struct c4_row){.method = "exact", .of_bound = 0.98};
	for (int i = 0; i < 2; i++) {
		FILE *f = open_memstream(&text, &n);

		c4_report_markdown(&part, 1, "c4plan compare", f);
		fclose(f);
		assert_int_equal(strstr(text, "**missed**") != NULL, !i);
		assert_int_equal(strstr(text, "held") != NULL, i);
		assert_non_null(strstr(text, "Made by `c4plan compare`"));
		free(text);
		part.rows.row[0].of_bound = 0.995;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge_believes_ports_only),
		cmocka_unit_test(test_exact_reaches_the_bound),
		cmocka_unit_test(test_dead_uplink_costs_its_share),
		cmocka_unit_test(test_greedy_stays_behind),
		cmocka_unit_test(test_unknown_seeds),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_link_dies),
		cmocka_unit_test(test_worlds_repeat),
		cmocka_unit_test(test_rows_sum_up),
		cmocka_unit_test(test_missed_target_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
