/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * path.h - the way of one flow as a list of links: what probes see and hashes decide.
 *
 * A route (plan.h) names the same way by its switches; both forms change into each other here.
 * Pure.
 */
#ifndef C4_PLANNER_PATH_H
#define C4_PLANNER_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/plan.h"

/* The links a flow crosses, in order; none under one leaf. */
struct c4_path {
	uint32_t link[C4_HOPS_MAX];
	uint32_t hops;
};

bool c4_path_equal(const struct c4_path *a, const struct c4_path *b);

/* Its links with their directions, 2 · link, plus 1 downwards: path->hops of them. The path begins
 * at this leaf and is one of this fabric. */
void c4_path_directed(const struct c4_fabric *f, uint32_t leaf, const struct c4_path *path,
		      uint32_t to[C4_HOPS_MAX]);

/* Path fields, state and all, of the route between two leaves that crosses these links; sport and
 * share stay. 0, or -EINVAL when the links do not join the leaves in a way a route can say. */
int c4_path_to_route(const struct c4_fabric *f, uint32_t from_leaf, uint32_t to_leaf,
		     const struct c4_path *path, struct c4_route *r);

/* The links of a placed route of connection c. */
void c4_path_of_route(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		      struct c4_path *path);

#endif
