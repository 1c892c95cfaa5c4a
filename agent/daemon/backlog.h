/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * backlog.h - encoded posts that wait for the collector, oldest first. Bounded by number and by
 * bytes: when full the oldest is dropped and counted. Pure; the caller locks.
 */
#ifndef C4_AGENT_BACKLOG_H
#define C4_AGENT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define C4_BACKLOG_POSTS 64u
#define C4_BACKLOG_BYTES ((size_t)8 << 20)

struct c4_backlog_item {
	uint64_t seq; /* ascending */
	uint64_t made_ns;
	void *data; /* malloc'd */
	size_t len;
};

/* All zero is a valid empty one. */
struct c4_backlog {
	struct c4_backlog_item items[C4_BACKLOG_POSTS];
	uint32_t first, n;
	size_t bytes;
	uint64_t dropped; /* posts, cumulative */
};

/* Takes item->data. A post larger than the whole back-log is itself dropped. */
void c4_backlog_push(struct c4_backlog *b, const struct c4_backlog_item *item);

/* Hands over the oldest; the caller frees its data. False: empty. */
bool c4_backlog_take(struct c4_backlog *b, struct c4_backlog_item *ret);

/* The seq of the oldest; 0: empty. */
uint64_t c4_backlog_oldest(const struct c4_backlog *b);

void c4_backlog_release(struct c4_backlog *b);

#endif
