// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/bound.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLACK 1e-6

/* Live sets looked at for cuts: leaves beyond that many kinds are not compared. */
#define KINDS_MAX 64

struct bounds {
	const struct c4_net *n;
	const struct c4_bound_input *in;
	uint32_t *count;	/* [vertex * n_sizes + size] */
	struct c4_bundle *some; /* links of the vertex at work */
	struct c4_bound best;
};

/* ---- QPs that share a set of links ----------------------------------------------------------- */

struct links {
	const struct c4_net *n;
	const struct c4_bundle *b;
	uint32_t n_b;
};

static bool all_fit(const struct links *l, double unit, double util, uint32_t count)
{
	uint64_t room = 0;

	for (uint32_t i = 0; i < l->n_b && room < count; i++)
		room += c4_bundle_fits(l->n, &l->b[i], unit, util);
	return room >= count;
}

/* The next utilisation at which one of the links carries one more. */
static double step(const struct links *l, double unit, double util)
{
	const struct c4_fabric *f = l->n->fabric;
	double best = INFINITY;

	for (uint32_t i = 0; i < l->n_b; i++)
		for (uint32_t k = 0; k < l->b[i].n; k++) {
			double rate = (double)f->links[f->link_of[l->b[i].at + k]].now_gbps /
				      (double)l->n->rate;

			if (rate > 0)
				best = fmin(best,
					    (floor(util * rate / unit + SLACK) + 1) * unit / rate);
		}
	return best;
}

/* count QPs of at least `unit`, whole, on links of this rate in all. */
static double util_of(const struct links *l, double rate, double unit, uint32_t count)
{
	double util = unit * count / rate;

	while (!all_fit(l, unit, util, count))
		util = step(l, unit, util);
	return util;
}

/* Indices by falling size; sizes are few. */
static void sort_sizes(const double *size, uint32_t n, uint8_t *order)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = i;

		for (; at && size[order[at - 1]] < size[i]; at--)
			order[at] = order[at - 1];
		order[at] = (uint8_t)i;
	}
}

/* What these links must carry if they alone can: counts per size. */
static struct c4_bound share(const struct links *l, const double *size, const uint32_t *count,
			     uint32_t n_sizes, bool split)
{
	struct c4_bound best = {0};
	uint8_t order[C4_BOUND_SIZES_MAX];
	double rate = 0, weight = 0;
	uint32_t alive = 0, larger = 0;

	for (uint32_t i = 0; i < l->n_b; i++) {
		alive += c4_bundle_alive(l->n, &l->b[i]);
		rate += c4_bundle_rate(l->n, &l->b[i]);
	}
	if (!alive)
		return best; /* nothing will be placed there */
	sort_sizes(size, n_sizes, order);
	for (uint32_t k = 0; k < n_sizes; k++) {
		double unit = size[order[k]];

		if (!count[order[k]])
			continue;
		larger += count[order[k]];
		weight += unit * count[order[k]];
		best.load = fmax(best.load, weight / alive);
		best.util = fmax(best.util, weight / rate);
		if (split)
			continue;
		best.load = fmax(best.load, unit * ((larger + alive - 1) / alive));
		best.util = fmax(best.util, util_of(l, rate, unit, larger));
	}
	return best;
}

double c4_bound_links(const struct c4_net *n, const struct c4_bundle *links, uint32_t n_links,
		      const double *size, const uint32_t *count, uint32_t n_sizes)
{
	struct links l = {n, links, n_links};

	return share(&l, size, count, n_sizes, false).util;
}

static void share_all(struct bounds *b, const struct c4_bundle *links, uint32_t n,
		      const uint32_t *count)
{
	struct links l = {b->n, links, n};
	struct c4_bound one = share(&l, b->in->size, count, b->in->n_sizes, b->in->split);

	b->best.load = fmax(b->best.load, one.load);
	b->best.util = fmax(b->best.util, one.util);
}

/* ---- degrees --------------------------------------------------------------------------------- */

static uint32_t size_of(const struct c4_bound_input *in, const struct c4_colour_edge *e)
{
	return in->of ? in->of[e->id] : 0;
}

static void degree_of_leaves(struct bounds *b, int side)
{
	const struct c4_net *n = b->n;
	uint32_t sizes = b->in->n_sizes;

	memset(b->count, 0, (size_t)n->n_leaves * sizes * sizeof *b->count);
	for (uint32_t i = 0; i < b->in->n_edges; i++) {
		const struct c4_colour_edge *e = &b->in->edges[i];

		b->count[e->end[side] * sizes + size_of(b->in, e)]++;
	}
	for (uint32_t v = 0; v < n->n_leaves; v++)
		share_all(b, c4_net_up(n, v, 0), n->colours, &b->count[v * sizes]);
}

static bool crosses(const struct c4_net *n, const struct c4_colour_edge *e)
{
	return n->pod[e->end[0]] != n->pod[e->end[1]];
}

static void degree_of_pods(struct bounds *b, int side)
{
	const struct c4_net *n = b->n;
	uint32_t sizes = b->in->n_sizes;

	memset(b->count, 0, (size_t)n->n_pods * sizes * sizeof *b->count);
	for (uint32_t i = 0; i < b->in->n_edges; i++) {
		const struct c4_colour_edge *e = &b->in->edges[i];

		if (crosses(n, e))
			b->count[n->pod[e->end[side]] * sizes + size_of(b->in, e)]++;
	}
	for (uint32_t p = 0; p < n->n_pods; p++)
		share_all(b, c4_net_over(n, p, 0, 0), n->colours * n->cores, &b->count[p * sizes]);
}

/* ---- cuts ------------------------------------------------------------------------------------ */

/* Leaves of one pod with the same live uplinks are of one kind. */
struct kinds {
	uint32_t n;
	uint32_t example[KINDS_MAX]; /* a leaf of each */
	uint8_t *of;		     /* [leaf] KINDS_MAX: none */
};

static bool alive(const struct c4_net *n, uint32_t leaf, uint32_t colour)
{
	return c4_bundle_rate(n, c4_net_up(n, leaf, colour)) > 0;
}

static bool same_kind(const struct c4_net *n, uint32_t a, uint32_t b)
{
	for (uint32_t c = 0; c < n->colours; c++)
		if (alive(n, a, c) != alive(n, b, c))
			return false;
	return true;
}

static void find_kinds(const struct c4_net *n, struct kinds *k)
{
	for (uint32_t v = 0; v < n->n_leaves; v++) {
		uint32_t i = 0;

		while (i < k->n && !same_kind(n, v, k->example[i]))
			i++;
		if (i == k->n && k->n < KINDS_MAX)
			k->example[k->n++] = v;
		k->of[v] = (uint8_t)i;
	}
}

/* The uplinks of leaf v whose spine also reaches leaves like w. */
static uint32_t common_links(struct bounds *b, uint32_t v, uint32_t w)
{
	uint32_t n = 0;

	for (uint32_t c = 0; c < b->n->colours; c++)
		if (alive(b->n, w, c))
			b->some[n++] = *c4_net_up(b->n, v, c);
	return n;
}

/*
 * QPs between each leaf and each kind of leaf at the other end. Those between pods count where
 * they keep their colour: routes here always do, but a bound is for others, too.
 */
static void cut(struct bounds *b, int side, const struct kinds *k)
{
	const struct c4_net *n = b->n;
	uint32_t sizes = b->in->n_sizes, row = k->n * sizes;

	memset(b->count, 0, (size_t)n->n_leaves * row * sizeof *b->count);
	for (uint32_t i = 0; i < b->in->n_edges; i++) {
		const struct c4_colour_edge *e = &b->in->edges[i];
		uint32_t kind = k->of[e->end[side ^ 1]];

		if (kind < k->n && (n->aligned || !crosses(n, e)))
			b->count[(size_t)e->end[side] * row + kind * sizes + size_of(b->in, e)]++;
	}
	for (uint32_t v = 0; v < n->n_leaves; v++)
		for (uint32_t i = 0; i < k->n; i++)
			share_all(b, b->some, common_links(b, v, k->example[i]),
				  &b->count[(size_t)v * row + i * sizes]);
}

static int cuts(struct bounds *b)
{
	struct kinds k = {.of = malloc(b->n->n_leaves + 1)};

	if (!k.of)
		return -ENOMEM;
	find_kinds(b->n, &k);
	for (int side = 0; side < 2 && k.n > 1; side++)
		cut(b, side, &k);
	free(k.of);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

int c4_bound_net(const struct c4_net *n, const struct c4_bound_input *in, struct c4_bound *ret)
{
	struct bounds b = {.n = n, .in = in};
	size_t vertices = n->n_leaves > n->n_pods ? n->n_leaves : n->n_pods;
	int rc = -ENOMEM;

	b.count = malloc((vertices * in->n_sizes * KINDS_MAX + 1) * sizeof *b.count);
	b.some = malloc((n->colours + 1) * sizeof *b.some);
	if (b.count && b.some) {
		for (int side = 0; side < 2; side++) {
			degree_of_leaves(&b, side);
			if (n->cores)
				degree_of_pods(&b, side);
		}
		rc = c4_net_uniform(n) ? 0 : cuts(&b);
	}
	free(b.count);
	free(b.some);
	if (!rc)
		*ret = b.best;
	return rc;
}
