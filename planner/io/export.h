/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * export.h - a plan as input for a packet simulator (planner/FORMATS.md): a connection matrix as
 * htsim reads it, and beside it the way each connection should take.
 *
 * One network (a plane) at a time. Simulators want regular numbers: the n-th leaf of the network
 * (in fabric order) gets nodes n·H … n·H + H − 1, H the most NICs under any leaf, in NIC order.
 * Each placed QP is one connection; its id is its number, from 1. One thread.
 */
#ifndef C4_PLANNER_EXPORT_H
#define C4_PLANNER_EXPORT_H

#include <stdio.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/plan.h"

struct c4_export {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	const struct c4_plan *p;
	uint32_t net;	/* of the fabric */
	uint64_t bytes; /* that a connection of weight 1 sends */
};

/* Each: 0, -ENOMEM, -EINVAL (no such network), or what the stream says. */
int c4_export_matrix(const struct c4_export *e, FILE *f);
int c4_export_pins(const struct c4_export *e, FILE *f);

#endif
