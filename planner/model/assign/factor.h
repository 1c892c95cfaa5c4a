/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * factor.h - takes one colour class out of a bipartite multigraph: every vertex gives floor or
 * ceil(degree / colours) of its edges, so that the rest can be coloured with one colour less.
 *
 * Splits give a part of nearly the right size; a vertex that has one edge too many or too few is
 * put right by a random alternating walk, an edge out, an edge in, until a vertex can take the
 * difference. Such walks are short: O(n log n) steps for all n vertices of a regular graph (Goel,
 * Kapralov, Khanna 2010). Linear but for that. Pure, one thread; its memory is that of the splits.
 */
#ifndef C4_PLANNER_FACTOR_H
#define C4_PLANNER_FACTOR_H

#include "planner/model/assign/split.h"

/*
 * The class to the front of e; its size in *ret. 0, -ENOMEM, or -EAGAIN when a walk did not end in
 * reasonable time (e is then reordered, no more).
 */
int c4_factor(struct c4_split *w, struct c4_colour_edge *e, uint32_t n, uint32_t colours,
	      uint32_t *ret);

#endif
