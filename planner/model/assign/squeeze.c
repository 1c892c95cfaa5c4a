// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/squeeze.h"

#include <errno.h>

/* QPs asked to leave, in all and of one link. */
#define EJECTIONS	   64
#define EJECTIONS_PER_LINK 4

static int by_two_chains(struct c4_place *p, struct c4_placed at, uint32_t budget)
{
	uint32_t colours = p->layers[at.layer].top.colours;

	for (uint32_t c = 0; c < colours; c++)
		if (!c4_place_insert_as(p, at, c, budget))
			return 0;
	return -ENOSPC;
}

static bool lives(const struct c4_net *n, const struct c4_bundle *all, const struct c4_kempe *k,
		  uint32_t e)
{
	const struct c4_kempe_edge *edge = &k->edges[e];

	return c4_bundle_rate(n, &all[(uint64_t)edge->end[0] * k->colours + edge->colour]) > 0 &&
	       c4_bundle_rate(n, &all[(uint64_t)edge->end[1] * k->colours + edge->colour]) > 0;
}

/* The way of a QP could be given back to it. */
static bool may_return(const struct c4_place *p, struct c4_placed at)
{
	const struct c4_place_layer *l = &p->layers[at.layer];

	return lives(p->net, p->net->up, &l->top, at.edge) &&
	       lives(p->net, p->net->over, &l->over, at.edge);
}

/* The QP takes the way of another one, which finds a new one: else both are where they were. */
static bool take_over(struct c4_place *p, struct c4_placed at, uint32_t victim, uint32_t colour,
		      uint32_t core, uint32_t budget)
{
	struct c4_placed other = {at.layer, victim};

	if (!may_return(p, other))
		return false;
	c4_place_lift(p, other);
	if (!c4_place_put(p, at, colour, core)) {
		if (!c4_place_insert(p, other, budget))
			return true;
		c4_place_lift(p, at);
	}
	c4_place_keep(p, other, colour, core); /* it may have been forced there, above the limit */
	return false;
}

/* Asks the first few QPs between one pod's spine and a core. */
static bool eject_from(struct c4_place *p, struct c4_placed at, int side, uint32_t colour,
		       uint32_t core, uint32_t budget)
{
	const struct c4_place_layer *l = &p->layers[at.layer];
	uint32_t pod = p->net->pod[l->top.edges[at.edge].end[side]];
	uint64_t place = ((uint64_t)pod * p->net->colours + colour) * p->net->cores + core;

	for (uint32_t i = 0; i < EJECTIONS_PER_LINK && i < l->over.load[side][place]; i++)
		/* who was asked in vain is the last of the ring now */
		if (take_over(p, at, l->over.head[side][place], colour, core, budget))
			return true;
	return false;
}

static int by_ejection(struct c4_place *p, struct c4_placed at, uint32_t budget)
{
	uint32_t ways = p->net->colours * p->net->cores;

	for (uint32_t i = 0; i < ways && i < EJECTIONS; i++) {
		uint32_t way = (at.edge + i) % ways;

		for (int side = 0; side < 2; side++)
			if (eject_from(p, at, side, way % p->net->colours, way / p->net->colours,
				       budget))
				return 0;
	}
	return -ENOSPC;
}

int c4_squeeze(struct c4_place *p, struct c4_placed at, uint32_t budget)
{
	const struct c4_kempe_edge *e = &p->layers[at.layer].top.edges[at.edge];
	int rc = by_two_chains(p, at, budget);

	if (rc && p->net->pod[e->end[0]] != p->net->pod[e->end[1]])
		rc = by_ejection(p, at, budget);
	return rc;
}
