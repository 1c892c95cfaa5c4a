/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msg.h - a message being made of one target. Everything it points to comes from an arena and lives
 * until that is reset. When memory is short `failed` is set, further requests give NULL, and the
 * writers leave out what there is no room for: only the whole is judged, once, at its end.
 */
#ifndef C4_AGENT_MSG_H
#define C4_AGENT_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/target.h"
#include "common/ds/arena.h"

struct c4_msg {
	struct c4_arena *arena;
	struct c4_target *t;
	uint64_t now_ns;
	bool failed;
};

static inline void *c4_msg_take(struct c4_msg *d, size_t n)
{
	void *p = d->failed ? NULL : c4_arena_alloc(d->arena, n ? n : 1);

	if (!p)
		d->failed = true;
	return p;
}

static inline uint64_t c4_msg_since(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

/* How long ago that was on the target's clock. */
static inline uint64_t c4_msg_age(const struct c4_msg *d, uint64_t ticks)
{
	return c4_msg_since(d->now_ns, c4_ticks_to_mono(&d->t->rate, ticks));
}

#endif
