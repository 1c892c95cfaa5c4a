/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * monitor.h - with one c4run per rank, the process that watches is not one of those that wrap.
 *
 * The c4run that becomes keeper (or has the voice) forks: the child, in a session of its own, runs
 * the daemons and speaks; the parent only wraps its rank. A launcher that kills a failing job's
 * ranks, process groups and all, thus leaves the monitor to post, judge and report the crash, and
 * a rank's end is known to the launcher at once. The monitor's job is over when no other c4run of
 * the launch is left on the node.
 */
#ifndef C4_RUN_MONITOR_H
#define C4_RUN_MONITOR_H

#include "agent/run/session.h"

/*
 * Sets this process's part in the session (keeper, voice, monitor, joined), makes the runtime
 * directory, and forks the monitor if one is needed here. Before there is a loop or a thread.
 */
void c4_monitor_prepare(struct c4_session *s);

/* Monitor: the watch begins; c4_finish_begin() follows when the node's ranks have ended. */
void c4_monitor_run(struct c4_session *s);

/*
 * Rank: its job has ended. True when there is no need to stay: no monitor of ours, or the job
 * failed, which the launcher should know now. Else the monitor has to be waited for, as some
 * launchers end what is left of a node's processes with the last rank.
 */
bool c4_monitor_may_leave(struct c4_session *s);

#endif
