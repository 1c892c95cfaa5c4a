// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/world.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/assign/assign.h"

void c4_world_release(struct c4_world *w)
{
	c4_upkeep_free(w->upkeep); /* speaks of the fabric */
	c4_held_fabric_drop(w->fabric);
	c4_held_demand_drop(w->demand);
	c4_plan_release(&w->plan);
	free(w->backups);
	free(w->changed);
	*w = (struct c4_world){0};
}

struct c4_carry_side c4_world_side(const struct c4_world *w)
{
	return (struct c4_carry_side){&w->fabric->fabric, &w->demand->demand};
}

int c4_world_begin(struct c4_world *w, struct c4_held_fabric *fabric)
{
	struct c4_world begun = {0};
	struct c4_demand none;

	c4_demand_init(&none);
	begun.demand = c4_held_demand_new(&none);
	begun.changed = calloc(1, sizeof *begun.changed);
	if (!begun.demand || !begun.changed) {
		c4_world_release(&begun);
		return -ENOMEM;
	}
	begun.fabric = c4_held_fabric_hold(fabric);
	*w = begun;
	return 0;
}

int c4_world_adopt(struct c4_world *w, struct c4_held_fabric *fabric, struct c4_state *s)
{
	struct c4_held_demand *demand = c4_held_demand_new(&s->demand);

	if (!demand)
		return -ENOMEM;
	c4_world_release(w);
	w->fabric = c4_held_fabric_hold(fabric);
	w->demand = demand;
	w->plan = s->plan;
	w->changed = s->changed;
	s->plan = (struct c4_plan){0};
	s->changed = NULL;
	return 0;
}

/* ---- planning -------------------------------------------------------------------------------- */

static int measure(struct c4_world *w)
{
	const struct c4_fabric *f = &w->fabric->fabric;
	double *load = malloc((2 * (size_t)f->n_links + 1) * sizeof *load);

	if (!load)
		return -ENOMEM;
	c4_plan_measure(f, &w->demand->demand, &w->plan, load);
	free(load);
	return 0;
}

int c4_world_refresh(struct c4_world *w)
{
	c4_upkeep_read(w->upkeep, &w->demand->demand, w->plan.routes, w->backups);
	w->plan.lower_bound = w->plan.util_bound = NAN;
	return measure(w);
}

static bool anything_kept(const struct c4_plan *p)
{
	for (uint32_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].state != C4_ROUTE_NONE)
			return true;
	return false;
}

/* An exact plan from nothing; like `keep` where that costs nothing. */
static int exact(const struct c4_world *w, const struct c4_plan *keep, struct c4_plan *ret,
		 struct c4_fault *fault)
{
	const struct c4_assign_opts opts = {.previous = keep};
	int rc = c4_plan_init(ret, &w->demand->demand);

	if (rc)
		return rc;
	rc = c4_assign(&w->fabric->fabric, &w->demand->demand, &opts, ret, fault);
	if (rc)
		c4_plan_release(ret);
	return rc;
}

/* A new upkeep that begins with these routes. */
static int begin_upkeep(struct c4_world *w, const struct c4_plan *keep,
			const struct c4_replan_opts *o, struct c4_fault *fault)
{
	struct c4_upkeep *u;
	int rc = c4_upkeep_new(&u, &w->fabric->fabric, &w->demand->demand, keep, o, fault);

	if (rc)
		return rc;
	c4_upkeep_free(w->upkeep);
	w->upkeep = u;
	return 0;
}

/* Where there is no upkeep to go on with: after another fabric, or at the start. */
static int plan_anew(struct c4_world *w, const struct c4_carry *y, const struct c4_replan_opts *o,
		     struct c4_fault *fault)
{
	struct c4_plan first;
	int rc;

	if (anything_kept(&y->plan))
		return begin_upkeep(w, &y->plan, o, fault);
	rc = exact(w, NULL, &first, fault);
	if (rc)
		return rc;
	rc = begin_upkeep(w, &first, o, fault);
	c4_plan_release(&first);
	return rc;
}

static int allocate(struct c4_world *w)
{
	const struct c4_demand *d = &w->demand->demand;

	w->changed = calloc((size_t)d->n_qps + 1, sizeof *w->changed);
	w->backups = calloc((size_t)d->n_qps + 1, sizeof *w->backups);
	return w->changed && w->backups ? c4_plan_init(&w->plan, d) : -ENOMEM;
}

int c4_world_plan(struct c4_world *was, struct c4_world *next, const struct c4_carry *y,
		  const struct c4_replan_opts *o, struct c4_fault *fault)
{
	int rc = allocate(next);

	if (!rc && was->upkeep && was->fabric == next->fabric && anything_kept(&y->plan)) {
		next->upkeep = was->upkeep;
		was->upkeep = NULL;
		if (was->demand != next->demand)
			rc = c4_upkeep_follow(next->upkeep, &next->demand->demand, y);
	} else if (!rc) {
		rc = plan_anew(next, y, o, fault);
	}
	return rc;
}

int c4_world_polish(struct c4_world *w, double gain, const struct c4_replan_opts *o,
		    struct c4_fault *fault)
{
	struct c4_plan best;
	int rc = exact(w, &w->plan, &best, fault);
	double lower_bound, util_bound;

	if (rc)
		return rc;
	lower_bound = best.lower_bound;
	util_bound = best.util_bound;
	if (w->plan.max_util > 1 && best.max_util < w->plan.max_util * (1 - gain)) {
		rc = begin_upkeep(w, &best, o, fault);
		if (!rc)
			rc = c4_world_refresh(w);
	}
	w->plan.lower_bound = lower_bound;
	w->plan.util_bound = util_bound;
	c4_plan_release(&best);
	return rc;
}
