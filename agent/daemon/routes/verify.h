/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify.h - whether ports still take the paths they were seen to take.
 *
 *	samples  every few seconds some published ports: a live connection's where raw probes may be
 *	         sent, else one that nobody uses. One that takes another path is a suspicion: all
 *	         ports of that slot's source are then sampled more; a second one is a doubt: what
 *	         was seen from there is forgotten, looked for anew, and the planner is told.
 *	watches  connections that the planner wants to know the hops of: round-trip time of each
 *	         hop, the smallest of a few tries (raw probes only).
 *
 * A hop that does not answer is no evidence. All on the loop's thread.
 */
#ifndef C4_AGENT_ROUTES_VERIFY_H
#define C4_AGENT_ROUTES_VERIFY_H

#include "agent/daemon/routes/dests.h"
#include "agent/daemon/routes/rawprober.h"

#define C4_VERIFY_TRACES    64u
#define C4_VERIFY_SAMPLES   2u /* at a time */
#define C4_VERIFY_PERIOD_NS 3000000000ull
#define C4_VERIFY_HURRY_NS  200000000ull /* while something is suspected */
#define C4_VERIFY_WATCH_NS  1000000000ull
#define C4_VERIFY_TRIES	    3u		  /* of a watch, per hop */
#define C4_VERIFY_DOUBT_NS  5000000000ull /* no doubt about the same source sooner */
#define C4_VERIFY_SOURCES   8u

/* One 5-tuple under way, TTL first … last. */
struct c4_trace {
	bool on, raw, watch;
	uint32_t serial;
	struct c4_probe flow;
	uint8_t first, last, tries;
	uint32_t waiting;
	struct c4_hop hop[C4_FINDING_HOPS];
	uint64_t expected; /* path; of a sample */
	uint16_t dest, dest_serial;
};

struct c4_verify_source {
	uint32_t address;
	uint32_t tried, wrong; /* since the last doubt, or the last time all was well */
	uint32_t dst;	       /* of the last wrong one */
	uint64_t doubted_ns;
};

struct c4_verify {
	struct c4_dests *dests;
	struct c4_prober *prober;
	struct c4_rawprober *raw;
	struct c4_trace trace[C4_VERIFY_TRACES];
	struct c4_verify_source source[C4_VERIFY_SOURCES];
	uint32_t serial, turn, place;
	uint64_t sampled_ns, watched_ns;
	bool suspicious;
	struct c4_bucket bucket; /* of raw probes */
	uint64_t samples, wrong, doubts, watches, unanswered;
};

void c4_verify_init(struct c4_verify *v, struct c4_dests *dests, struct c4_prober *prober,
		    struct c4_rawprober *raw);

/* Begins what is due; call it often. */
void c4_verify_tick(struct c4_verify *v, const struct c4_plan_watch *watches, uint32_t nwatches,
		    uint64_t now_ns);

#endif
