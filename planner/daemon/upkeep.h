/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * upkeep.h - a living plan (planner/model/replan/replan.h) that follows demands: each connection of
 * the present demand has a handle in it. Worker side, one thread; pure but for its memory.
 */
#ifndef C4_PLANNER_UPKEEP_H
#define C4_PLANNER_UPKEEP_H

#include "planner/daemon/carry.h"
#include "planner/model/replan/replan.h"

struct c4_upkeep;

/*
 * Begins with routes to keep as far as they are live (NONE: to be placed), in the demand's order.
 * The fabric is held by the caller, and its rates are changed by c4_upkeep_link() and _tick() alone
 * from now on. -ENOMEM, or -E2BIG with the reason in *fault.
 */
int c4_upkeep_new(struct c4_upkeep **ret, struct c4_fabric *f, const struct c4_demand *d,
		  const struct c4_plan *keep, const struct c4_replan_opts *o,
		  struct c4_fault *fault);
void c4_upkeep_free(struct c4_upkeep *u);

/* From the demand it knows to the next one, y being what is the same in them. -ENOMEM: it is of no
 * use any more. */
int c4_upkeep_follow(struct c4_upkeep *u, const struct c4_demand *d, const struct c4_carry *y);

int c4_upkeep_link(struct c4_upkeep *u, uint32_t link, double now_gbps, uint64_t now_ns);
/* Returns whether anything moved. */
bool c4_upkeep_tick(struct c4_upkeep *u, uint64_t now_ns);

/* Copies routes, and the way of each if its spine fails, in the demand's order. */
void c4_upkeep_read(struct c4_upkeep *u, const struct c4_demand *d, struct c4_route *routes,
		    struct c4_route *backups);
/* Ports that were found for the routes are remembered until these move. */
void c4_upkeep_set_ports(struct c4_upkeep *u, const struct c4_demand *d,
			 const struct c4_route *routes);

/* Why QPs moved since the last call: why[qp] = enum c4_move_reason, others untouched. -ENOMEM. */
int c4_upkeep_reasons(struct c4_upkeep *u, const struct c4_demand *d, uint8_t *why);

#endif
