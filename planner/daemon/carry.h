/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carry.h - the routes of a plan in terms of the demand, and perhaps the fabric, that follow it.
 *
 * A connection is the same if its id and both NICs (by name) are; a route is carried over if its
 * switches still exist, by name, and links still join them. Pure, one thread.
 */
#ifndef C4_PLANNER_CARRY_H
#define C4_PLANNER_CARRY_H

#include "planner/model/plan.h"

/* A demand on its fabric. */
struct c4_carry_side {
	const struct c4_fabric *fabric;
	const struct c4_demand *demand;
};

struct c4_carry {
	uint32_t *old;		  /* per new connection: the old one, or C4_NONE */
	uint32_t *next;		  /* per old connection: the new one, or C4_NONE */
	bool *same;		  /* per new connection: nothing of it is different */
	struct c4_route *backups; /* likewise */
	struct c4_plan plan;	  /* old routes in the new order; NONE where there is none */
};

/* backups: per QP of `was`, or NULL. 0 or -ENOMEM. */
int c4_carry_init(struct c4_carry *y, const struct c4_carry_side *was, const struct c4_plan *plan,
		  const struct c4_route *backups, const struct c4_carry_side *is);
void c4_carry_release(struct c4_carry *y);

typedef bool (*c4_carry_filter)(const struct c4_conn *c);

/*
 * The same connections for another fabric, by names; those whose NICs are gone, and those that keep
 * (NULL: all) does not want, are left out. Initialises *ret. 0 or -ENOMEM.
 */
int c4_carry_demand(const struct c4_carry_side *was, const struct c4_fabric *is,
		    c4_carry_filter keep, struct c4_demand *ret);

#endif
