/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * feed.h - what goes upstream, and what comes of it: composes posts from the targets under watch,
 * hands them to the poster, and reacts to what became of them (forgets ended targets, tells
 * everything anew when the collector asks for it or posts were lost). One thread (the loop's).
 */
#ifndef C4_AGENT_FEED_H
#define C4_AGENT_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/daemon/devices.h"
#include "agent/daemon/post.h"
#include "agent/daemon/poster.h"
#include "agent/daemon/watch.h"

enum c4_feed_extent {
	C4_FEED_ALL,
	C4_FEED_ENDED, /* only processes whose end is news */
	C4_FEED_LAST,  /* all, and the agent ends */
};

struct c4_feed {
	const char *agent; /* node name */
	uint32_t interval_ms;
	uint64_t bad_segments;
	struct c4_devices *devices; /* to be told of as well; NULL: none */

	uint64_t instance;
	uint64_t seq;		      /* of the last post */
	uint64_t dropped, pushed_out; /* as far as we have reacted */
	bool anew;		      /* the next full post tells everything */
	struct c4_post_writer *writer;
	struct c4_poster *poster;
};

/* 0 or -ENOMEM, -EINVAL (the collector's address). notify is called from another thread. */
int c4_feed_start(struct c4_feed *f, const struct c4_poster_config *config);

/* As c4_poster_stop(). */
bool c4_feed_stop(struct c4_feed *f, uint64_t patience_ns);

/* Composes and queues, in several posts if there is much. An ended process is told once. */
void c4_feed_post(struct c4_feed *f, struct c4_watch *w, enum c4_feed_extent extent,
		  uint64_t now_ns);

/*
 * Looks what became of the posts: targets whose end was delivered are closed and their files
 * removed. Returns the interval the collector wishes, 0 if none.
 */
uint32_t c4_feed_react(struct c4_feed *f, struct c4_watch *w);

/* Everything posted so far was delivered or given up. */
bool c4_feed_settled(struct c4_feed *f);

#endif
