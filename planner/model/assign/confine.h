/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confine.h - when not everybody can have a free way, as few jobs as possible share.
 *
 * A leaf with more QPs than its links carry at their rate makes somebody share, and every job with
 * one QP on a shared link runs at its pace. Confining the QPs of some jobs, the least intense
 * first, to a few colours leaves the others' colours unshared: two exact colourings instead of one,
 * the largest load is the same (it cannot be less), but the others run at full rate. Pure, one
 * thread.
 */
#ifndef C4_PLANNER_CONFINE_H
#define C4_PLANNER_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/assign/colour.h"
#include "planner/model/demand/demand.h"

struct c4_confine {
	uint32_t n_leaves, colours;
	const struct c4_colour_edge *edges;
	uint32_t n_edges;
	const uint32_t *job; /* [id of the edge] */
	const struct c4_job *jobs;
	uint32_t n_jobs;
	uint32_t full; /* QPs that a link carries at its rate */
	uint32_t most; /* QPs on a link that cannot be helped */
};

/*
 * Jobs to confine, confined[job] = 1, and the number of colours for them in *ret_colours (the first
 * ones). False when no choice leaves others better off, or out of memory.
 */
bool c4_confine_choose(const struct c4_confine *in, uint8_t *confined, uint32_t *ret_colours);

/* Σ intensity · rate of the jobs, each at the pace of its fullest link; colour[id] as coloured.
 * Negative when out of memory. */
double c4_confine_score(const struct c4_confine *in, const uint16_t *colour);

#endif
