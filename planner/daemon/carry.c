// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/carry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/daemon/edition.h"
#include "planner/daemon/held.h"

/* New index of each old switch or NIC; C4_NONE where the name is gone. */
static uint32_t *map_switches(const struct c4_fabric *was, const struct c4_fabric *is)
{
	uint32_t *map = malloc((was->n_switches + 1) * sizeof *map);

	for (uint32_t i = 0; map && i < was->n_switches; i++)
		map[i] = c4_fabric_switch(is, was->switches[i].name);
	return map;
}

static uint32_t *map_nics(const struct c4_fabric *was, const struct c4_fabric *is)
{
	uint32_t *map = malloc((was->n_nics + 1) * sizeof *map);
	char name[2 * C4_NAME_MAX + 2];

	for (uint32_t i = 0; map && i < was->n_nics; i++) {
		snprintf(name, sizeof name, "%s/%s", was->hosts[was->nics[i].host].name,
			 was->nics[i].name);
		map[i] = c4_fabric_nic(is, name);
	}
	return map;
}

/* ---- connections ----------------------------------------------------------------------------- */

static bool same_nics(const struct c4_conn *was, const struct c4_conn *is, const uint32_t *nics)
{
	return nics ? nics[was->src] == is->src && nics[was->dst] == is->dst
		    : was->src == is->src && was->dst == is->dst;
}

/* Mostly both are in the same order: the neighbour of the last match is tried first. */
static uint32_t find_old(const struct c4_demand *was, const char *id, uint32_t guess)
{
	if (guess < was->n_conns && !strcmp(was->conns[guess].id, id))
		return guess;
	return c4_demand_find(was, id);
}

static void match(struct c4_carry *y, const struct c4_demand *was, const struct c4_demand *is,
		  const uint32_t *nics)
{
	uint32_t guess = 0;

	for (uint32_t i = 0; i < was->n_conns; i++)
		y->next[i] = C4_NONE;
	for (uint32_t i = 0; i < is->n_conns; i++) {
		uint32_t old = find_old(was, is->conns[i].id, guess);

		y->old[i] = C4_NONE;
		if (old == C4_NONE)
			continue;
		guess = old + 1;
		if (!same_nics(&was->conns[old], &is->conns[i], nics))
			continue;
		y->old[i] = old;
		y->next[old] = i;
		y->same[i] = was->conns[old].qps == is->conns[i].qps &&
			     was->conns[old].weight == is->conns[i].weight;
	}
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* False: one of its switches is gone. */
static bool rename_switches(struct c4_route *r, const uint32_t *switches)
{
	uint16_t *const ends[] = {&r->up, &r->core, &r->down};
	size_t n = r->state == C4_ROUTE_CORE ? 3 : r->state == C4_ROUTE_SPINE ? 1 : 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t now = switches[*ends[i]];

		if (now == C4_NONE)
			return false;
		*ends[i] = (uint16_t)now;
	}
	if (r->state == C4_ROUTE_SPINE)
		r->down = r->up;
	return true;
}

/* One route in terms of the new fabric; NONE if it cannot be said. */
static struct c4_route carry_route(const struct c4_carry_side *is, const struct c4_conn *c,
				   struct c4_route r, float share, const uint32_t *switches)
{
	if (switches && (!rename_switches(&r, switches) || !c4_route_fits(is->fabric, c, &r)))
		r = (struct c4_route){.state = C4_ROUTE_NONE};
	r.share = share;
	return r;
}

static void carry_routes(struct c4_carry *y, const struct c4_carry_side *was,
			 const struct c4_plan *plan, const struct c4_route *backups,
			 const struct c4_carry_side *is, const uint32_t *switches)
{
	for (uint32_t i = 0; i < is->demand->n_conns; i++) {
		const struct c4_conn *c = &is->demand->conns[i], *old;

		if (y->old[i] == C4_NONE)
			continue;
		old = &was->demand->conns[y->old[i]];
		for (uint32_t q = 0; q < c->qps && q < old->qps; q++) {
			uint32_t from = old->first + q, to = c->first + q;
			float share = y->plan.routes[to].share;

			y->plan.routes[to] =
				carry_route(is, c, plan->routes[from], share, switches);
			if (backups)
				y->backups[to] = carry_route(is, c, backups[from], share, switches);
		}
	}
}

int c4_carry_init(struct c4_carry *y, const struct c4_carry_side *was, const struct c4_plan *plan,
		  const struct c4_route *backups, const struct c4_carry_side *is)
{
	uint32_t *switches = NULL, *nics = NULL;
	bool other = was->fabric != is->fabric;
	int rc = -ENOMEM;

	*y = (struct c4_carry){
		.old = malloc((is->demand->n_conns + 1) * sizeof *y->old),
		.next = malloc((was->demand->n_conns + 1) * sizeof *y->next),
		.same = calloc(is->demand->n_conns + 1, sizeof *y->same),
		.backups = calloc(is->demand->n_qps + 1, sizeof *y->backups),
	};
	if (other) {
		switches = map_switches(was->fabric, is->fabric);
		nics = map_nics(was->fabric, is->fabric);
	}
	if (y->old && y->next && y->same && y->backups && (!other || (switches && nics)))
		rc = c4_plan_init(&y->plan, is->demand);
	if (!rc) {
		match(y, was->demand, is->demand, nics);
		carry_routes(y, was, plan, backups, is, switches);
	} else {
		c4_carry_release(y);
	}
	free(switches);
	free(nics);
	return rc;
}

void c4_carry_release(struct c4_carry *y)
{
	free(y->old);
	free(y->next);
	free(y->same);
	free(y->backups);
	c4_plan_release(&y->plan);
	*y = (struct c4_carry){0};
}

/* ---- demands --------------------------------------------------------------------------------- */

static int carry_conn(const struct c4_demand *was, const struct c4_conn *c, const uint32_t *nics,
		      struct c4_demand *to)
{
	struct c4_fault fault;
	int64_t job, rc;

	if (nics[c->src] == C4_NONE || nics[c->dst] == C4_NONE)
		return 0;
	job = c4_demand_job(to, was->jobs[c->job].name);
	if (job < 0)
		return (int)job;
	to->jobs[job].intensity = was->jobs[c->job].intensity;
	rc = c4_demand_add(to, c->id, (uint32_t)job, nics[c->src], nics[c->dst], (double)c->weight,
			   c->qps, &fault);
	return rc < 0 ? (int)rc : 0;
}

int c4_carry_demand(const struct c4_carry_side *was, const struct c4_fabric *is,
		    c4_carry_filter keep, struct c4_demand *ret)
{
	uint32_t *nics = map_nics(was->fabric, is);
	int rc = nics ? 0 : -ENOMEM;

	c4_demand_init(ret);
	for (uint32_t i = 0; !rc && i < was->demand->n_conns; i++)
		if (!keep || keep(&was->demand->conns[i]))
			rc = carry_conn(was->demand, &was->demand->conns[i], nics, ret);
	if (rc)
		c4_demand_release(ret);
	free(nics);
	return rc;
}
