// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/colour.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/kempe.h"

#define NO_MATE UINT32_MAX
#define UNSEEN	2

struct mates {
	uint32_t at[2]; /* the edge paired with this one at its source, at its destination */
};

struct colouring {
	const struct c4_colour_graph *g;
	uint16_t *colour;
	struct c4_colour_edge *aside; /* second halves, while first ones are packed */
	struct mates *mates;
	uint8_t *half;
	uint32_t *waiting[2];	  /* [vertex * 2 + inside]: an edge that has no mate yet */
	uint32_t *waiting_pod[2]; /* [pod] */
};

static uint32_t pod_of(const struct colouring *w, uint32_t vertex)
{
	return w->g->pod ? w->g->pod[vertex] : 0;
}

/* Edges inside a pod do not use its way out: they are paired with each other first. */
static bool inside(const struct colouring *w, const struct c4_colour_edge *e)
{
	return w->g->pod && w->g->pod[e->end[0]] == w->g->pod[e->end[1]];
}

/* ---- split ----------------------------------------------------------------------------------- */

static void pair(struct colouring *w, int side, uint32_t *waiting, uint32_t i)
{
	uint32_t other = *waiting;

	if (other == NO_MATE) {
		*waiting = i;
		return;
	}
	w->mates[i].at[side] = other;
	w->mates[other].at[side] = i;
	*waiting = NO_MATE;
}

/* What a vertex has left: its two odd ones together, or one to find a mate in its pod. */
static void pair_rest(struct colouring *w, int side, uint32_t vertex)
{
	uint32_t *out = &w->waiting[side][2 * vertex], *in = out + 1;

	if (*out != NO_MATE && *in != NO_MATE)
		pair(w, side, out, *in);
	else if (*out != NO_MATE)
		pair(w, side, &w->waiting_pod[side][pod_of(w, vertex)], *out);
	*out = *in = NO_MATE;
}

static void pair_all(struct colouring *w, const struct c4_colour_edge *e, uint32_t n)
{
	memset(w->mates, 0xff, n * sizeof *w->mates);
	for (uint32_t i = 0; i < n; i++) {
		bool in = inside(w, &e[i]);

		pair(w, 0, &w->waiting[0][2 * e[i].end[0] + in], i);
		pair(w, 1, &w->waiting[1][2 * e[i].end[1] + in], i);
	}
	for (uint32_t i = 0; i < n; i++) {
		pair_rest(w, 0, e[i].end[0]);
		pair_rest(w, 1, e[i].end[1]);
	}
	for (uint32_t i = 0; i < n; i++)
		for (int side = 0; side < 2; side++)
			w->waiting_pod[side][pod_of(w, e[i].end[side])] = NO_MATE;
}

/* From edge i along mates, alternately at each side, giving the halves in turn. */
static void walk(struct colouring *w, uint32_t i, int side)
{
	uint8_t half = w->half[i];

	while ((i = w->mates[i].at[side]) != NO_MATE && w->half[i] == UNSEEN) {
		half ^= 1;
		w->half[i] = half;
		side ^= 1;
	}
}

/*
 * First half to the front of e; its length. The second half is turned round: QPs of one connection
 * fall into both halves, and halves in the same order would be coloured alike, so that the QPs of a
 * connection met the same company everywhere.
 */
static uint32_t split(struct colouring *w, struct c4_colour_edge *e, uint32_t n)
{
	uint32_t first = 0, second = 0;

	pair_all(w, e, n);
	memset(w->half, UNSEEN, n);
	for (uint32_t i = 0; i < n; i++) {
		if (w->half[i] != UNSEEN)
			continue;
		w->half[i] = 0;
		walk(w, i, 0);
		walk(w, i, 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (w->half[i])
			w->aside[second++] = e[i];
		else
			e[first++] = e[i];
	}
	for (uint32_t i = 0; i < second; i++)
		e[first + i] = w->aside[second - 1 - i];
	return first;
}

/* ---- one colour too many --------------------------------------------------------------------- */

static uint16_t smallest_class(const struct colouring *w, const struct c4_colour_edge *e,
			       uint32_t n, uint32_t base, uint32_t classes)
{
	uint32_t size[C4_COLOURS_MAX + 1] = {0}, best = 0;

	for (uint32_t i = 0; i < n; i++)
		size[w->colour[e[i].id] - base]++;
	for (uint32_t c = 1; c < classes; c++)
		if (size[c] < size[best])
			best = c;
	return (uint16_t)best;
}

/* Each vertex may see each colour ceil(degree / colours) times: the balanced colouring. */
static void set_caps(struct c4_kempe *k, const struct c4_colour_edge *e, uint32_t n)
{
	for (int side = 0; side < 2; side++) {
		uint32_t *cap = k->cap[side];

		for (uint32_t i = 0; i < n; i++)
			cap[(uint64_t)e[i].end[side] * k->colours]++;
		for (uint32_t v = 0; v < k->n[side]; v++) {
			uint32_t *of = cap + (uint64_t)v * k->colours;
			uint32_t each = (*of + k->colours - 1) / k->colours;

			for (uint32_t c = 0; c < k->colours; c++)
				of[c] = each;
		}
	}
}

/* Edge i of the piece is edge i of k. The class to dissolve stays without colour. */
static int load_classes(struct colouring *w, struct c4_kempe *k, const struct c4_colour_edge *e,
			uint32_t n, uint32_t base, uint16_t dissolved)
{
	int rc = c4_kempe_reserve(k, n);

	for (uint32_t i = 0; i < n && !rc; i++) {
		uint16_t c = (uint16_t)(w->colour[e[i].id] - base);

		c4_kempe_add(k, e[i].end[0], e[i].end[1]);
		if (c != dissolved)
			c4_kempe_paint(k, i, c == k->colours ? dissolved : c);
		c4_kempe_mark(k);
	}
	return rc;
}

/* e has the colours base … base + colours, one more than wanted. */
static int dissolve(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		    uint32_t colours)
{
	uint16_t dissolved = smallest_class(w, e, n, base, colours + 1);
	struct c4_kempe k;
	int rc = c4_kempe_init(&k, w->g->n[0], w->g->n[1], colours);

	if (rc)
		return rc;
	set_caps(&k, e, n);
	rc = load_classes(w, &k, e, n, base, dissolved);
	for (uint32_t i = 0; i < n && !rc; i++) {
		if (k.edges[i].colour == C4_UNCOLOURED)
			rc = c4_kempe_insert(&k, i, UINT32_MAX);
		c4_kempe_mark(&k);
	}
	for (uint32_t i = 0; i < n && !rc; i++)
		w->colour[e[i].id] = (uint16_t)(base + k.edges[i].colour);
	c4_kempe_release(&k);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int colour(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		  uint32_t colours)
{
	uint32_t first;
	int rc;

	if (colours == 1 || !n) {
		for (uint32_t i = 0; i < n; i++)
			w->colour[e[i].id] = (uint16_t)base;
		return 0;
	}
	if (colours % 2) {
		rc = colour(w, e, n, base, colours + 1);
		return rc ? rc : dissolve(w, e, n, base, colours);
	}
	first = split(w, e, n);
	rc = colour(w, e, first, base, colours / 2);
	return rc ? rc : colour(w, e + first, n - first, base + colours / 2, colours / 2);
}

static uint32_t *no_mates(size_t n)
{
	uint32_t *p = malloc((n + 1) * sizeof *p);

	if (p)
		memset(p, 0xff, (n + 1) * sizeof *p);
	return p;
}

static bool prepare(struct colouring *w)
{
	const struct c4_colour_graph *g = w->g;
	uint32_t n = g->n_edges + 1, pods = g->pod ? g->n_pods : 1;

	w->aside = malloc(n * sizeof *w->aside);
	w->mates = malloc(n * sizeof *w->mates);
	w->half = malloc(n);
	for (int side = 0; side < 2; side++) {
		w->waiting[side] = no_mates(2 * (size_t)g->n[side]);
		w->waiting_pod[side] = no_mates(pods);
	}
	return w->aside && w->mates && w->half && w->waiting[0] && w->waiting[1] &&
	       w->waiting_pod[0] && w->waiting_pod[1];
}

static void release(struct colouring *w)
{
	free(w->aside);
	free(w->mates);
	free(w->half);
	for (int side = 0; side < 2; side++) {
		free(w->waiting[side]);
		free(w->waiting_pod[side]);
	}
}

/* The last step of an odd number needs no splits: their memory is given back before it. */
int c4_colour(struct c4_colour_graph *g, uint32_t colours, uint16_t *ret)
{
	struct colouring w = {.g = g, .colour = ret};
	uint32_t even = colours > 1 ? colours + colours % 2 : colours;
	int rc = prepare(&w) ? colour(&w, g->edges, g->n_edges, 0, even) : -ENOMEM;

	release(&w);
	return rc || even == colours ? rc : dissolve(&w, g->edges, g->n_edges, 0, colours);
}
