// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/weights.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define ROUNDS_MAX 300
#define PATIENCE   40	/* rounds without gain before the end */
#define GAIN	   1e-4 /* relative; less is none */
#define SHARPNESS  32	/* of the cost: how little a link below the fullest counts */
#define RATE	   0.5	/* of a step, falling as 1 / (1 + round * COOLING) */
#define COOLING	   0.05
#define LEAST	   1e-3 /* a QP keeps this part of its connection: it must stay measurable */

/* The ways of one connection. */
struct ways {
	const struct c4_fabric *f;
	struct c4_hop hops[C4_CONN_QPS_MAX][C4_HOPS_MAX];
	int n_hops[C4_CONN_QPS_MAX];
	double share[C4_CONN_QPS_MAX];
	uint32_t n;
	double weight;
};

static double *load_of(double *load, const struct c4_hop *h)
{
	return &load[2 * (uint64_t)h->link + !h->up];
}

static void add(struct ways *w, uint32_t q, double share, double *load)
{
	for (int i = 0; i < w->n_hops[q]; i++)
		if (w->hops[q][i].link != C4_NONE)
			*load_of(load, &w->hops[q][i]) += w->weight * share;
}

/* What one more bit costs on a way: near 1 on the fullest links, next to nothing on others. */
static double cost(const struct ways *w, uint32_t q, double level, double *load)
{
	double sum = 0;

	for (int i = 0; i < w->n_hops[q]; i++) {
		const struct c4_hop *h = &w->hops[q][i];

		if (h->link != C4_NONE)
			sum += pow(*load_of(load, h) /
					   ((double)w->f->links[h->link].now_gbps * level),
				   SHARPNESS);
	}
	return sum;
}

/* A step down: shares shrink with the cost of their ways, and are made to sum to 1 again. */
static void shift(struct ways *w, double level, double rate, double *load)
{
	double share[C4_CONN_QPS_MAX], sum = 0;

	for (uint32_t q = 0; q < w->n; q++) {
		share[q] = fmax(LEAST, w->share[q] * exp(-rate * cost(w, q, level, load)));
		sum += share[q];
	}
	for (uint32_t q = 0; q < w->n; q++) {
		add(w, q, share[q] / sum - w->share[q], load);
		w->share[q] = share[q] / sum;
	}
}

static bool look(struct ways *w, const struct c4_conn *c, const struct c4_plan *p)
{
	w->n = c->qps;
	w->weight = (double)c->weight;
	for (uint32_t q = 0; q < c->qps; q++) {
		const struct c4_route *r = &p->routes[c->first + q];

		w->n_hops[q] = c4_route_hops(w->f, c, r, w->hops[q]);
		w->share[q] = (double)r->share;
		if (!w->n_hops[q])
			return false;
	}
	return c->qps > 1;
}

static double largest(const struct c4_fabric *f, const double *load)
{
	double most = 0;

	for (uint32_t i = 0; i < f->n_links; i++)
		if (f->links[i].now_gbps > 0)
			most = fmax(most, fmax(load[2 * (uint64_t)i], load[2 * (uint64_t)i + 1]) /
						  (double)f->links[i].now_gbps);
	return most;
}

static void round_of(struct ways *w, const struct c4_demand *d, struct c4_plan *p, double level,
		     double rate, double *load)
{
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *c = &d->conns[i];

		if (!look(w, c, p))
			continue;
		shift(w, level, rate, load);
		for (uint32_t q = 0; q < w->n; q++)
			p->routes[c->first + q].share = (float)w->share[q];
	}
}

static void save(const struct c4_plan *p, float *shares)
{
	for (uint32_t i = 0; i < p->n_routes; i++)
		shares[i] = p->routes[i].share;
}

static void restore(struct c4_plan *p, const float *shares)
{
	for (uint32_t i = 0; i < p->n_routes; i++)
		p->routes[i].share = shares[i];
}

int c4_weights_balance(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		       double *load)
{
	float *best = malloc(((size_t)p->n_routes + 1) * sizeof *best);
	double least = largest(f, load), level = least;
	struct ways w = {.f = f};

	if (!best)
		return -ENOMEM;
	save(p, best);
	for (int i = 0, idle = 0; i < ROUNDS_MAX && idle < PATIENCE; i++, idle++) {
		round_of(&w, d, p, level, RATE / (1 + i * COOLING), load);
		level = largest(f, load);
		if (level > least * (1 - GAIN))
			continue;
		least = level;
		save(p, best);
		idle = 0;
	}
	restore(p, best);
	c4_plan_measure(f, d, p, load);
	free(best);
	return 0;
}
