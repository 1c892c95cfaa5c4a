/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_json.h - writes c4.plan/v1 (planner/FORMATS.md) to a stream, one route per line: a plan of a
 * million QPs is never in memory as JSON. One thread.
 */
#ifndef C4_PLANNER_PLAN_JSON_H
#define C4_PLANNER_PLAN_JSON_H

#include <stdio.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/plan.h"

#define C4_PLAN_SCHEMA "c4.plan/v1"

/* Why a route that was placed before has another way: C4_MOVE_LINK_DOWN, LINK_WEAK or REBALANCE by
 * name; NULL if it has none other, or had none. Both are of connection c on f as it is now. */
const char *c4_plan_move_reason(const struct c4_fabric *f, const struct c4_conn *c,
				const struct c4_route *was, const struct c4_route *is);

struct c4_plan_json {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	const struct c4_plan *p;
	const struct c4_plan *previous; /* of the same demand: tells what moved. NULL: nothing */
	const double *load; /* from c4_plan_measure(): tells each link's load. NULL: no links */
	const char *oracle; /* what gave the ports; NULL: nothing did */
};

/* 0, or a negative errno: -ENOMEM, or what the stream says. Flushes. */
int c4_plan_json_write(FILE *f, const struct c4_plan_json *what);

#endif
