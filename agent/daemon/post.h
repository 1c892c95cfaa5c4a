/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * post.h - targets and devices → encoded message Post (c4.proto).
 *
 * A post is begun, gets targets one by one, and is finished into bytes; the targets then count as
 * told: identities and unchanged communicators are left out of later posts, blocks are cleared.
 * Devices likewise.
 * A writer is kept and used again for each post. One thread.
 */
#ifndef C4_AGENT_POST_H
#define C4_AGENT_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/devices.h"
#include "agent/daemon/target.h"

/* Larger ones are split; one process alone stays far below. */
#define C4_POST_GOAL_BYTES ((size_t)1 << 20)

struct c4_post_writer;

/* What a post says of the agent itself. */
struct c4_post_head {
	const char *agent;
	uint64_t instance;
	uint64_t seq;
	uint32_t interval_ms;
	uint64_t dropped_posts;
	uint64_t bad_segments;
	bool last;
};

struct c4_post_writer *c4_post_writer_new(void);
void c4_post_writer_free(struct c4_post_writer *w);

void c4_post_begin(struct c4_post_writer *w);

/* The target must stay until the post is finished.
 * False: the post is full or memory is short; finish it and begin another one. */
bool c4_post_add(struct c4_post_writer *w, struct c4_target *t, uint64_t now_ns);

/* Those that are due. Out of memory they stay due. */
void c4_post_add_devices(struct c4_post_writer *w, struct c4_devices *d, uint64_t now_ns);

/* Encodes: malloc'd, with `room` spare bytes behind *ret_len. NULL: out of memory. */
void *c4_post_finish(struct c4_post_writer *w, const struct c4_post_head *head, size_t room,
		     size_t *ret_len);

#endif
