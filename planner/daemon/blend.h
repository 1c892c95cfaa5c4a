/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blend.h - the demand that was told and the connections that are seen become one demand.
 *
 * What is told wins: a pair of hosts that it has a connection for, in this direction, is not
 * planned a second time. A pair of hosts of which it knows one job is that job's, else of job
 * C4_BLEND_JOB. Ids: flow:HOST>HOST, HOST/NIC where a host has several. Worker side, one thread.
 */
#ifndef C4_PLANNER_BLEND_H
#define C4_PLANNER_BLEND_H

#include "planner/daemon/held.h"
#include "planner/daemon/routes/elephants.h"

#define C4_BLEND_JOB "flows"

/* Connections that were seen, on the fabric that their NICs are of. */
struct c4_blend {
	struct c4_held_fabric *on; /* NULL: none are known */
	struct c4_flow_conn *v;
	uint32_t n;
};

void c4_blend_release(struct c4_blend *b);
/* Takes v; holds on. */
void c4_blend_set(struct c4_blend *b, struct c4_held_fabric *on, struct c4_flow_conn *v,
		  uint32_t n);
/* Those that an earlier plan has. 0 or -ENOMEM. */
int c4_blend_adopt(struct c4_blend *b, struct c4_held_fabric *on, const struct c4_demand *d);

/* Is it one that was seen, by its id? */
bool c4_blend_is(const struct c4_conn *c);

/* Adds to a demand on f. 0 or -ENOMEM. */
int c4_blend_add(const struct c4_blend *b, const struct c4_fabric *f, struct c4_demand *d);

#endif
