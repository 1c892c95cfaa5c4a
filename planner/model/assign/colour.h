/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * colour.h - exact, balanced edge colouring of a bipartite multigraph: the full plan.
 *
 * With S colours every vertex v sees every colour floor or ceil(deg(v)/S) times, so the largest
 * load is ceil(D/S), the least possible (König 1916; balanced form: de Werra 1971).
 *
 * Of parallel edges all but a remainder get their colours in turn (peel.h); the rest is coloured. S
 * even: it is halved (split.h) and each half coloured with S/2. S odd: it is cut into parts for
 * (S-1)/2 and (S+1)/2 colours (uneven.h); with pods S + 1 colours are used and the smallest class
 * is dissolved into the others by Kempe chains (kempe.h), which disturbs the pods' balance less.
 * O(E log S) all in all. Pure, one thread, at most 24 bytes per edge while it runs.
 */
#ifndef C4_PLANNER_COLOUR_H
#define C4_PLANNER_COLOUR_H

#include <stdbool.h>
#include <stdint.h>

struct c4_colour_edge {
	uint16_t end[2]; /* source leaf, destination leaf */
	uint32_t id;	 /* < n; colour[id] is its result */
};

struct c4_colour_graph {
	uint32_t n[2];		      /* vertices of each side, at most 65535 */
	const uint16_t *pod;	      /* of each vertex, both sides alike; NULL: one pod */
	uint32_t n_pods;	      /* 0 with pod NULL */
	struct c4_colour_edge *edges; /* reordered */
	uint32_t n_edges;
};

/* Colours 0 … colours-1 into colour[]. 0 or -ENOMEM. colours: 1 … C4_COLOURS_MAX. */
int c4_colour(struct c4_colour_graph *g, uint32_t colours, uint16_t *colour);

#endif
