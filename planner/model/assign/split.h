/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * split.h - a bipartite multigraph into two halves of equal degrees, in O(edges).
 *
 * Edges are paired at each vertex; the pairs make paths and even cycles, and walking these with
 * alternating sides gives every vertex half of its edges, give or take one (Euler splitting, Gabow
 * 1976; as pairs of mates, without adjacency lists). What is left over at a vertex is paired within
 * its pod, so that the edges that leave a pod are halved too. Pure, one thread.
 */
#ifndef C4_PLANNER_SPLIT_H
#define C4_PLANNER_SPLIT_H

#include <stdint.h>

#include "planner/model/assign/colour.h"

struct c4_mates {
	uint32_t at[2]; /* the edge paired with this one at its source, at its destination */
};

/* Memory for splitting a graph and its parts: 17 bytes per edge. */
struct c4_split {
	const struct c4_colour_graph *g;
	struct c4_colour_edge *aside; /* second halves, while first ones are packed */
	struct c4_mates *mates;
	uint8_t *half;
	uint32_t *waiting[2];	  /* [vertex * 2 + inside]: an edge that has no mate yet */
	uint32_t *waiting_pod[2]; /* [pod] */
};

/* 0 or -ENOMEM. */
int c4_split_init(struct c4_split *w, const struct c4_colour_graph *g);
void c4_split_release(struct c4_split *w);

/*
 * Some edges of the graph: first half to the front of e; its length. The second half is turned
 * round: QPs of one connection fall into both halves, and halves in the same order would be
 * coloured alike, so that the QPs of a connection met the same company everywhere.
 */
uint32_t c4_split_edges(struct c4_split *w, struct c4_colour_edge *e, uint32_t n);

#endif
