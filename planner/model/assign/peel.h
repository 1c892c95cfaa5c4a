/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peel.h - the regular part of a colouring, given without any search.
 *
 * Of m parallel edges between two vertices, floor(m / S) * S get the S colours in turn, each
 * equally often: every vertex (and pod) sees every colour as often as any other, so whatever
 * balance the colouring of the remaining edges reaches is the balance of the whole. An all-to-all
 * of many ranks then costs two passes over its edges, and splits only what is left of each pair,
 * less than S.
 *
 * Pure, one thread; a counter per pair of vertices while it runs, no more than one per edge.
 */
#ifndef C4_PLANNER_PEEL_H
#define C4_PLANNER_PEEL_H

#include "planner/model/assign/colour.h"

/*
 * Edges without a colour come to the front of g->edges, in their order; *ret_left is their number,
 * all of them where pairs are more than edges (few could have that many). Colours of the others are
 * in colour[id]. 0 or -ENOMEM.
 */
int c4_peel(struct c4_colour_graph *g, uint32_t colours, uint16_t *colour, uint32_t *ret_left);

#endif
