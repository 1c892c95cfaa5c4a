/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agent.h - the node daemon: finds segments, drains and folds them, watches their processes and
 * posts all of it to the collector.
 *
 * One event loop (libuv) does everything but the posting, which has its own thread (poster.h):
 *	tick   every interval: scan, drain, look, post
 *	drain  in between, for targets whose ring fills fast
 *	end    of a process: at once drain, look, and post that process alone
 * and workers read what may block: GPUs and network interfaces (devices.h).
 * With a planner it also keeps the node's plan table (routes/routes.h), on the same loop.
 * A segment's file is removed once its process is gone and the post that says so was settled.
 */
#ifndef C4_AGENT_AGENT_H
#define C4_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#define C4_AGENT_INTERVAL_MIN_MS 50
#define C4_AGENT_INTERVAL_MAX_MS 60000
#define C4_AGENT_EXIT_BUSY	 3 /* another agent serves this node */

struct c4_agent_options {
	const char *collector; /* HOST:PORT */
	const char *runtime_dir;
	const char *node;
	const char *job;      /* NULL: all */
	bool any_node;	      /* segments of all nodes, not only ours */
	int64_t interval_ms;  /* between posts */
	int64_t idle_exit_ms; /* 0: never */
	int64_t ready_fd;     /* -1: none */
	const char *nvml;     /* library that tells of GPUs; NULL: the driver's */
	const char *sysfs;    /* where it is mounted; NULL: /sys */
	bool virtual_nics;    /* tell of veth, bridges and bonds, too */
	const char *planner;  /* HOST:PORT; NULL: routes are not ours to plan */
};

/* Runs until told to end (SIGTERM, SIGINT) or idle. Returns the exit status. */
int c4_agent_run(const struct c4_agent_options *options);

#endif
