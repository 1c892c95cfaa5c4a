// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/colour.h"

#include <errno.h>
#include <stdlib.h>

#include "planner/model/assign/kempe.h"
#include "planner/model/assign/peel.h"
#include "planner/model/assign/split.h"
#include "planner/model/assign/uneven.h"

struct colouring {
	const struct c4_colour_graph *g;
	uint16_t *colour;
	struct c4_split split;
};

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
		/* with one capacity per vertex only memory can be missing */
		if (k.edges[i].colour == C4_UNCOLOURED && c4_kempe_insert(&k, i, UINT32_MAX))
			rc = -ENOMEM;
		c4_kempe_mark(&k);
	}
	for (uint32_t i = 0; i < n && !rc; i++)
		w->colour[e[i].id] = (uint16_t)(base + k.edges[i].colour);
	c4_kempe_release(&k);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void paint(struct colouring *w, const struct c4_colour_edge *e, uint32_t n, uint32_t colour)
{
	for (uint32_t i = 0; i < n; i++)
		w->colour[e[i].id] = (uint16_t)colour;
}

static int colour(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		  uint32_t colours);

/* The first `part` edges with that many of the colours, the others with the rest. */
static int colour_parts(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t part,
			uint32_t base, uint32_t part_colours, uint32_t colours)
{
	int rc = colour(w, e, part, base, part_colours);

	return rc ? rc : colour(w, e + part, n - part, base + part_colours, colours - part_colours);
}

static int colour_even(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		       uint32_t colours)
{
	uint32_t first = c4_split_edges(&w->split, e, n);

	return colour_parts(w, e, n, first, base, colours / 2, colours);
}

/* Walks know nothing of pods: there one colour too many, and its class dissolved, is better. */
static int colour_odd(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		      uint32_t colours)
{
	uint32_t first;
	int rc = -EAGAIN;

	if (!w->g->pod)
		rc = c4_uneven(&w->split, e, n, colours / 2, colours, &first);
	if (!rc)
		return colour_parts(w, e, n, first, base, colours / 2, colours);
	if (rc != -EAGAIN)
		return rc;
	rc = colour_even(w, e, n, base, colours + 1);
	return rc ? rc : dissolve(w, e, n, base, colours);
}

static int colour(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		  uint32_t colours)
{
	if (colours == 1 || !n) {
		paint(w, e, n, base);
		return 0;
	}
	return colours % 2 ? colour_odd(w, e, n, base, colours)
			   : colour_even(w, e, n, base, colours);
}

/* The memory for splits is given back before a last class is dissolved, which needs some itself. */
static int colour_all(struct c4_colour_graph *g, uint32_t colours, uint16_t *ret)
{
	struct colouring w = {.g = g, .colour = ret};
	bool last = g->pod && colours % 2 && colours > 1 && g->n_edges;
	int rc = c4_split_init(&w.split, g);

	if (rc)
		return rc;
	rc = colour(&w, g->edges, g->n_edges, 0, colours + last);
	c4_split_release(&w.split);
	return rc || !last ? rc : dissolve(&w, g->edges, g->n_edges, 0, colours);
}

int c4_colour(struct c4_colour_graph *g, uint32_t colours, uint16_t *ret)
{
	struct c4_colour_graph rest = *g;
	int rc = c4_peel(g, colours, ret, &rest.n_edges);

	return rc || !rest.n_edges ? rc : colour_all(&rest, colours, ret);
}
