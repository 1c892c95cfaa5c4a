/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failure.h - a link dies under a running plan: what happens to pinned ports, and what it takes to
 * put the plan right.
 *
 * The switches at both ends of the link choose among fewer next hops from then on: taken modulo,
 * nearly every port of theirs leads elsewhere, not only those of the dead link. Scene rings, 8 QPs
 * per connection. One thread.
 */
#ifndef C4_PLANNER_CLI_FAILURE_H
#define C4_PLANNER_CLI_FAILURE_H

#include "planner/cli/rows.h"

/* healthy: the scene before the failure. */
int c4_failure_run(const struct c4_scene *healthy, uint32_t seeds, struct c4_rows *ret,
		   struct c4_fault *fault);

#endif
