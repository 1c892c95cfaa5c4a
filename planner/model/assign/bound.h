/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bound.h - what no plan of these QPs can do better: lower bounds by counting.
 *
 * Degree: the QPs that leave (or reach) a leaf share its live uplinks, whole QPs on each; those
 * that leave (or reach) a pod share the live links between its spines and the cores. Cut: the QPs
 * from one leaf to leaves that live spines reach only through the same few of its uplinks share
 * these few; between pods only where every way keeps its colour (c4_net.aligned). With QPs of
 * several sizes the largest k sizes give a bound for each k. Pure, one thread.
 */
#ifndef C4_PLANNER_BOUND_H
#define C4_PLANNER_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/assign/colour.h"
#include "planner/model/fabric/net.h"

#define C4_BOUND_SIZES_MAX 64u

struct c4_bound {
	double load; /* of max_load */
	double util; /* of max_util */
};

/* QPs of one net that some live path can take: ends in local leaves; size[of[id]] is the weight of
 * a QP, of == NULL: all size[0]. */
struct c4_bound_input {
	const struct c4_colour_edge *edges;
	uint32_t n_edges;
	const uint8_t *of;
	const double *size;
	uint32_t n_sizes; /* at most C4_BOUND_SIZES_MAX */
	bool split;	  /* shares are free: QPs count by weight, not whole */
};

/*
 * The least utilisation at which count[i] QPs of size[i] fit on these links, whatever goes where; 0
 * without a live link.
 */
double c4_bound_links(const struct c4_net *n, const struct c4_bundle *links, uint32_t n_links,
		      const double *size, const uint32_t *count, uint32_t n_sizes);

/* 0 or -ENOMEM. */
int c4_bound_net(const struct c4_net *n, const struct c4_bound_input *in, struct c4_bound *ret);

#endif
