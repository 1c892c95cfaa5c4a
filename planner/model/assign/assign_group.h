/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * assign_group.h - the QPs of one net while it is planned, shared by the parts of assign.h: sorting
 * out (assign.c), exact colouring (assign_exact.c) and repair (assign_repair.c). Nobody else
 * includes this.
 */
#ifndef C4_PLANNER_ASSIGN_GROUP_H
#define C4_PLANNER_ASSIGN_GROUP_H

#include "planner/model/assign/assign.h"
#include "planner/model/assign/colour.h"
#include "planner/model/fabric/net.h"
#include "planner/model/assign/place.h"

/* The QPs of one net, as a graph of its leaves. */
struct c4_group {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	const struct c4_assign_opts *opts;
	struct c4_plan *plan;
	struct c4_net net;
	bool uniform; /* c4_net_uniform() */
	uint32_t n;
	struct c4_colour_edge *edges; /* id: index of the three below */
	uint32_t *route;
	uint16_t *colour;
	uint8_t *layer;
	uint32_t *job;
	double size[C4_PLACE_LAYERS_MAX];
	double least[C4_PLACE_LAYERS_MAX]; /* really: a layer may hold smaller QPs, too */
	uint32_t n_layers;
};

/* Balanced colours of the QPs as if the net were uniform, into colour[]. 0 or -ENOMEM. */
int c4_group_colour(struct c4_group *g);

/*
 * Routes of QPs of one size on a uniform net whose least utilisation is util. 0, -ENOMEM, or
 * -ENOSPC when cores are scarce and balanced leaves ask too much of some: routes are then as
 * before.
 */
int c4_group_exact(struct c4_group *g, double util);

/* Routes under the limit util where that can be, else under the next higher ones. 0 or -ENOMEM. */
int c4_group_repair(struct c4_group *g, double util);

#endif
