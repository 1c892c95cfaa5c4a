// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/compare.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/ds/vec.h"
#include "planner/cli/churn.h"
#include "planner/cli/failure.h"

#define RATES_MAX  (1u << 26)
#define BUSBW_GBPS 362.0 /* what the GPUs of C4's testbed can take */

/* ---- summing up -------------------------------------------------------------------------- */

static int append(double **data, uint32_t *n, uint32_t *cap, double value)
{
	double *grown = c4_vec_reserve(*data, cap, *n + 1, RATES_MAX, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	*data = grown;
	grown[(*n)++] = value;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts. */
static double quantile(double *v, uint32_t n, double q)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof *v, by_value);
	return v[(uint32_t)(q * (n - 1))];
}

int c4_summing_move(struct c4_summing *s, uint32_t moved)
{
	return append(&s->moves, &s->n_moves, &s->cap_moves, moved);
}

int c4_summing_add(struct c4_summing *s, const struct c4_outcome *o, uint32_t conns)
{
	struct c4_row *r = &s->row;
	double of_bound = o->bound > 0 ? o->slowest / o->bound : 1;

	for (uint32_t i = 0; i < o->n_jobs; i++)
		if (append(&s->rates, &s->n_rates, &s->cap_rates, o->rates[i]))
			return -ENOMEM;
	r->qps_least = s->trials && r->qps_least < o->qps ? r->qps_least : o->qps;
	r->qps_most = r->qps_most > o->qps ? r->qps_most : o->qps;
	r->worst = s->trials && r->worst < o->slowest ? r->worst : o->slowest;
	r->of_bound = s->trials && r->of_bound < of_bound ? r->of_bound : of_bound;
	r->util_worst = r->util_worst > o->max_util ? r->util_worst : o->max_util;
	r->slowest += o->slowest;
	r->util += o->max_util;
	r->bound += o->bound;
	s->n_qps += o->n_qps;
	s->unpinned += o->unpinned;
	s->probes += o->probes;
	s->conns += conns;
	s->trials++;
	return 0;
}

static double mean_of(const double *v, uint32_t n, double factor, double most)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += v[i] * factor < most ? v[i] * factor : most;
	return n ? sum / n : 0;
}

struct c4_row c4_summing_end(struct c4_summing *s, const char *method, double job_gbps)
{
	struct c4_row r = s->row;
	double n = s->trials ? s->trials : 1;

	r.method = method;
	r.slowest /= n;
	r.util /= n;
	r.bound /= n;
	r.mean = mean_of(s->rates, s->n_rates, 1, INFINITY);
	r.p5 = quantile(s->rates, s->n_rates, 0.05);
	r.job_gbps = job_gbps > 0 ? mean_of(s->rates, s->n_rates, job_gbps, BUSBW_GBPS) : NAN;
	r.unpinned = s->n_qps ? (double)s->unpinned / (double)s->n_qps : 0;
	r.probes = s->probes ? (double)s->probes / (double)s->conns : NAN;
	r.moves = s->n_moves ? mean_of(s->moves, s->n_moves, 1, INFINITY) : NAN;
	r.moves_p95 = s->n_moves ? quantile(s->moves, s->n_moves, 0.95) : NAN;
	free(s->rates);
	free(s->moves);
	*s = (struct c4_summing){0};
	return r;
}

/* ---- trials ------------------------------------------------------------------------------ */

static int one_seed(const struct c4_comparison *c, uint64_t seed, struct c4_summing *sums,
		    struct c4_fault *fault)
{
	struct c4_world w;
	int rc = c->make(c->arg, &w, seed, fault);

	if (rc)
		return rc;
	for (uint32_t m = 0; rc == 0 && m < c->n_methods; m++) {
		struct c4_outcome o;

		rc = c4_trial_run(&w, &c->methods[m], seed, c->given, &o, fault);
		if (rc)
			break;
		rc = c4_summing_add(&sums[m], &o, w.d.n_conns);
		free(o.rates);
	}
	c4_world_release(&w);
	return rc;
}

int c4_compare(const struct c4_comparison *c, struct c4_rows *ret, struct c4_fault *fault)
{
	struct c4_summing sums[C4_ROWS_MAX] = {0};
	int rc = 0;

	*fault = (struct c4_fault){.what = "out of memory"};
	for (uint64_t seed = 1; rc == 0 && seed <= c->seeds; seed++)
		rc = one_seed(c, seed, sums, fault);
	for (uint32_t m = 0; m < c->n_methods; m++)
		ret->row[m] = c4_summing_end(&sums[m], c->methods[m].name, c->job_gbps);
	ret->n = c->n_methods;
	return rc;
}

#define ECMP(k)                                                                                    \
	{                                                                                          \
		"ECMP", C4_ROUTING_ECMP, (k), C4_KNOWS_HASH                                        \
	}
#define EXACT(k)                                                                                   \
	{                                                                                          \
		"exact", C4_ROUTING_EXACT, (k), C4_KNOWS_HASH                                      \
	}
#define BASELINES                                                                                  \
	ECMP(1), ECMP(4), ECMP(8), ECMP(16), {"greedy", C4_ROUTING_GREEDY, 1, C4_KNOWS_HASH},      \
		{"greedy, k matched", C4_ROUTING_GREEDY, 0, C4_KNOWS_HASH},                        \
	{                                                                                          \
		"two choices", C4_ROUTING_TWO_CHOICES, 1, C4_KNOWS_HASH                            \
	}

static const struct c4_method usual[] = {
	BASELINES, EXACT(1), {"exact, k matched", C4_ROUTING_EXACT, 0, C4_KNOWS_HASH}};

static const struct c4_method fault_rows[] = {
	BASELINES,
	EXACT(1),
	EXACT(4),
	EXACT(7),
	EXACT(8),
	{"exact, k matched", C4_ROUTING_EXACT, 0, C4_KNOWS_HASH},
	{"exact, weighted", C4_ROUTING_WEIGHTED, 8, C4_KNOWS_HASH},
};

static const struct c4_method oracle_rows[] = {
	ECMP(1),
	{"exact, hash known", C4_ROUTING_EXACT, 1, C4_KNOWS_HASH},
	{"exact, wrong seeds", C4_ROUTING_EXACT, 1, C4_KNOWS_WRONG},
	{"exact, probe table", C4_ROUTING_EXACT, 1, C4_KNOWS_TABLE},
	{"exact, learned hash", C4_ROUTING_EXACT, 1, C4_KNOWS_LINEAR},
};

#define COUNT(a) ((uint32_t)(sizeof(a) / sizeof *(a)))

static int make_scene(void *arg, struct c4_world *w, uint64_t seed, struct c4_fault *fault)
{
	return c4_world_make(w, arg, seed, fault);
}

int c4_compare_scene(const struct c4_scene *s, struct c4_rows *ret, struct c4_fault *fault)
{
	struct c4_comparison c = {.methods = usual,
				  .n_methods = COUNT(usual),
				  .seeds = s->seeds,
				  .job_gbps = s->job_gbps,
				  .make = make_scene,
				  .arg = (void *)(uintptr_t)s};

	if (s->rows == C4_ROWS_CHURN)
		return c4_churn_run(s->seeds, ret, fault);
	if (s->rows == C4_ROWS_FAILURE)
		return c4_failure_run(s, s->seeds, ret, fault);
	if (s->rows == C4_ROWS_FAULT) {
		c.methods = fault_rows;
		c.n_methods = COUNT(fault_rows);
	} else if (s->rows == C4_ROWS_ORACLES) {
		c.methods = oracle_rows;
		c.n_methods = COUNT(oracle_rows);
	}
	return c4_compare(&c, ret, fault);
}
