/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * planner.h - the planner as one value on the loop's thread: what is published, what is wanted,
 * what is wrong, what was counted.
 *
 *	            requests, timer, SIGHUP
 *	                      │ wants
 *	                      ▼
 *	  feed ◄── fetch   planner   save ──► state file      each worker: one job at a time
 *	(collector)  │        │        ▲   talk ◄─► collector (links)
 *	             └──────► plan ────┘ edition
 *	                    (engine)
 *
 * Five kinds of blocking work run in libuv's pool, at most one of each at a time, so what waits is
 * bounded: news of the demand replace older ones, reports of one link too, a reload is a mark.
 * The engine belongs to the plan worker while it is at work, the feed to the fetch worker.
 */
#ifndef C4_PLANNER_PLANNER_H
#define C4_PLANNER_PLANNER_H

#include <uv.h>

#include "planner/daemon/engine.h"
#include "planner/daemon/journal.h"
#include "planner/daemon/pause.h"
#include "planner/daemon/routes/routes.h"
#include "planner/daemon/talk.h"

#define C4_PLANNER_TICK_MS 250u
#define C4_PLANNER_REPORTS 1024u /* links with a report that waits to be planned with */

/* What may be wrong: symbol, name in /healthz and logs, what follows from it. */
#define C4_PLANNER_PROBLEMS(X)                                                                     \
	X(FABRIC, "fabric", "the network stays as it was known")                                   \
	X(SOURCE, "source", "the demand stays as it was known")                                    \
	X(DEMAND, "demand", "it stays as it was known")                                            \
	X(STATE, "state", "the plan is served, and written later")                                 \
	X(PLAN, "plan", "the last one is served")

enum c4_planner_problem {
#define C4_X(sym, name, effect) C4_PROBLEM_##sym,
	C4_PLANNER_PROBLEMS(C4_X)
#undef C4_X
		C4_PROBLEM_MAX
};

struct c4_planner_config {
	struct c4_engine_config engine;
	const char *demand;    /* file, or NULL */
	const char *collector; /* "HOST:PORT", or NULL */
	uint64_t interval_ns;  /* between two looks at the demand */
	bool flows;	       /* connections that agents see are planned, too */
	struct c4_elephants_config pairs;
};

struct c4_planner_stats {
	uint64_t plans, plan_ns, last_plan_ns;
	uint64_t moves[C4_SHIFT_MAX];
	uint64_t fetches, fetch_errors; /* of the demand */
	uint64_t fabric_errors;
	uint64_t saves, save_errors;
	uint64_t link_reports, link_refused;
	uint64_t skipped; /* members of live jobs that the fabric does not know, now */
	struct c4_oracle_stats ports;
};

struct c4_planner {
	struct c4_planner_config config;
	char instance[17]; /* of this process: versions of another one mean nothing here */
	uint64_t started_ns;

	struct c4_edition *edition; /* never NULL */
	struct c4_journal journal;
	uint64_t adopted;    /* version of the plan that an earlier run left, 0: none */
	bool demanded;	     /* a demand was read, now or in an earlier run */
	bool fabric_missing; /* when it was last looked for */
	char problems[C4_PROBLEM_MAX][1024];
	struct c4_planner_stats stats;

	/* what is wanted of the plan worker */
	bool reload;
	bool polish;
	struct c4_pause clock; /* when the engine looks at the time again */
	struct c4_pause look;  /* for a fabric file that is not there yet */
	struct c4_source *news;
	struct c4_link_report *reports;
	uint32_t n_reports;

	struct c4_routes routes;
	struct c4_pause gossip; /* when what agents saw is planned with, at the earliest */

	uv_loop_t *loop;
	struct c4_engine *engine;
	struct {
		uv_work_t work;
		bool busy;
		struct c4_task task;
		struct c4_link_report *reports; /* C4_PLANNER_REPORTS, those at work */
		struct c4_seen *seen;		/* likewise, C4_ROUTES_SEEN_MAX at most */
		uint32_t doubts[C4_ROUTES_DOUBTS_MAX];
	} plan;
	struct {
		uv_work_t work;
		bool busy, forced;
		struct c4_fetch_opts opts;
		struct c4_demand_feed *feed; /* NULL: no demand is ever read */
		struct c4_source *news;
		int rc;
		char why[1024];
		struct c4_pause pause;
	} fetch;
	struct {
		uv_work_t work;
		bool busy;
		struct c4_edition *edition;
		uint64_t saved; /* version on disk */
		int rc;
		struct c4_fault fault;
		struct c4_pause pause;
	} save;
	struct c4_talk talk;
	bool ending; /* nothing new is begun */
};

/*
 * config is copied, its strings are not. oracle: taken on success. 0 or -ENOMEM; -EINVAL: malformed
 * collector address. Restores the state and reads the fabric: blocking, before the loop runs.
 */
int c4_planner_init(struct c4_planner *p, uv_loop_t *loop, const struct c4_planner_config *config,
		    struct c4_oracle *oracle, uint64_t now_ns, uint64_t wall_ns);

/* Begins what is due. Every C4_PLANNER_TICK_MS, and after each want. */
void c4_planner_tick(struct c4_planner *p, uint64_t now_ns);

void c4_planner_reload(struct c4_planner *p);

/* 0: it will be planned with; -ENOENT, -EINVAL, -EAGAIN no fabric yet, -EBUSY too many at once. */
int c4_planner_report_link(struct c4_planner *p, const struct c4_link_report *r,
			   struct c4_fault *fault);

/* No new work; the loop ends once what is under way is done. */
void c4_planner_end(struct c4_planner *p);
/* Writes what is left. Blocking, after the loop. */
void c4_planner_release(struct c4_planner *p);

const char *c4_planner_problem_name(enum c4_planner_problem which);
/* "ok", "no-fabric", "no-demand": may followers believe that what is missing is gone? Only "ok". */
const char *c4_planner_standing(const struct c4_planner *p);

#endif
