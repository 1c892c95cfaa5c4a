// SPDX-License-Identifier: BSD-3-Clause
/*
 * plan_change [--quick]: what one change costs a living plan of 100 000 QPs: a job of 64
 * connections comes, a link dies; medians, the worst of two fabrics. And the memory of the plan in
 * two tiers, after all these changes. On stderr each fabric, with its 99th percentile, its memory,
 * and how many QPs had to move, also where every QP is as large as a link and nine of ten ways are
 * taken.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "planner/model/replan/replan.h"
#include "tests/unit/plan_case.h"

#define LIVE_QPS   100000u
#define QPS	   4u
#define ARRIVING   64u
#define S	   1000000000ull
#define BUDGET_S   1e-3
#define BUDGET_B   64.0
#define ROUNDS_MAX 2000

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

static void stop(const char *what)
{
	fprintf(stderr, "plan_change: %s\n", what);
	exit(1);
}

struct world {
	const char *name;
	struct c4_fabric f;
	struct c4_replan *r;
	double empty; /* heap before the plan */
	struct dice dice;
	uint64_t now_ns;
	int rounds;
};

/* A median, with the 99th percentile told. */
struct sample {
	double seconds[ROUNDS_MAX];
	uint32_t moves[ROUNDS_MAX];
	int n;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double report(const struct world *w, const char *what, struct sample *s)
{
	double moved = 0;
	uint32_t most = 0;

	for (int i = 0; i < s->n; i++) {
		moved += s->moves[i];
		most = s->moves[i] > most ? s->moves[i] : most;
	}
	qsort(s->seconds, (size_t)s->n, sizeof *s->seconds, by_value);
	fprintf(stderr, "  %s: %s: median %.0f us, p99 %.0f us; %.1f QPs moved, at most %u\n",
		w->name, what, s->seconds[s->n / 2] * 1e6, s->seconds[s->n * 99 / 100] * 1e6,
		moved / s->n, most);
	return s->seconds[s->n / 2];
}

static void open_world(struct world *w, const char *name, struct c4_clos shape, int rounds)
{
	struct c4_fault fault;

	*w = (struct world){.name = name, .dice = {1}, .now_ns = S, .rounds = rounds};
	c4_fabric_init(&w->f);
	shape.rails = shape.planes = 1;
	shape.gbps = 400;
	if (c4_clos_make(&w->f, &shape, &fault))
		stop(fault.what);
	w->empty = heap_bytes();
	if (c4_replan_new(&w->r, &w->f, NULL, &fault))
		stop(fault.what);
}

static void close_world(struct world *w)
{
	c4_replan_free(w->r);
	c4_fabric_release(&w->f);
}

static uint32_t add(struct world *w, uint32_t src, uint32_t dst, double weight, uint32_t qps)
{
	int64_t h = c4_replan_add(w->r, src, dst, weight, qps);

	if (h < 0)
		stop("an arrival is refused");
	return (uint32_t)h;
}

/* Some hosts, no two alike, in any order. */
static uint32_t *any_hosts(struct world *w)
{
	uint32_t *host = malloc((w->f.n_hosts + 1) * sizeof *host);

	for (uint32_t i = 0; i < w->f.n_hosts; i++)
		host[i] = i;
	dice_shuffle(&w->dice, host, w->f.n_hosts);
	return host;
}

/* Rings through all hosts until enough QPs live; each link is `busy` full. */
static double fill(struct world *w, double busy)
{
	uint32_t rings = (LIVE_QPS + w->f.n_hosts * QPS - 1) / (w->f.n_hosts * QPS);
	double weight = busy / rings;

	for (uint32_t k = 0; k < rings; k++) {
		uint32_t *host = any_hosts(w);

		for (uint32_t i = 0; i < w->f.n_hosts; i++)
			add(w, host[i], host[(i + 1) % w->f.n_hosts], weight, QPS);
		free(host);
	}
	c4_replan_clear_moves(w->r);
	return weight;
}

static uint32_t moves_of(struct world *w)
{
	uint32_t n;

	c4_replan_moves(w->r, &n);
	c4_replan_clear_moves(w->r);
	return n;
}

/* ---- a job comes ----------------------------------------------------------------------------- */

static double arrivals(struct world *w, double weight, uint32_t qps, const char *what)
{
	static struct sample s;

	s.n = 0;
	for (int i = 0; i < w->rounds; i++) {
		uint32_t *host = any_hosts(w), handle[ARRIVING];
		double begin = now_s();

		for (uint32_t k = 0; k < ARRIVING; k++)
			handle[k] = add(w, host[k], host[(k + 1) % ARRIVING], weight, qps);
		s.seconds[s.n] = now_s() - begin;
		s.moves[s.n++] = moves_of(w);
		for (uint32_t k = 0; k < ARRIVING; k++)
			c4_replan_remove(w->r, handle[k]);
		free(host);
	}
	return report(w, what, &s);
}

/* ---- a link dies ----------------------------------------------------------------------------- */

static void repair(struct world *w, uint32_t link)
{
	double nominal = (double)w->f.links[link].gbps;

	if (c4_replan_link(w->r, link, nominal, w->now_ns))
		stop("a repair is refused");
	w->now_ns += 7200 * S;
	c4_replan_tick(w->r, w->now_ns);
	c4_replan_clear_moves(w->r);
}

static double failures(struct world *w, bool cores, const char *what)
{
	static struct sample s;

	s.n = 0;
	while (s.n < w->rounds) {
		uint32_t link = dice_below(&w->dice, w->f.n_links);
		double begin;

		if ((w->f.switches[w->f.links[link].b].tier == C4_CORE) != cores)
			continue;
		begin = now_s();
		if (c4_replan_link(w->r, link, 0, w->now_ns))
			stop("a failure is refused");
		s.seconds[s.n] = now_s() - begin;
		s.moves[s.n++] = moves_of(w);
		repair(w, link);
	}
	return report(w, what, &s);
}

/* ---- tight: one QP fills a link -------------------------------------------------------------- */

static void tight(struct world *w)
{
	uint32_t *host = any_hosts(w), n = w->f.n_hosts * 9 / 10;
	static struct sample s;

	for (uint32_t i = 0; i < n; i++)
		add(w, host[i], host[(i + 1) % n], 1, 1);
	c4_replan_clear_moves(w->r);
	s.n = 0;
	for (int i = 0; i < w->rounds; i++) {
		uint32_t handle[ARRIVING];
		double begin;

		/* any of those that have nothing */
		dice_shuffle(&w->dice, host + n, w->f.n_hosts - n);
		begin = now_s();
		for (uint32_t k = 0; k < ARRIVING; k++)
			handle[k] = add(w, host[n + k], host[n + (k + 1) % ARRIVING], 1, 1);
		s.seconds[s.n] = now_s() - begin;
		s.moves[s.n++] = moves_of(w);
		for (uint32_t k = 0; k < ARRIVING; k++)
			c4_replan_remove(w->r, handle[k]);
	}
	report(w, "64 connections come where 90 % is taken", &s);
	free(host);
}

/* ---- all ------------------------------------------------------------------------------------- */

struct worst {
	double arrival, failure, bytes;
};

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static void measure(struct worst *worst, const char *name, struct c4_clos shape, int rounds)
{
	struct world w;
	double weight, load, util, bytes;

	open_world(&w, name, shape, rounds);
	weight = fill(&w, 0.85);
	worst->arrival =
		larger(worst->arrival, arrivals(&w, weight, QPS, "64 connections of 4 QPs come"));
	worst->failure = larger(worst->failure, failures(&w, false, "an uplink dies"));
	if (shape.pods)
		worst->failure = larger(worst->failure, failures(&w, true, "a core link dies"));
	bytes = (heap_bytes() - w.empty) / c4_replan_stats(w.r)->qps;
	c4_replan_measure(w.r, &load, &util);
	fprintf(stderr, "  %s: %u QPs, %.1f bytes each, utilisation %.3f\n", name,
		c4_replan_stats(w.r)->qps, bytes, util);
	worst->bytes = larger(worst->bytes, shape.pods ? 0 : bytes);
	close_world(&w);
	open_world(&w, name, shape, rounds);
	tight(&w);
	close_world(&w);
}

static void tell(const char *name, double value, const char *unit, double budget)
{
	printf("{\"bench\":\"%s\",\"value\":%.6g,\"unit\":\"%s\",\"budget\":%g,\"ok\":%s}\n", name,
	       value, unit, budget, value <= budget ? "true" : "false");
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 && !strcmp(argv[1], "--quick") ? 100 : ROUNDS_MAX;
	struct worst worst = {0};

	measure(&worst, "64 leaves x 32 spines",
		(struct c4_clos){.leaves = 64, .spines = 32, .hosts_per_leaf = 32}, rounds);
	measure(&worst, "8 pods of 8 leaves x 16 spines",
		(struct c4_clos){.leaves = 64, .spines = 16, .hosts_per_leaf = 16, .pods = 8},
		rounds);
	tell("replan_arrival_64", worst.arrival, "s", BUDGET_S);
	tell("replan_link_down", worst.failure, "s", BUDGET_S);
	tell("replan_bytes_per_flow", worst.bytes, "B", BUDGET_B);
	return 0;
}
