/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn.h - fork and exec with the failure of exec told to the caller. (uv_spawn resets every
 * signal of the child and cannot tie its life to ours; a wrapper needs both done right.)
 */
#ifndef C4_RUN_SPAWN_H
#define C4_RUN_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/run/signals.h"

struct c4_spawn {
	char *const *argv; /* argv[0] is searched in PATH */
	char *const *env;
	const struct c4_signals *signals; /* restored in the child */
	/*
	 * true: one of our daemons: own session (a terminal's ^C passes by), stdin and stdout
	 * closed to /dev/null, ended by the kernel if we die. false: exactly our own situation.
	 */
	bool sidecar;
	int keep_fd; /* stays open in the child under its number; -1: none */
};

/* 0 and *ret_pid, or the negative errno of fork or exec (no child is left then). */
int c4_spawn(const struct c4_spawn *s, pid_t *ret_pid);

#endif
