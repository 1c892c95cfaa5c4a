/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - one route per QP of a demand on a fabric, what it costs, and what cannot be better.
 *
 * Load of a link in one direction = Σ weight·share over the QPs that cross it; share is 1/qps
 * unless the plan is weighted. Utilisation = load · (nominal rate of the fabric's fastest link /
 * the link's rate now): 1 means that NICs of weight 1 fill the link exactly when NIC and link are
 * equally fast. Parallel links count one by one: their flows are spread evenly.
 * Host links are not counted: routes do not change them. Pure, one thread.
 */
#ifndef C4_PLANNER_PLAN_H
#define C4_PLANNER_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

enum c4_route_state {
	C4_ROUTE_NONE,	    /* not planned yet */
	C4_ROUTE_LOCAL,	    /* one leaf: leaf */
	C4_ROUTE_SPINE,	    /* leaf, up, leaf */
	C4_ROUTE_CORE,	    /* leaf, up, core, down, leaf */
	C4_ROUTE_NO_PATH,   /* leaves that no live path joins */
	C4_ROUTE_TWO_PLANES /* NICs of networks that do not meet */
};

/* 16 bytes: a plan of a million QPs is 16 MB. Switches are indices of the fabric. */
struct c4_route {
	uint16_t up, core,
		down;	/* spine of the source's pod, core, spine of the destination's pod */
	uint16_t sport; /* UDP or TCP source port; 0: the oracle knows none */
	uint8_t state;	/* enum c4_route_state */
	uint8_t parallel_up, parallel_down; /* which of parallel leaf–spine links, 0 … */
	uint8_t parallel_core; /* of spine–core links: upwards in the low nibble, downwards in the
				  high */
	float share;	       /* of the connection's weight */
};

struct c4_plan {
	struct c4_route *routes; /* demand->n_qps, in the demand's order */
	uint32_t n_routes;
	uint32_t n_unplaced; /* NO_PATH and TWO_PLANES */
	double max_load;     /* over all links and directions */
	double lower_bound;  /* of max_load: no plan with these QPs is below */
	double max_util;     /* the same by utilisation */
	double util_bound;
};

/* All routes NONE, share 1/qps. 0 or -ENOMEM. */
int c4_plan_init(struct c4_plan *p, const struct c4_demand *d);
void c4_plan_release(struct c4_plan *p);

/*
 * What can be said of a connection without planning: LOCAL under one leaf, TWO_PLANES, NO_PATH in
 * one plane without any link between; else NONE, it has to be planned.
 */
enum c4_route_state c4_route_plain_state(const struct c4_fabric *f, uint32_t src, uint32_t dst);

/* The switches a route passes, in order: leaf (, spine (, core, spine), leaf). n = 0: no place. */
#define C4_WAY_MAX 5u
struct c4_way {
	uint16_t at[C4_WAY_MAX];
	uint16_t n;
};
struct c4_way c4_way_of(const struct c4_fabric *f, const struct c4_conn *c,
			const struct c4_route *r);
bool c4_way_equal(const struct c4_way *a, const struct c4_way *b);

/* Links a route takes, in order, with the direction: at most 4. */
struct c4_hop {
	uint32_t link; /* of the fabric */
	bool up;       /* from link.a to link.b */
};
#define C4_HOPS_MAX 4
int c4_route_hops(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		  struct c4_hop hops[C4_HOPS_MAX]);

/*
 * Recomputes from the routes alone: load[2 * link] upwards, load[2 * link + 1] downwards (the
 * caller's, 2 * n_links), and the plan's max_load, max_util and n_unplaced.
 */
void c4_plan_measure(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p,
		     double *load);

#endif
