/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collector.h - the collector as one value: what it knows, what it concluded, what it counts.
 * The parts do not know of each other; tick.c, api.c, report.c and metrics.c bring them together.
 * One thread, but for the keeper's worker.
 */
#ifndef C4_COLLECTOR_COLLECTOR_H
#define C4_COLLECTOR_COLLECTOR_H

#include <stdint.h>

#include "collector/incident.h"
#include "collector/ingest.h"
#include "collector/keeper.h"
#include "collector/linktab.h"
#include "collector/model.h"
#include "collector/stats.h"
#include "collector/vclock.h"

struct c4_collector {
	struct c4_vclock clock;
	struct c4_stats stats;
	struct c4_model model;
	struct c4_ingest ingest;
	struct c4_incidents incidents;
	struct c4_linktab links; /* what planners said */
	struct c4_keeper *keeper; /* owned */
	uint64_t started_ns;
	uint64_t retain_ns;
	uint64_t expired_ns; /* last look for what is older than that */
};

/* store: taken on success, NULL for none; loop as in keeper.h. 0 or -ENOMEM. Loads the store. */
int c4_collector_init(struct c4_collector *c, uv_loop_t *loop, struct c4_store *store,
		      uint64_t retain_ns, uint64_t mono_ns, uint64_t wall_ns);

/* Writes what is left to the store. */
void c4_collector_release(struct c4_collector *c, uint64_t mono_ns, uint64_t wall_ns);

/* One post; see ingest.h. */
enum c4_post_refusal c4_collector_post(struct c4_collector *c, const void *body, size_t n,
				       uint64_t mono_ns, uint64_t wall_ns,
				       struct c4_ingest_answer *ret);

/* Judges jobs that are due, moves incidents on, forgets what is over. Every C4_TICK_MS. */
void c4_collector_tick(struct c4_collector *c, uint64_t mono_ns, uint64_t wall_ns);
#define C4_TICK_MS 250u

/* Judges one job now: so that who asks for its report sees what the newest posts mean. */
void c4_collector_look(struct c4_collector *c, struct c4_job *j, uint64_t now_ns, uint64_t wall_ns);

#endif
