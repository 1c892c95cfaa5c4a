// SPDX-License-Identifier: BSD-3-Clause
/*
 * plan_full [--quick]: what a whole plan costs: processor time, and heap at its peak beyond demand
 * and plan. Host permutations, one QP each, so that every fabric is tight where its numbers allow;
 * and all-to-all, where spines divide the QPs of two leaves and where they do not.
 * Fabrics with budgets come first; damaged ones, pods and the worst numbers of spines are for
 * comparison (budget of their size). A plan above its lower bound on a uniform fabric is no result.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/plan_case.h"
#include "tests/unit/plan_heap.h"

#define RUNS 7

struct scene {
	const char *name; /* NULL: part of the row above: the slowest counts */
	struct c4_clos shape;
	uint32_t kill; /* links of each 1000 that are dead */
	double budget_ms;
	bool all_to_all;
};

/* The worst for odd numbers of spines: the colouring with one colour too many has no slack. */
static const struct scene scenes[] = {
	{.name = "plan_100k",
	 .shape = {.leaves = 64, .spines = 32, .hosts_per_leaf = 1563},
	 .budget_ms = 50},
	{.shape = {.leaves = 128, .spines = 60, .hosts_per_leaf = 391, .planes = 2},
	 .budget_ms = 50},
	{.shape = {.leaves = 1024, .spines = 64, .hosts_per_leaf = 98}, .budget_ms = 50},
	{.name = "plan_1m",
	 .shape = {.leaves = 64, .spines = 32, .hosts_per_leaf = 15625},
	 .budget_ms = 1000},
	{.shape = {.leaves = 128, .spines = 60, .hosts_per_leaf = 3907, .planes = 2},
	 .budget_ms = 1000},
	{.shape = {.leaves = 1024, .spines = 64, .hosts_per_leaf = 977}, .budget_ms = 1000},
	{.name = "plan_100k_odd",
	 .shape = {.leaves = 1600, .spines = 65, .hosts_per_leaf = 65},
	 .budget_ms = 50},
	{.shape = {.leaves = 800, .spines = 127, .hosts_per_leaf = 127}, .budget_ms = 50},
	{.name = "plan_1m_odd",
	 .shape = {.leaves = 8192, .spines = 127, .hosts_per_leaf = 127},
	 .budget_ms = 1000},
	{.name = "plan_1m_all_to_all",
	 .shape = {.leaves = 64, .spines = 32, .hosts_per_leaf = 16},
	 .all_to_all = true,
	 .budget_ms = 1000},
	{.shape = {.leaves = 128, .spines = 60, .hosts_per_leaf = 8},
	 .all_to_all = true,
	 .budget_ms = 1000},
	{.shape = {.leaves = 128, .spines = 31, .hosts_per_leaf = 8, .pods = 8},
	 .all_to_all = true,
	 .budget_ms = 1000},
	{.name = "plan_100k_pods",
	 .shape = {.leaves = 1024, .spines = 32, .hosts_per_leaf = 98, .pods = 16},
	 .budget_ms = 50},
	{.name = "plan_100k_dead_links",
	 .shape = {.leaves = 256, .spines = 32, .hosts_per_leaf = 391},
	 .kill = 3,
	 .budget_ms = 50},
};
#define SCENES (sizeof scenes / sizeof *scenes)

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* ---- plans ----------------------------------------------------------------------------------- */

static void make(struct plan_case *c, const struct scene *s)
{
	struct dice dice = {7};

	case_clos(c, s->shape);
	case_kill(c, &dice, s->kill);
	if (s->all_to_all)
		case_all_to_all(c, 1);
	else
		case_permute(c, &dice, 1);
}

/* Milliseconds of one plan; bytes per flow beyond demand and plan. */
static double plan_once(struct plan_case *c, double *ret_bytes)
{
	struct c4_assign_opts opts = {0};
	struct c4_fault fault;
	int64_t before;
	double began;

	c4_plan_release(&c->p);
	if (c4_plan_init(&c->p, &c->d))
		case_stop(c, "out of memory");
	before = plan_heap.peak = plan_heap.held;
	began = cpu_ms();
	if (c4_assign(&c->f, &c->d, &opts, &c->p, &fault))
		case_stop(c, "no plan");
	*ret_bytes = (double)(plan_heap.peak - before) / c->d.n_qps;
	return cpu_ms() - began;
}

static double median_ms(struct plan_case *c, uint32_t runs, double *ret_bytes)
{
	double ms[RUNS];

	for (uint32_t i = 0; i < runs; i++)
		ms[i] = plan_once(c, ret_bytes);
	qsort(ms, runs, sizeof *ms, by_value);
	return ms[runs / 2];
}

static void row(const char *name, double value, const char *unit, double budget)
{
	printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"budget\":%g,\"ok\":%s}\n", name,
	       value, unit, budget, value <= budget ? "true" : "false");
	fflush(stdout);
}

struct row {
	double ms, bytes;
};

static void measure(const struct scene *s, uint32_t runs, struct row *most)
{
	struct plan_case c;
	double bytes, ms;

	make(&c, s);
	ms = median_ms(&c, runs, &bytes);
	fprintf(stderr, "  %s, %u flows: %.1f ms, %.1f bytes per flow, load %g, bound %g\n", c.name,
		c.d.n_qps, ms, bytes, c.p.max_load, c.p.lower_bound);
	if (!s->kill && c.p.max_load > c.p.lower_bound * 1.0001)
		case_stop(&c, "above the lower bound");
	most->ms = ms > most->ms ? ms : most->ms;
	most->bytes = bytes > most->bytes ? bytes : most->bytes;
	case_release(&c);
}

int main(int argc, char **argv)
{
	uint32_t runs = argc > 1 && !strcmp(argv[1], "--quick") ? 3 : RUNS;
	char name[64];

	for (size_t i = 0; i < SCENES;) {
		const struct scene *first = &scenes[i];
		struct row most = {0};

		do
			measure(&scenes[i++], runs, &most);
		while (i < SCENES && !scenes[i].name);
		row(first->name, most.ms, "ms", first->budget_ms);
		snprintf(name, sizeof name, "%s_bytes_per_flow", first->name);
		row(name, most.bytes, "bytes", 64);
	}
	return 0;
}
