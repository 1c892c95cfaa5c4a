/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * demand_live.h - the demand of the jobs that run now, from what the collector says
 * (collector/API.md: /api/v1/comms and /api/v1/ranks).
 *
 * A communicator becomes a ring over its nodes in rank order. Ranks of one node are neighbours and
 * talk inside it, so each node is in the ring once. A communicator of all ranks its job has on each
 * of its nodes uses all NICs; one that takes a part of them (data parallelism across tensor
 * parallel groups) uses the rails of these ranks, rank k of n on a node being near rail k·rails/n.
 *
 * Weight: bytes of the communicator against the busiest one of its job, to a power of two, so that
 * it does not change with every answer; what carries less than C4_LIVE_WEIGHT_MIN is left out. Jobs
 * without any traffic yet count all communicators alike. One QP per connection. One thread.
 */
#ifndef C4_PLANNER_DEMAND_LIVE_H
#define C4_PLANNER_DEMAND_LIVE_H

#include <jansson.h>
#include <stdint.h>

#include "common/buf.h"
#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

#define C4_LIVE_WEIGHT_MIN (1.0 / 64)

struct c4_live_counts {
	uint32_t planned; /* communicators that became rings */
	uint32_t inside;  /* … that need no network: one node, or one member */
	uint32_t ended;	  /* … that were freed, or whose job does not run */
	uint32_t idle;	  /* … that carry next to nothing */
	uint32_t unknown; /* … with members that are unknown, or on no host of the fabric */
};

/*
 * Initialises and fills *d from the two answers. What cannot be mapped is left out, counted and
 * said in *notes (lines; bounded). 0, -EINVAL when an answer is not of the collector's form, or
 * -ENOMEM or -E2BIG with a line in *notes and *d as it was.
 */
int c4_demand_live(struct c4_demand *d, const struct c4_fabric *f, const json_t *comms,
		   const json_t *ranks, struct c4_live_counts *ret, struct c4_buf *notes);

#endif
