/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world.h - a plan, what it is a plan of, and what keeps it alive. Worker side.
 */
#ifndef C4_PLANNER_WORLD_H
#define C4_PLANNER_WORLD_H

#include "planner/daemon/carry.h"
#include "planner/daemon/held.h"
#include "planner/daemon/state.h"
#include "planner/daemon/upkeep.h"

/* fabric NULL: nothing yet. */
struct c4_world {
	struct c4_held_fabric *fabric;
	struct c4_held_demand *demand;
	struct c4_plan plan;	  /* bounds NAN: not known */
	struct c4_route *backups; /* per QP */
	uint64_t *changed;	  /* per QP: in which version */
	struct c4_upkeep *upkeep; /* NULL: the plan was read from a file */
};

void c4_world_release(struct c4_world *w);
struct c4_carry_side c4_world_side(const struct c4_world *w);

/* No connections on a fabric. 0 or -ENOMEM with *w as it was. */
int c4_world_begin(struct c4_world *w, struct c4_held_fabric *fabric);

/* What a state file says of this fabric; takes the state's contents but for its links. 0 or
 * -ENOMEM. */
int c4_world_adopt(struct c4_world *w, struct c4_held_fabric *fabric, struct c4_state *s);

/*
 * Makes the upkeep of *next, whose fabric and demand are set: what is carried over stays as far as
 * it can, the rest is placed; without anything to keep it is an exact plan from nothing. Takes
 * was->upkeep if it fits. 0 or a negative errno with the reason in *fault. Refresh it afterwards.
 */
int c4_world_plan(struct c4_world *was, struct c4_world *next, const struct c4_carry *y,
		  const struct c4_replan_opts *o, struct c4_fault *fault);

/* Reads routes and backups from upkeep, measures them. 0 or -ENOMEM. */
int c4_world_refresh(struct c4_world *w);

/*
 * Finds the bounds of the plan by making one from nothing, and goes over to that one where links
 * are above their rate and it is better by more than `gain`. 0 or a negative errno.
 */
int c4_world_polish(struct c4_world *w, double gain, const struct c4_replan_opts *o,
		    struct c4_fault *fault);

#endif
