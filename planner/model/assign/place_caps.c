// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/place_caps.h"

#include <math.h>

#define SLACK 1e-6

double c4_place_others(const struct c4_place *p, uint32_t layer, bool over, int side, uint64_t at)
{
	double sum = 0;

	for (uint32_t i = 0; i < p->n_layers; i++) {
		const struct c4_place_layer *l = &p->layers[i];

		if (i != layer)
			sum += l->unit * (over ? l->over.load : l->top.load)[side][at];
	}
	return sum;
}

static uint32_t fits(const struct c4_place *p, const struct c4_bundle *b, double unit, double other)
{
	double left;

	if (unit <= 0)
		return 0; /* retired */
	if (other <= 0)
		return c4_bundle_fits(p->net, b, unit, p->util);
	left = (p->util * c4_bundle_rate(p->net, b) - other) / unit + SLACK;
	return left > 0 ? (uint32_t)fmin(left, UINT32_MAX) : 0;
}

static void recap_top(struct c4_place *p, uint32_t layer, uint64_t at)
{
	struct c4_place_layer *l = &p->layers[layer];

	for (int side = 0; side < 2; side++)
		l->top.cap[side][at] = fits(p, &p->net->up[at], l->unit,
					    c4_place_others(p, layer, false, side, at));
}

static void recap_core(struct c4_place *p, uint32_t layer, uint64_t at)
{
	struct c4_place_layer *l = &p->layers[layer];

	for (int side = 0; side < 2; side++)
		l->over.cap[side][at] = fits(p, &p->net->over[at], l->unit,
					     c4_place_others(p, layer, true, side, at));
}

void c4_place_recap_layer(struct c4_place *p, uint32_t layer)
{
	const struct c4_net *n = p->net;
	uint64_t ups = (uint64_t)n->n_leaves * n->colours;
	uint64_t overs = (uint64_t)n->n_pods * n->colours * n->cores;

	for (uint64_t at = 0; at < ups; at++)
		recap_top(p, layer, at);
	for (uint64_t at = 0; at < overs; at++)
		recap_core(p, layer, at);
}

void c4_place_set_util(struct c4_place *p, double util)
{
	p->util = util;
	for (uint32_t i = 0; i < p->n_layers; i++)
		c4_place_recap_layer(p, i);
}

void c4_place_recap(struct c4_place *p, uint32_t leaf, uint32_t colour)
{
	for (uint32_t i = 0; i < p->n_layers; i++)
		recap_top(p, i, (uint64_t)leaf * p->net->colours + colour);
}

void c4_place_recap_over(struct c4_place *p, uint32_t pod, uint32_t colour, uint32_t core)
{
	for (uint32_t i = 0; i < p->n_layers; i++)
		recap_core(p, i, ((uint64_t)pod * p->net->colours + colour) * p->net->cores + core);
}

void c4_place_recap_others(struct c4_place *p, uint32_t layer, const struct c4_kempe *k, bool over,
			   const struct c4_kempe_change *c)
{
	const uint16_t colours[2] = {c->from, c->to};

	for (uint32_t l = 0; l < p->n_layers; l++) {
		if (l == layer)
			continue;
		for (int i = 0; i < 4; i++) {
			uint64_t at = (uint64_t)c->end[i & 1] * k->colours + colours[i >> 1];

			if (colours[i >> 1] == C4_UNCOLOURED)
				continue;
			if (over)
				recap_core(p, l, at);
			else
				recap_top(p, l, at);
		}
	}
}

/* The limit at which a link of this rate carries one QP more of this size. */
static double next_step(const struct c4_place *p, double unit, double rate)
{
	return (floor(p->util * rate / unit + SLACK) + 1) * unit / rate;
}

static double next_of_bundles(const struct c4_place *p, const struct c4_bundle *b, uint64_t n,
			      double best)
{
	const struct c4_fabric *f = p->net->fabric;
	float last = 0; /* neighbours are mostly alike */

	for (uint64_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < b[i].n; k++) {
			float now = f->links[f->link_of[b[i].at + k]].now_gbps;

			if (now <= 0 || now == last)
				continue;
			last = now;
			for (uint32_t l = 0; l < p->n_layers; l++)
				best = fmin(best, next_step(p, p->layers[l].unit,
							    (double)now / (double)p->net->rate));
		}
	return best;
}

double c4_place_next_util(const struct c4_place *p)
{
	const struct c4_net *n = p->net;
	double best = INFINITY;

	best = next_of_bundles(p, n->up, (uint64_t)n->n_leaves * n->colours, best);
	return next_of_bundles(p, n->over, (uint64_t)n->n_pods * n->colours * n->cores, best);
}
