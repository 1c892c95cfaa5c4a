// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/colour.h"

#include <errno.h>
#include <stdlib.h>

#include "planner/model/assign/factor.h"
#include "planner/model/assign/kempe.h"
#include "planner/model/assign/split.h"

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

/* ---- which way ------------------------------------------------------------------------------- */

/* Costs in splits of the whole graph, measured: a factor, a class dissolved. */
#define FACTOR	 3.0
#define DISSOLVE 3.5
#define TIGHT	 40.0 /* dissolving where links carry one or two: chains wander far */

/* What colouring with so many colours costs, in the same measure. */
static double cost(uint32_t colours, bool tight)
{
	double factor, dissolve;

	if (colours == 1)
		return 0;
	if (colours % 2 == 0)
		return 1 + cost(colours / 2, tight);
	factor = FACTOR + 1 + cost((colours - 1) / 2, tight);
	dissolve = DISSOLVE + tight * TIGHT + 1 + cost((colours + 1) / 2, tight);
	return factor < dissolve ? factor : dissolve;
}

/* An odd number of colours: one class less (true) or one colour more. Pods are balanced by splits
 * alone, so there the way with less repair is better. */
static bool by_factor(uint32_t colours, bool tight, bool pods)
{
	double factor = FACTOR + cost(colours - 1, tight);
	double dissolve = DISSOLVE + tight * TIGHT + cost(colours + 1, tight);

	return !pods && factor < dissolve;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void paint(struct colouring *w, const struct c4_colour_edge *e, uint32_t n, uint32_t colour)
{
	for (uint32_t i = 0; i < n; i++)
		w->colour[e[i].id] = (uint16_t)colour;
}

static bool is_tight(const struct colouring *w, uint32_t n, uint32_t colours)
{
	uint32_t vertices = w->g->n[0] > w->g->n[1] ? w->g->n[0] : w->g->n[1];

	return n <= 2ull * colours * vertices;
}

static int colour_even(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		       uint32_t colours);

/* One class by itself, the rest with the even number that is left. -EAGAIN: by the other way. */
static int colour_by_factor(struct colouring *w, struct c4_colour_edge *e, uint32_t n,
			    uint32_t base, uint32_t colours)
{
	uint32_t first;
	int rc = c4_factor(&w->split, e, n, colours, &first);

	if (rc)
		return rc;
	paint(w, e, first, base);
	return colour_even(w, e + first, n - first, base + 1, colours - 1);
}

static int colour(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		  uint32_t colours)
{
	int rc = -EAGAIN;

	if (colours == 1 || !n) {
		paint(w, e, n, base);
		return 0;
	}
	if (colours % 2 == 0)
		return colour_even(w, e, n, base, colours);
	if (by_factor(colours, is_tight(w, n, colours), w->g->pod))
		rc = colour_by_factor(w, e, n, base, colours);
	if (rc == -EAGAIN) {
		rc = colour_even(w, e, n, base, colours + 1);
		rc = rc ? rc : dissolve(w, e, n, base, colours);
	}
	return rc;
}

static int colour_even(struct colouring *w, struct c4_colour_edge *e, uint32_t n, uint32_t base,
		       uint32_t colours)
{
	uint32_t first = c4_split_edges(&w->split, e, n);
	int rc = colour(w, e, first, base, colours / 2);

	return rc ? rc : colour(w, e + first, n - first, base + colours / 2, colours / 2);
}

/* The memory for splits is given back before a last class is dissolved, which needs some itself. */
int c4_colour(struct c4_colour_graph *g, uint32_t colours, uint16_t *ret)
{
	struct colouring w = {.g = g, .colour = ret};
	bool last = colours % 2 && colours > 1 && g->n_edges &&
		    !by_factor(colours, is_tight(&w, g->n_edges, colours), g->pod);
	int rc = c4_split_init(&w.split, g);

	if (rc)
		return rc;
	rc = colour(&w, g->edges, g->n_edges, 0, colours + last);
	c4_split_release(&w.split);
	return rc || !last ? rc : dissolve(&w, g->edges, g->n_edges, 0, colours);
}
