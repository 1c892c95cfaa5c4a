/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemons.h - the session's own collector and agent: their command lines, and what it means when
 * one of them is ready, missing or gone.
 */
#ifndef C4_RUN_DAEMONS_H
#define C4_RUN_DAEMONS_H

#include "agent/run/session.h"

void c4_daemons_init(struct c4_session *s);

/*
 * Starts what this process has to: as keeper its own collector unless one was given, then, the
 * address known, the agent. Calls c4_session_go() when nothing holds the job back any more, which
 * may be at once.
 */
void c4_daemons_start(struct c4_session *s);

/* To be called on SIGCHLD. */
void c4_daemons_reap(struct c4_session *s);

#endif
