/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scene.h - the situations planners are compared in: a fabric, its faults, who talks to whom, and
 * how the switches hash. A scene and a seed give one world, the same everywhere. One thread.
 */
#ifndef C4_PLANNER_CLI_SCENE_H
#define C4_PLANNER_CLI_SCENE_H

#include <stddef.h>
#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/oracle/oracle_hash.h"

struct c4_world {
	struct c4_fabric f;
	struct c4_demand d; /* one QP per connection */
	struct c4_hash_model switches;
	uint64_t rng;
};

enum c4_scene_rows {
	C4_ROWS_USUAL,	 /* ECMP, greedy, two choices, exact */
	C4_ROWS_FAULT,	 /* … with several numbers of QPs, and weighted */
	C4_ROWS_ORACLES, /* exact, by what is known of the hash */
	C4_ROWS_CHURN,	 /* its own (churn.h): no build */
	C4_ROWS_FAILURE, /* a link dies under a plan (failure.h); build: before that */
};

struct c4_scene {
	const char *name, *about;
	const char *published; /* what others measured there, or NULL */
	enum c4_scene_rows rows;
	uint32_t seeds;
	double job_gbps; /* of a NIC with both ports, for scenes with published rates; 0: none */
	/* Fills an empty world. 0, or a negative errno with the reason in *fault. */
	int (*build)(struct c4_world *w, struct c4_fault *fault);
};

/* All of them, in the order of a report. */
const struct c4_scene *c4_scenes(size_t *n);

/* 0: release it later. A negative errno with the reason in *fault: nothing to release. */
int c4_world_make(struct c4_world *w, const struct c4_scene *scene, uint64_t seed,
		  struct c4_fault *fault);
void c4_world_release(struct c4_world *w);

/* A random number below n (> 0), the next of the world's own sequence. */
uint32_t c4_world_draw(struct c4_world *w, uint32_t n);

/* hosts[0 … n) in random order. */
void c4_world_shuffle(struct c4_world *w, uint32_t *hosts, uint32_t n);

#endif
