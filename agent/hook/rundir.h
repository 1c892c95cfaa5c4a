/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rundir.h - keeping the runtime directory from filling up when no agent looks after it.
 *
 * A running agent holds agent-NODE.lock there and removes segments itself; then we touch nothing.
 * Nothing allocates; the work per call is bounded. One thread, at start and end of the process.
 */
#ifndef C4_HOOK_RUNDIR_H
#define C4_HOOK_RUNDIR_H

/* Whether an agent announces itself in dir. In doubt (cannot read it): yes. */
int c4_rundir_has_agent(const char *dir);

/* Removes old segments whose process is gone; looks at no more than a few. */
void c4_rundir_sweep(const char *dir);

#endif
