/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - one run of a job from its first daemon to its exit status.
 *
 *   prepare   (monitor.h) runtime directory, this process's part
 *   begin     (daemons.h) own collector, or the given one, or the keeper's; agent
 *   run       the job, its signals, the watch
 *   finish    (finish.h) the last data, the report, the daemons' end
 *
 * Fail open: whatever of ours fails, the job runs, and its status is what we end with.
 *
 *   keeper    starts and ends the daemons of this node: c4run around a launcher, or the monitor
 *             of the first rank on a node
 *   voice     prints and writes the report: the keeper if the collector is its own; of a given
 *             one, which sees all nodes, rank 0's monitor
 *   monitor   has no job of its own: watches those that the node's other c4run wrap
 *
 * One thread but for the HTTP worker of api.h. Storage must outlive the loop: make it static.
 */
#ifndef C4_RUN_SESSION_H
#define C4_RUN_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/run/api.h"
#include "agent/run/job.h"
#include "agent/run/live.h"
#include "agent/run/node.h"
#include "agent/run/plan.h"
#include "agent/run/relay.h"
#include "agent/run/sidecar.h"
#include "agent/run/signals.h"
#include "agent/run/watch.h"

enum c4_stage {
	C4_STAGE_BEGIN,
	C4_STAGE_RUN,
	C4_STAGE_LINGER, /* a rank waits for its monitor */
	C4_STAGE_AGENT,	 /* the agent posts what it still has */
	C4_STAGE_REPORT, /* the collector judges it and tells */
	C4_STAGE_COLLECTOR,
	C4_STAGE_DONE,
};

struct c4_session {
	struct c4_plan *plan;
	uv_loop_t loop;
	struct c4_signals signals;
	uv_poll_t signal_poll;
	struct c4_relay relay; /* not in a monitor */
	uv_timer_t timer;      /* of whatever the present stage waits for */
	enum c4_stage stage;
	bool keeper;
	bool voice;
	bool monitor;
	pid_t monitor_pid; /* of the one we forked, 0 */
	bool joined;	   /* node is valid */
	bool asking;	   /* for the final report */
	bool concluded;
	bool probing; /* whether the collector still answers */
	bool mute;    /* it does not */
	bool hurry;   /* told to end while finishing: wait for as little as possible */
	struct c4_node node;
	struct c4_sidecar collector;
	struct c4_sidecar agent;
	struct c4_api *api; /* NULL: no collector to talk to */
	struct c4_live live;
	struct c4_watch watch;
	struct c4_job job;
	int start_error;      /* why the job could not be started, 0 */
	const char *trouble;  /* why nothing could be observed, NULL; for the report */
	uint64_t deadline_ns; /* of what the timer waits for */
	json_t *report;	      /* the last one the collector gave */
};

/* Something of ours does not work: says so once per node, and goes on without observing. */
void c4_session_go_blind(struct c4_session *s, const char *why);

/* The daemons are up or given up: starts the job, or the watch of a monitor. */
void c4_session_go(struct c4_session *s);

/* Runs it all. Returns the exit code, or ends the process by the signal that ended the job. */
int c4_session_run(struct c4_session *s, struct c4_plan *plan);

#endif
