/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * compare.h - methods of routing side by side: trials over several seeds, summed up in rows. One
 * thread.
 */
#ifndef C4_PLANNER_CLI_COMPARE_H
#define C4_PLANNER_CLI_COMPARE_H

#include <stdint.h>

#include "planner/cli/rows.h"
#include "planner/cli/scene.h"
#include "planner/cli/trial.h"

/* Makes the world of a seed; 0, or a negative errno with the reason in *fault. */
typedef int (*c4_world_maker)(void *arg, struct c4_world *w, uint64_t seed, struct c4_fault *fault);

struct c4_comparison {
	const struct c4_method *methods;
	uint32_t n_methods;
	uint32_t seeds;
	double job_gbps;
	c4_world_maker make;
	void *arg;
	const struct c4_plan *given; /* for C4_ROUTING_GIVEN */
};

int c4_compare(const struct c4_comparison *c, struct c4_rows *ret, struct c4_fault *fault);

/* The same for a scene, with the methods that tell something about it. */
int c4_compare_scene(const struct c4_scene *s, struct c4_rows *ret, struct c4_fault *fault);

#endif
