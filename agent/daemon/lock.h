/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lock.h - one agent per node: agent-NODE.lock in the runtime directory, held with flock(2). Hooks
 * and launchers see from the file that an agent runs; the lock itself dies with its holder.
 */
#ifndef C4_AGENT_LOCK_H
#define C4_AGENT_LOCK_H

#include <limits.h>

struct c4_lock {
	int fd; /* -1: not held */
	char path[PATH_MAX];
};

/* 0; -EBUSY: another agent holds it; or a negative errno. lock->path is set in any case. */
int c4_lock_take(struct c4_lock *lock, const char *dir, const char *node);

/* Whether the file is still the one we hold: somebody may have cleared the directory. */
int c4_lock_lost(const struct c4_lock *lock);

/* Removes the file if it is ours. Idempotent. */
void c4_lock_release(struct c4_lock *lock);

#endif
