// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/uneven.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Steps of one walk, per vertex of the graph, before it is given up. */
#define STEPS_PER_VERTEX 64

/* Edges of each vertex, those of the first part first. */
struct parts {
	struct c4_colour_edge *e;
	uint32_t n;
	uint32_t first_colours, colours; /* of the first part, of both */
	uint32_t vertices[2];
	uint32_t *list[2];   /* [place] edge */
	uint32_t *place[2];  /* [edge] */
	uint32_t *first[2];  /* [vertex] its places are [first, first of the next) */
	uint32_t *inside[2]; /* [vertex] how many of its edges are in the class */
	uint64_t random;
};

static uint32_t random_below(struct parts *f, uint32_t n)
{
	f->random ^= f->random << 13; /* xorshift64, Marsaglia 2003 */
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (uint32_t)((f->random >> 32) * n >> 32);
}

static uint32_t degree(const struct parts *f, int side, uint32_t v)
{
	return f->first[side][v + 1] - f->first[side][v];
}

/*
 * With degree q·colours + r a vertex sees each colour q or q + 1 times if its first part has
 * q·first_colours edges and at most min(r, first_colours) more, and the rest likewise.
 */
static bool too_many(const struct parts *f, int side, uint32_t v)
{
	uint32_t d = degree(f, side, v), q = d / f->colours, r = d % f->colours;
	uint32_t more = r < f->first_colours ? r : f->first_colours;

	return f->inside[side][v] > q * f->first_colours + more;
}

static bool too_few(const struct parts *f, int side, uint32_t v)
{
	uint32_t d = degree(f, side, v), q = d / f->colours, r = d % f->colours;
	uint32_t others = f->colours - f->first_colours;

	return f->inside[side][v] < q * f->first_colours + (r > others ? r - others : 0);
}

static_assert(sizeof(struct c4_mates) == 2 * sizeof(uint32_t) &&
		      sizeof(struct c4_colour_edge) == 2 * sizeof(uint32_t),
	      "two lists fit into one array of splits");

/* ---- lists ----------------------------------------------------------------------------------- */

static void put(struct parts *f, int side, uint32_t place, uint32_t edge)
{
	f->list[side][place] = edge;
	f->place[side][edge] = place;
}

/* Buckets by vertex; the first n_first edges are the first part, first in their buckets, too. */
static void make_lists(struct parts *f, int side, uint32_t n_first)
{
	uint32_t *first = f->first[side], *fill = f->inside[side];

	memset(first, 0, (f->vertices[side] + 1) * sizeof *first);
	for (uint32_t i = 0; i < f->n; i++)
		first[f->e[i].end[side] + 1]++;
	for (uint32_t v = 0; v < f->vertices[side]; v++)
		first[v + 1] += first[v];
	memcpy(fill, first, f->vertices[side] * sizeof *fill);
	for (uint32_t i = 0; i < f->n; i++)
		put(f, side, fill[f->e[i].end[side]]++, i);
	memset(fill, 0, f->vertices[side] * sizeof *fill);
	for (uint32_t i = 0; i < n_first; i++)
		fill[f->e[i].end[side]]++;
}

/* The edge changes parts, at one of its ends. */
static void toggle(struct parts *f, int side, uint32_t edge, bool into)
{
	uint32_t v = f->e[edge].end[side], *inside = &f->inside[side][v];
	uint32_t border = f->first[side][v] + (into ? (*inside)++ : --*inside);
	uint32_t was = f->place[side][edge], other = f->list[side][border];

	put(f, side, border, edge);
	put(f, side, was, other);
}

/* A random edge of the vertex goes into the first part, or out of it; its other end. */
static uint32_t move_one(struct parts *f, int side, uint32_t v, bool into)
{
	uint32_t from = into ? f->inside[side][v] : 0;
	uint32_t many = into ? degree(f, side, v) - from : f->inside[side][v];
	uint32_t edge = f->list[side][f->first[side][v] + from + random_below(f, many)];

	toggle(f, 0, edge, into);
	toggle(f, 1, edge, into);
	return f->e[edge].end[side ^ 1];
}

/* ---- walks ----------------------------------------------------------------------------------- */

/* Puts a vertex right. False: the walk is too long. */
static bool walk(struct parts *f, int side, uint32_t v)
{
	uint64_t steps = (uint64_t)(f->vertices[0] + f->vertices[1]) * STEPS_PER_VERTEX;

	while (steps--) {
		if (too_many(f, side, v))
			v = move_one(f, side, v, false);
		else if (too_few(f, side, v))
			v = move_one(f, side, v, true);
		else
			return true;
		side ^= 1;
	}
	return false;
}

static bool walk_all(struct parts *f)
{
	for (int side = 0; side < 2; side++)
		for (uint32_t v = 0; v < f->vertices[side]; v++)
			while (too_many(f, side, v) || too_few(f, side, v))
				if (!walk(f, side, v))
					return false;
	return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

/* Edges of the first part to the front. */
static uint32_t gather(struct parts *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		struct c4_colour_edge e = f->e[i];
		uint32_t v = e.end[0];

		if (f->place[0][i] >= f->first[0][v] + f->inside[0][v])
			continue;
		f->e[i] = f->e[n];
		f->e[n++] = e;
	}
	return n;
}

/* The lists live in the splits' memory, which is idle meanwhile. */
static bool begin(struct parts *f, struct c4_split *w)
{
	uint32_t *lists = (void *)w->mates, *places = (void *)w->aside;
	bool all = true;

	for (int side = 0; side < 2; side++) {
		f->list[side] = lists + (size_t)side * f->n;
		f->place[side] = places + (size_t)side * f->n;
		f->first[side] = malloc((f->vertices[side] + 1) * sizeof(uint32_t));
		f->inside[side] = malloc((f->vertices[side] + 1) * sizeof(uint32_t));
		all = all && f->first[side] && f->inside[side];
	}
	return all;
}

static void end(struct parts *f)
{
	for (int side = 0; side < 2; side++) {
		free(f->first[side]);
		free(f->inside[side]);
	}
}

int c4_uneven(struct c4_split *w, struct c4_colour_edge *e, uint32_t n, uint32_t first_colours,
	      uint32_t colours, uint32_t *ret)
{
	struct parts f = {
		.e = e,
		.n = n,
		.first_colours = first_colours,
		.colours = colours,
		.vertices = {w->g->n[0], w->g->n[1]},
		.random = 0x9e3779b97f4a7c15ULL,
	};
	uint32_t n_first = c4_split_edges(w, e, n);
	int rc = begin(&f, w) ? 0 : -ENOMEM;

	for (int side = 0; side < 2 && !rc; side++)
		make_lists(&f, side, n_first);
	if (!rc && !walk_all(&f))
		rc = -EAGAIN;
	if (!rc)
		*ret = gather(&f);
	end(&f);
	return rc;
}
