/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle_table.h - a path oracle that only knows what was observed: (pair, port) → path.
 *
 * An observation is stamped with the epochs of the switches that chose its path. As epochs only
 * grow, their sum tells whether any has moved on: then the observation is stale and counts as none,
 * as it does while a link of its path is dead. Whoever sees a group of next hops change (a link
 * down or up) raises the epoch of that switch.
 *
 * A path that was not seen among so many ports that, were it as likely as the others, this would
 * happen once in e^16 cases (coupon collector) is taken for unreachable.
 */
#ifndef C4_PLANNER_ORACLE_TABLE_H
#define C4_PLANNER_ORACLE_TABLE_H

#include "planner/model/oracle/oracle.h"

#define C4_PROBES_MAX (1u << 24)

/* One observation, as it is kept. */
struct c4_probe {
	uint32_t src, dst;
	uint64_t epochs; /* sum over the switches that chose */
	struct c4_path path;
	uint32_t next; /* in the same bucket of pairs, index + 1; 0 ends */
	uint16_t sport;
};

/* Holds at most `cap` observations (1 … C4_PROBES_MAX); beyond it the oldest are overwritten and
 * counted as lost. NULL when out of memory. */
struct c4_oracle *c4_oracle_table_new(uint32_t cap);

/* All observations, in no order, stale ones too. o must be a table. */
const struct c4_probe *c4_oracle_table_all(const struct c4_oracle *o, uint32_t *n);

/* Whether an observation counts: its switches are as they were and its links live. */
bool c4_probe_fresh(const struct c4_fabric *f, const struct c4_probe *p);

/* Sum of the epochs, now, of the switches that choose on a path from this leaf. */
uint64_t c4_probe_epochs(const struct c4_fabric *f, uint32_t leaf, const struct c4_path *path);

#endif
