/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.h - makes the plan: fabric file, demand and reported links in, editions out.
 *
 * Worker side: everything here may block or take long. One task at a time; between two tasks
 * nobody touches the engine. What cannot be read leaves what was there before in place, and the
 * task says why. Silent but for its answers.
 */
#ifndef C4_PLANNER_ENGINE_H
#define C4_PLANNER_ENGINE_H

#include "planner/daemon/edition.h"
#include "planner/daemon/source.h"
#include "planner/daemon/routes/routes.h"
#include "planner/daemon/upkeep.h"
#include "planner/model/oracle/oracle.h"

struct c4_engine;

struct c4_engine_config {
	const char *fabric; /* file; NULL: there will never be one */
	const char *state;  /* file; NULL: none */
	struct c4_replan_opts replan;
	bool flows;	 /* connections that are seen are planned, too … */
	bool flows_only; /* … and nothing else */
};

enum c4_input_state {
	C4_INPUT_SAME,	  /* not looked at in this task */
	C4_INPUT_READ,	  /* taken over */
	C4_INPUT_MISSING, /* there is no such file */
	C4_INPUT_BAD	  /* refused, with a reason */
};

/* One input's fate in a task. */
struct c4_input {
	enum c4_input_state state;
	char why[1024];
};

struct c4_task {
	/* in */
	bool reload;		      /* read the fabric file */
	struct c4_source *source;     /* news of the demand; taken. NULL: none */
	struct c4_link_report *links; /* to be reported; the caller's */
	uint32_t n_links;
	struct c4_held_fabric *seen_on; /* that seen, doubts and flows speak of */
	const struct c4_seen *seen;	/* for the oracle; the caller's */
	uint32_t n_seen;
	const uint32_t *doubts; /* switches whose map is stale, likewise */
	uint32_t n_doubts;
	struct c4_flow_conn *flows; /* that are seen, on seen_on; taken. NULL: as before */
	uint32_t n_flows;
	bool polish;	 /* find the bounds, and a better plan if there is one, of a large one */
	uint64_t now_ns; /* monotonic */
	uint64_t now_version; /* versions are at least this: milliseconds since 1970 */
	/* out */
	struct c4_edition *edition; /* the caller's. NULL: nothing is different */
	struct c4_input fabric, demand, state;
	char link_fault[256]; /* of the last report that was refused; "" none */
	uint32_t links_refused;
	uint32_t seen_refused;
	uint32_t links_forgotten; /* because the fabric file now says something else */
	bool failed;		  /* out of memory, or a fabric that cannot be planned: why */
	char why[256];
	bool unpolished; /* the edition's bounds are not known yet: a task with polish finds them */
	uint64_t skipped; /* members of live jobs that the fabric does not know */
	uint64_t plan_ns; /* 0: nothing was planned */
	/* the engine's own */
	struct c4_upkeep *upkeep;
};

/* oracle: taken on success; NULL: no ports. NULL: out of memory. */
struct c4_engine *c4_engine_new(const struct c4_engine_config *config, struct c4_oracle *oracle);
void c4_engine_free(struct c4_engine *e);

void c4_engine_run(struct c4_engine *e, struct c4_task *t);

/* Of the oracle, as of the last task; zero without one. */
struct c4_oracle_stats c4_engine_ports(const struct c4_engine *e);

#endif
