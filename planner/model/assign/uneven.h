/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uneven.h - a bipartite multigraph into two parts for unequal numbers of colours: every vertex
 * gives each part so many of its edges that both can be coloured evenly.
 *
 * A split gives halves; a vertex that has too many or too few in the first part is put right by a
 * random alternating walk, an edge out, an edge in, until a vertex can take the difference. While
 * most vertices are wrong a walk is a step; the last ones take O(n log n) steps in all on a regular
 * graph (Goel, Kapralov, Khanna 2010). Linear but for that. Pure, one thread; its memory is that of
 * the splits.
 */
#ifndef C4_PLANNER_UNEVEN_H
#define C4_PLANNER_UNEVEN_H

#include "planner/model/assign/split.h"

/*
 * The part for first_colours of the colours to the front of e; its size in *ret. 0, -ENOMEM, or
 * -EAGAIN when a walk did not end in reasonable time (e is then reordered, no more).
 */
int c4_uneven(struct c4_split *w, struct c4_colour_edge *e, uint32_t n, uint32_t first_colours,
	      uint32_t colours, uint32_t *ret);

#endif
