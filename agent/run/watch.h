/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch.h - follows the job at the collector while it runs: incidents twice a second, progress
 * once a second, both shown through live.h as they come. Event loop thread only; the storage must
 * outlive the loop.
 */
#ifndef C4_RUN_WATCH_H
#define C4_RUN_WATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/run/api.h"
#include "agent/run/ledger.h"
#include "agent/run/live.h"

struct c4_watch {
	uv_timer_t timer;
	struct c4_api *api;   /* borrowed */
	struct c4_live *live; /* borrowed */
	const char *address;  /* of the collector, for messages; borrowed */
	char query[256];      /* "?job=…" */
	uint64_t start_ns;
	unsigned int round;
	unsigned int in_flight;
	bool warned;  /* that the collector does not answer: once is enough */
	bool trouble; /* it does not answer now */
	json_t *job;
	json_t *comms;
	struct c4_ledger ledger;
};

/* The job began at start_ns (monotonic). */
void c4_watch_start(struct c4_watch *w, uv_loop_t *loop, struct c4_api *api, struct c4_live *live,
		    const char *address, const char *job, uint64_t start_ns);

/* Asks no more; answers under way are still taken in. Idempotent, also before start. */
void c4_watch_stop(struct c4_watch *w);

/* Announces what a list of incidents has that was not told yet. */
void c4_watch_tell(struct c4_watch *w, const json_t *incidents);

void c4_watch_release(struct c4_watch *w);

#endif
