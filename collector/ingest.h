/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ingest.h - posts of agents (include/c4/c4.proto) → model. The only place where the wire is read.
 *
 * Nothing in a post is believed: counts, ranges, sizes and strings are checked before they reach
 * the model, what does not fit is left out and counted (stats.h). A post may decode into at most
 * C4_INGEST_ARENA bytes. One thread.
 */
#ifndef C4_COLLECTOR_INGEST_H
#define C4_COLLECTOR_INGEST_H

#include <stddef.h>
#include <stdint.h>

#include "collector/model.h"
#include "collector/stats.h"
#include "common/ds/arena.h"

#define C4_INGEST_ARENA (64u << 20)

struct c4_ingest {
	struct c4_model *model;
	struct c4_stats *stats;
	struct c4_arena arena;
};

void c4_ingest_init(struct c4_ingest *in, struct c4_model *model, struct c4_stats *stats);
void c4_ingest_release(struct c4_ingest *in);

/* What the agent is told; encode it with c4_answer_encode(). */
struct c4_ingest_answer {
	bool resync;
	bool detail; /* a job it serves is suspected of hanging or being slow */
};
#define C4_DETAIL_NS 10000000000u /* how long after the last such look */

/*
 * Takes one post. C4_POST_OK, or why it was refused as a whole (already counted); *ret is set in
 * both cases.
 */
enum c4_post_refusal c4_ingest_post(struct c4_ingest *in, const void *body, size_t n,
				    uint64_t now_ns, uint64_t wall_ns,
				    struct c4_ingest_answer *ret);

/* Writes the Answer message into buf (at least C4_ANSWER_BYTES) and returns its length. */
#define C4_ANSWER_BYTES 32u
size_t c4_answer_encode(const struct c4_ingest_answer *answer, uint8_t *buf);

#endif
