/* SPDX-License-Identifier: BSD-3-Clause */
/* ingest_process.h - one Process message of a post → model; ingest.c's other half. */
#ifndef C4_COLLECTOR_INGEST_PROCESS_H
#define C4_COLLECTOR_INGEST_PROCESS_H

#include "c4.pb-c.h"
#include "collector/model.h"

struct c4_ingest_ctx {
	struct c4_model *model;
	struct c4_stats *stats;
	struct c4_agent *agent;
	uint64_t now_ns, wall_ns;
	uint64_t made_ns;   /* when the agent made the post: ages count from there */
	uint64_t sample_ns; /* when the message at hand was sampled, in the collector's time */
	bool resync;	    /* out: the agent knows identities we do not */
};

/* The rank it is about, or NULL if it was left out (counted). */
struct c4_rank *c4_ingest_process(struct c4_ingest_ctx *ctx, const C4__V1__Process *p);

#endif
