// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/rows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/ds/vec.h"

#define RATES_MAX  (1u << 26)
#define BUSBW_GBPS 362.0 /* what the GPUs of C4's testbed can take */

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
