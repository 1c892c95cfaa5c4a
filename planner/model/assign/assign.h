/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * assign.h - a whole plan from nothing: which spine (and core) each QP takes.
 *
 * Every net is a bipartite multigraph, source leaves × destination leaves, one edge per QP, whose
 * colours are the spines. Equal QPs on a uniform net reach the degree bound exactly (König 1916;
 * colour.h). Dead and degraded links, unequal links and unequal QPs start from the exact colouring
 * of the uniform net and are repaired by Kempe chains (kempe.h) under the lowest utilisation that
 * counting allows, raised step by step when a chain finds no end. In three tiers the spines of a
 * pod are coloured first, balanced per leaf and per pod, then the cores of each spine group, pod ×
 * pod.
 *
 * What a plan optimises, in this order: the largest utilisation; among plans equal in this, the
 * jobs of highest intensity are kept off the fullest links; then the fewest changes against
 * `previous`. Pure, one thread; memory: at most 48 bytes per QP besides input and plan.
 */
#ifndef C4_PLANNER_ASSIGN_H
#define C4_PLANNER_ASSIGN_H

#include <stdbool.h>

#include "planner/model/plan.h"

struct c4_assign_opts {
	const struct c4_plan *previous; /* of the same demand on the same fabric, or NULL; its
					 * routes may be NONE where a QP is new */
	bool weighted;			/* unequal shares of a connection's QPs where that helps */
};

/*
 * Fills p (from c4_plan_init()): every route but its sport, loads and bounds. QPs that cannot be
 * placed are NO_PATH or TWO_PLANES and counted, which is not an error. 0, -ENOMEM, or -E2BIG with
 * the reason in *fault for a net with more than C4_COLOURS_MAX spines per pod.
 */
int c4_assign(const struct c4_fabric *f, const struct c4_demand *d, const struct c4_assign_opts *o,
	      struct c4_plan *p, struct c4_fault *fault);

/*
 * QPs per connection (1 … most, at most C4_CONN_QPS_MAX) into *ret: the number that makes the
 * utilisation bound of equal shares smallest, ties and what is below a full link to fewer. With 7
 * of 8 uplinks alive 7 QPs are better than 8. 0, -EINVAL, -ENOMEM, or -E2BIG as c4_assign().
 */
int c4_assign_qps(const struct c4_fabric *f, const struct c4_demand *d, uint32_t most,
		  uint32_t *ret);

#endif
