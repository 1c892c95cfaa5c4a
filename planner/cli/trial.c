// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/assign/assign.h"
#include "planner/model/eval/baseline.h"
#include "planner/model/oracle/oracle_linear.h"
#include "planner/model/oracle/oracle_table.h"
#include "planner/model/eval/rate.h"

#define QPS_MOST   16u /* matched: as `c4plan make --qps auto` */
#define PROBES_CAP (1u << 22)
#define BATCH	   16u
#define OTHER_SEED 0x5EEDu

/* ---- judging ----------------------------------------------------------------------------- */

static uint64_t count_unpinned(const struct c4_plan *p)
{
	uint64_t n = 0;

	for (uint32_t q = 0; q < p->n_routes; q++)
		n += (p->routes[q].state == C4_ROUTE_SPINE ||
		      p->routes[q].state == C4_ROUTE_CORE) &&
		     !p->routes[q].sport;
	return n;
}

int c4_trial_judge(const struct c4_world *w, struct c4_oracle *switches, uint64_t seed,
		   struct c4_plan *p, double *x, uint64_t *ret_unpinned)
{
	double *load = malloc((2 * (size_t)w->f.n_links + 1) * sizeof *load);
	int rc = load ? 0 : -ENOMEM;

	*ret_unpinned = count_unpinned(p);
	c4_baseline_random_ports(&w->d, seed, p);
	if (rc == 0)
		rc = c4_oracle_trace(switches, &w->f, &w->d, p);
	if (rc == 0)
		c4_plan_measure(&w->f, &w->d, p, load);
	free(load);
	return rc ? rc : c4_rate_fill(&w->f, &w->d, p, x);
}

/* ---- ports ------------------------------------------------------------------------------- */

/* Asks, probes the switches and learns until nothing more is to be learned for this connection. */
static int probe_conn(const struct c4_world *w, struct c4_oracle *o, struct c4_oracle *switches,
		      const struct c4_conn *c, const struct c4_plan *p, uint64_t *probes)
{
	struct c4_want wants[C4_CONN_QPS_MAX];
	uint16_t ports[BATCH];
	uint32_t n;

	if (w->f.nics[c->src].leaf == w->f.nics[c->dst].leaf)
		return 0;
	for (uint32_t q = 0; q < c->qps; q++) {
		wants[q] = (struct c4_want){.route = c->first + q};
		c4_path_of_route(&w->f, c, &p->routes[c->first + q], &wants[q].path);
	}
	do {
		c4_oracle_want(o, c->src, c->dst, wants, c->qps);
		n = c4_oracle_probe(o, c->src, c->dst, wants, c->qps, ports, BATCH);
		for (uint32_t i = 0; i < n; i++) {
			struct c4_path seen;

			if (c4_oracle_path(switches, c->src, c->dst, ports[i], &seen))
				return 0; /* no way there at all */
			if (c4_oracle_learn(o, c->src, c->dst, ports[i], &seen) == -ENOMEM)
				return -ENOMEM;
		}
		*probes += n;
	} while (n);
	return 0;
}

static struct c4_oracle *oracle_of(const struct c4_world *w, enum c4_knowledge knowledge)
{
	struct c4_hash_model m = w->switches;

	switch (knowledge) {
	case C4_KNOWS_TABLE: return c4_oracle_table_new(PROBES_CAP);
	case C4_KNOWS_LINEAR: return c4_oracle_linear_new(PROBES_CAP);
	case C4_KNOWS_WRONG: m.seed ^= OTHER_SEED; break;
	case C4_KNOWS_HASH: break;
	}
	return c4_oracle_hash_new(&m);
}

static int find_ports(const struct c4_world *w, enum c4_knowledge knowledge,
		      struct c4_oracle *switches, struct c4_plan *p, uint64_t *probes)
{
	struct c4_oracle *o = oracle_of(w, knowledge);
	int rc = o ? c4_oracle_begin(o, &w->f) : -ENOMEM;
	bool learns = knowledge == C4_KNOWS_TABLE || knowledge == C4_KNOWS_LINEAR;

	if (rc == 0)
		rc = c4_oracle_begin(switches, &w->f);
	for (uint32_t i = 0; rc == 0 && learns && i < w->d.n_conns; i++)
		rc = probe_conn(w, o, switches, &w->d.conns[i], p, probes);
	if (rc == 0)
		rc = c4_oracle_ports(o, &w->f, &w->d, p);
	c4_oracle_free(o);
	return rc;
}

/* ---- routing ----------------------------------------------------------------------------- */

static int copy_given(const struct c4_plan *given, struct c4_plan *p)
{
	if (!given || given->n_routes != p->n_routes)
		return -EINVAL;
	memcpy(p->routes, given->routes, p->n_routes * sizeof *p->routes);
	return 0;
}

/* Routes, and ports that should lead there. */
static int route(const struct c4_world *w, const struct c4_method *m, uint64_t seed,
		 const struct c4_plan *given, struct c4_oracle *switches, struct c4_plan *p,
		 uint64_t *probes, struct c4_fault *fault)
{
	struct c4_assign_opts o = {.weighted = m->routing == C4_ROUTING_WEIGHTED};
	int rc = 0;

	switch (m->routing) {
	case C4_ROUTING_ECMP: return c4_baseline_ecmp(switches, &w->f, &w->d, seed, p);
	case C4_ROUTING_GIVEN: return copy_given(given, p);
	case C4_ROUTING_GREEDY: rc = c4_baseline_greedy(&w->f, &w->d, seed, p); break;
	case C4_ROUTING_TWO_CHOICES: rc = c4_baseline_two_choices(&w->f, &w->d, seed, p); break;
	case C4_ROUTING_EXACT:
	case C4_ROUTING_WEIGHTED: rc = c4_assign(&w->f, &w->d, &o, p, fault); break;
	}
	return rc ? rc : find_ports(w, m->knowledge, switches, p, probes);
}

/* What the slowest job cannot exceed with equal QPs, whatever the method. */
static int bound_of(const struct c4_world *w, bool weighted, double *ret, struct c4_fault *fault)
{
	struct c4_assign_opts o = {.weighted = weighted};
	struct c4_plan p = {0};
	int rc = c4_plan_init(&p, &w->d);

	if (rc == 0)
		rc = c4_assign(&w->f, &w->d, &o, &p, fault);
	if (rc == 0)
		rc = c4_rate_bound(&w->f, &w->d, p.util_bound, ret);
	c4_plan_release(&p);
	return rc;
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sum_up(struct c4_outcome *out)
{
	double sum = 0;

	qsort(out->rates, out->n_jobs, sizeof *out->rates, by_rate);
	for (uint32_t j = 0; j < out->n_jobs; j++)
		sum += out->rates[j];
	out->slowest = out->n_jobs ? out->rates[0] : 0;
	out->mean = out->n_jobs ? sum / out->n_jobs : 0;
}

static int set_qps(struct c4_world *w, uint32_t qps, struct c4_outcome *out, struct c4_fault *fault)
{
	int rc = 0;

	if (qps == 0)
		rc = c4_assign_qps(&w->f, &w->d, QPS_MOST, &qps);
	if (rc == 0 && qps != C4_QPS_KEEP)
		rc = c4_demand_set_qps(&w->d, qps, fault);
	out->qps = w->d.n_conns ? w->d.conns[0].qps : 0;
	out->n_qps = w->d.n_qps;
	out->n_jobs = w->d.n_jobs;
	return rc;
}

static int try_method(const struct c4_world *w, const struct c4_method *m, uint64_t seed,
		      const struct c4_plan *given, struct c4_oracle *switches,
		      struct c4_outcome *out, struct c4_fault *fault)
{
	struct c4_plan p = {0};
	int rc = c4_plan_init(&p, &w->d);

	if (rc == 0)
		rc = route(w, m, seed, given, switches, &p, &out->probes, fault);
	if (rc == 0)
		rc = c4_trial_judge(w, switches, seed, &p, out->rates, &out->unpinned);
	out->max_util = p.max_util;
	out->unplaced = p.n_unplaced;
	c4_plan_release(&p);
	return rc ? rc : bound_of(w, m->routing == C4_ROUTING_WEIGHTED, &out->bound, fault);
}

int c4_trial_run(struct c4_world *w, const struct c4_method *m, uint64_t seed,
		 const struct c4_plan *given, struct c4_outcome *ret, struct c4_fault *fault)
{
	struct c4_oracle *switches = c4_oracle_hash_new(&w->switches);
	struct c4_outcome out = {0};
	int rc = switches ? 0 : -ENOMEM;

	*fault = (struct c4_fault){.what = "out of memory"};
	if (rc == 0)
		rc = set_qps(w, m->qps, &out, fault);
	out.rates = calloc((size_t)w->d.n_jobs + 1, sizeof *out.rates);
	if (rc == 0)
		rc = out.rates ? 0 : -ENOMEM;
	if (rc == 0)
		rc = try_method(w, m, seed, given, switches, &out, fault);
	c4_oracle_free(switches);
	if (rc) {
		free(out.rates);
		return rc;
	}
	sum_up(&out);
	*ret = out;
	return 0;
}
