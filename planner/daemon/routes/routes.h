/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * routes.h - the planner's side of POST /v1/routes: what agents report, what they are told.
 *
 *	RouteReport ──► agents    who reports, where others reach them
 *	            ──► seen      which port took which path, for the oracle
 *	            ──► doubts    leaves whose map is stale, for the plan's epochs
 *	            ──► flows     who talks to whom, how fast, which way: demand, suspicion
 *	RouteAnswer ◄── edition   routes that begin or end at the node, and what belongs to them
 *	collector   ──► heard     which pairs of hosts are slow, for suspicion
 *
 * Everything is of the loop's thread and bounded; an answer costs as much as the node has QPs. What
 * the planner has to do about it waits here until it looks (c4_planner_tick()).
 */
#ifndef C4_PLANNER_ROUTES_H
#define C4_PLANNER_ROUTES_H

#include "common/buf.h"
#include "common/ds/arena.h"
#include "planner/daemon/edition.h"
#include "planner/daemon/routes/epochs.h"
#include "planner/daemon/routes/flows.h"
#include "planner/daemon/routes/elephants.h"
#include "planner/daemon/routes/absent.h"
#include "planner/daemon/routes/agents.h"
#include "planner/daemon/routes/heard.h"
#include "planner/daemon/routes/suspects.h"
#include "planner/model/oracle/path.h"

#define C4_ROUTES_BODY_MAX    (2u << 20)
#define C4_ROUTES_QPS_MAX     16384u /* told to one node; more are counted */
#define C4_ROUTES_SEEN_MAX    65536u /* observations that wait for the oracle */
#define C4_ROUTES_DOUBTS_MAX  1024u
#define C4_ROUTES_TICK_NS     200000000ull
#define C4_ROUTES_INTERVAL_MS 1000u
#define C4_ROUTES_AGENTS_FULL 1000u /* more agents are asked to report less often */

/* What is counted: symbol, name in metrics, what it means. */
#define C4_ROUTES_COUNTS(X)                                                                        \
	X(REPORTS, "reports", "reports of agents")                                                 \
	X(REFUSED, "reports_refused", "reports that were not understood, or of unknown nodes")     \
	X(UNCHANGED, "answers_unchanged", "answers without routes: nothing was different")         \
	X(PROBES, "probes", "observations of paths")                                               \
	X(PROBES_REFUSED, "probes_refused", "observations that cannot be")                         \
	X(PROBES_LOST, "probes_lost", "observations dropped: too many at once")                    \
	X(DOUBTS, "doubts", "ports that no longer took the path they had taken")                   \
	X(FLOWS, "flows", "reports of connections")                                                \
	X(FLOWS_REFUSED, "flows_refused", "reports of connections that cannot be")                 \
	X(FLOWS_LOST, "flows_lost", "reports of connections dropped: too many")                    \
	X(UNTOLD, "routes_untold", "routes left out of answers: too many, or without addresses")

enum c4_routes_count {
#define C4_X(sym, name, help) C4_ROUTES_##sym,
	C4_ROUTES_COUNTS(C4_X)
#undef C4_X
		C4_ROUTES_COUNT_MAX
};

extern const char *const c4_routes_count_names[C4_ROUTES_COUNT_MAX];

/* One observation for the oracle. */
struct c4_seen {
	uint32_t src, dst; /* NICs */
	uint16_t sport;
	struct c4_path path;
};

struct c4_routes_config {
	const char *instance; /* of the planner */
	bool learns;	      /* the oracle can be told */
	bool demands;	      /* connections that are seen are planned */
	struct c4_elephants_config pairs;
	uint64_t hold_ns; /* a slow link is tried again after this */
};

struct c4_routes {
	struct c4_routes_config config;
	struct c4_edition *edition; /* the newest; NULL before the first */
	struct c4_epochs epochs;
	struct c4_agents agents;
	struct c4_flows flows;
	struct c4_elephants pairs;
	struct c4_suspects suspects;
	struct c4_heard heard;
	struct c4_ratings said; /* not looked at yet, if anything was */
	bool has_said;
	struct c4_absent absent;
	struct c4_arena arena; /* of the exchange at work */
	uint32_t *mark;	       /* per switch, then per host: scratch of an answer */
	uint32_t n_marks;
	uint64_t counts[C4_ROUTES_COUNT_MAX];
	uint64_t tick_ns; /* the last one that looked at everything */

	/* for the plan worker */
	struct c4_seen *seen;
	uint32_t n_seen, cap_seen;
	uint32_t doubts[C4_ROUTES_DOUBTS_MAX]; /* switches */
	uint32_t n_doubts;
};

void c4_routes_init(struct c4_routes *r, const struct c4_routes_config *config);
void c4_routes_release(struct c4_routes *r);

/* There is a new edition; it is held. -ENOMEM: agents go on getting the last one. */
int c4_routes_follow(struct c4_routes *r, struct c4_edition *e, uint64_t now_ns, uint64_t wall_ms);

/* As often as one likes: what costs something is done C4_ROUTES_TICK_NS after the last time. */
void c4_routes_tick(struct c4_routes *r, uint64_t now_ns);

/* Takes what the collector says of pairs of hosts now, made on the fabric of e; it is looked at
 * with the next window of connections. */
void c4_routes_hear(struct c4_routes *r, const struct c4_edition *e, struct c4_ratings *said);

struct c4_routes_ask {
	const void *body;
	size_t bytes;
	uint32_t peer; /* address it came from, 0: unknown */
	bool standing;
	uint64_t now_ns;
};

/*
 * Takes a report and appends the answer. 0; -EBADMSG not decodable, -EINVAL something in it that
 * cannot be, -ENOENT no such node, -EAGAIN no fabric yet, -ENOMEM: the reason in *fault.
 */
int c4_routes_exchange(struct c4_routes *r, const struct c4_routes_ask *ask, struct c4_buf *out,
		       struct c4_fault *fault);

#endif
