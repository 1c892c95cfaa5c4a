/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suspects.h - links that connections show to be slow, or full: found, planned around, tried again.
 *
 *	       sense: confirmed                 nobody contradicts for `hold`
 *	doubt ─────────────────► slow ─────────────────► probation (half its rate) ───► forgotten
 *	                          ▲                        │ slow again                 (all of it)
 *	                          └────────────────────────┘
 *
 * A slow link gets the measured rate in the plan; routes move by the usual means. Connections that
 * stay on it and are faster than that prove it well, and it gets its rate back at once. A link
 * that nothing uses can prove nothing, and idle round-trip times are normal on a link that
 * drops to a tenth: so after `hold` without a sign that it is still slow it gets half its rate, in
 * which a plan that has better links puts little on it, and after another one all of it. The plan
 * takes each of these up after its own hold, doubled with each failure within the hour
 * (replan.h), which is what damps a link that fails again and again.
 *
 * Connections whose way nobody knows may share the link: as long as they and what is seen on it
 * make up half of its rate there is no verdict, and their hops are measured, which tells their way.
 *
 * The collector's word on pairs of hosts (heard.h) leads here, too, and links that no port leads
 * over any more (absent.h): these are planned as dead. Of neither connections prove anything: what
 * is slow for one kind of traffic (RDMA) may be fast for another.
 *
 * A report of the link from elsewhere (POST /api/v1/links) ends the suspicion: somebody knows
 * better. Full links are told and not planned otherwise: the plan counts loads already.
 * Loop's thread; at most C4_SUSPECTS_MAX.
 */
#ifndef C4_PLANNER_SUSPECTS_H
#define C4_PLANNER_SUSPECTS_H

#include "planner/daemon/edition.h"
#include "planner/daemon/routes/window.h"
#include "planner/model/sense/sense.h"

#define C4_SUSPECTS_MAX	   256u
#define C4_SUSPECT_FULL_NS 10000000000ull /* a full link is told until so long after */
#define C4_SUSPECT_PAIRS   4u

enum c4_suspect_state {
	C4_SUSPECT_DOUBT,
	C4_SUSPECT_SLOW,
	C4_SUSPECT_PROBATION,
	C4_SUSPECT_FULL,
	C4_SUSPECT_CLEARED
};

/* Who found it: connections in our own windows, the collector, or probes. */
enum c4_suspect_source { C4_SUSPECT_BY_CONNECTIONS, C4_SUSPECT_BY_COLLECTOR, C4_SUSPECT_BY_PROBES };

struct c4_suspect {
	enum c4_suspect_state state;
	char a[C4_NAME_MAX + 1], b[C4_NAME_MAX + 1];
	uint32_t parallel;
	uint32_t link; /* directed, of the newest edition */
	float file_gbps;
	double given_gbps; /* what the plan was told; 0: nothing */
	double measured_gbps, speed, peers;
	uint32_t flows, windows, alike;
	uint32_t well;			     /* windows in a row that contradict */
	uint64_t first_ns;		     /* when the first window showed it */
	uint64_t bad_ns;		     /* when the last one did */
	uint64_t given_ns;		     /* since when the plan uses given_gbps; 0: not yet */
	uint32_t hosts[C4_SUSPECT_PAIRS][2]; /* some of who talks over it */
	uint32_t n_hosts;
	enum c4_suspect_source source;
	bool dead;   /* planned without it */
	bool shared; /* the collector calls it congestion, or others may be on it: it is not named */
};

/* The collector's word on a link, or that of probes. */
struct c4_suspect_word {
	uint32_t link;	/* directed */
	bool dead;	/* probes do not meet it */
	double times;	/* the usual time per byte, at least; else */
	uint32_t pairs; /* of hosts that show it; dead: draws */
	uint32_t alike;
	bool shared;
	uint32_t hosts[C4_SUSPECT_PAIRS][2];
	uint32_t n_hosts;
};

struct c4_suspects {
	uint64_t hold_ns;
	struct c4_sense *sense;
	struct c4_suspect v[C4_SUSPECTS_MAX];
	uint32_t n;
	struct c4_window window;
	uint64_t found, cleared, lost;

	/* for the planner */
	struct c4_link_report reports[C4_SUSPECTS_MAX];
	uint32_t n_reports;
	bool changed; /* somebody wants to be told */

	struct c4_watches watches; /* who shares a link, or is slow where, is measured */
};

const char *c4_suspect_state_name(enum c4_suspect_state s);

void c4_suspects_release(struct c4_suspects *s);

/* There is a new edition; was may be NULL. -ENOMEM. */
int c4_suspects_follow(struct c4_suspects *s, const struct c4_edition *was,
		       const struct c4_edition *is, uint64_t now_ns);

/* Looks at all flows when a window is over: was it? */
bool c4_suspects_look(struct c4_suspects *s, const struct c4_edition *e, const struct c4_flows *f,
		      uint64_t now_ns);

/* Planned with what is left of its rate, if at most one other link explains it as well. Right after
 * a window, whose connections may explain it. */
void c4_suspects_accuse(struct c4_suspects *s, const struct c4_edition *e,
			const struct c4_suspect_word *w, uint64_t now_ns);

/* It was not this link (directed) after all: unless our own windows show it, it gets its rate. */
void c4_suspects_acquit(struct c4_suspects *s, uint32_t link);

const char *c4_suspect_source_name(enum c4_suspect_source s);

#endif
