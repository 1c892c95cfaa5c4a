/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch.h - the targets under watch and the event loop's eyes on their pidfds.
 *
 * A process's end is dated in the callback itself, in the order the kernel tells; the expensive
 * part (drain, post) is left to the owner, who is told once per loop turn through `ended`.
 * Owns its targets. Handles count up and are never used again; targets that are kin share one.
 */
#ifndef C4_AGENT_WATCH_H
#define C4_AGENT_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/daemon/target.h"

#define C4_WATCH_MAX 4096u

struct c4_watched;

struct c4_watch {
	uv_loop_t *loop;
	struct c4_watched **list; /* in order of arrival */
	uint32_t n, cap;
	uint32_t last_handle;
	bool ended; /* some target ended since the owner cleared this */
};

void c4_watched_init(struct c4_watch *w, uv_loop_t *loop);

/* Closes all; the loop must run once more before the memory is free. */
void c4_watched_release(struct c4_watch *w);

struct c4_target *c4_watched_get(const struct c4_watch *w, uint32_t i);

/* Takes the target. 0 or -ENOSPC / -ENOMEM (then it remains the caller's). */
int c4_watched_add(struct c4_watch *w, struct c4_target *t);

/* Closes target i; those behind it move up. */
void c4_watched_remove(struct c4_watch *w, uint32_t i);

#endif
