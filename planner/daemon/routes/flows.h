/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flows.h - the connections that agents see now: who talks to whom, how fast, over which links.
 *
 * A connection is known by its 5-tuple, whichever end reports it; direction 0 is from `a`, the end
 * with the lower address (and port), to `b`. Both ends report: a direction's rate is the larger of
 * what its sender says it sent and its receiver received. A way is what a probe of the very
 * 5-tuple showed, else that of the route a port was given for, as it was when the connection was
 * first seen: a connection does not move with the plan. Queue pairs of one port to one host are one
 * flow of several connections.
 * Loop's thread; at most C4_FLOWS_MAX, forgotten C4_FLOW_SILENT_NS after the last report.
 */
#ifndef C4_PLANNER_FLOWS_H
#define C4_PLANNER_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ds/map.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/oracle/path.h"

#define C4_FLOWS_MAX	  65536u
#define C4_FLOW_SILENT_NS 5000000000ull
#define C4_FLOW_FRESH_NS  2500000000ull /* a rate is believed that long */
#define C4_FLOW_ID_MAX	  127u
#define C4_FLOW_HOPS	  5u
#define C4_FLOW_UDP	  17u	 /* queue pairs: nobody counts what a single one carries */
#define C4_FLOW_SHARERS	  16384u /* connections of one 5-tuple; more are not believed */

struct c4_flow_key {
	uint32_t ip[2]; /* a, b */
	uint16_t port[2];
	uint8_t proto;
};

/* What one end said last of what it sends and gets. */
struct c4_flow_end {
	uint64_t seen_ns; /* 0: never */
	double sent_gbps, got_gbps;
	double busy_gbps; /* of what it sent, while data were in flight */
	float busy;	  /* share of the time */
	float limited;	  /* of the busy time: by the receiver's window or the sender's buffer */
	uint32_t rtt_us, min_rtt_us, retransmits;
	uint32_t connections; /* that share the 5-tuple, at least 1 */
	bool initiated;
};

/* Of one direction. */
struct c4_flow_way {
	struct c4_path path;	       /* hops 0: not known */
	uint64_t seen_ns;	       /* 0: nobody looked, path is the plan's */
	uint32_t rtt_us[C4_FLOW_HOPS]; /* to leaf, spine, …; 0: unknown */
	uint64_t rtt_ns[C4_FLOW_HOPS]; /* when that was measured */
	uint64_t watch_ns;	       /* wished for until then */
};

struct c4_flow {
	struct c4_flow_key key;
	uint32_t nic[2];
	struct c4_flow_end end[2];
	struct c4_flow_way way[2];   /* from end[0], from end[1] */
	char id[C4_FLOW_ID_MAX + 1]; /* of the route it was given a port for; "" none */
	uint32_t qp;
	uint8_t id_from; /* direction that the route plans */
};

struct c4_flows {
	struct c4_map by_key;
	uint32_t n;
};

void c4_flows_release(struct c4_flows *f);
/* Forgets all: another fabric. */
void c4_flows_clear(struct c4_flows *f);
void c4_flows_expire(struct c4_flows *f, uint64_t now_ns);

/* The key of a 5-tuple as one end tells it; *ret_from: which end that is. */
struct c4_flow_key c4_flow_key_of(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
				  uint8_t proto, uint8_t *ret_from);

/* NULL: not known. */
struct c4_flow *c4_flows_find(const struct c4_flows *f, const struct c4_flow_key *k);
/* Made if it is new. NULL: no room. */
struct c4_flow *c4_flows_at(struct c4_flows *f, const struct c4_flow_key *k, bool *ret_fresh);

/* How many connections it stands for, as far as the reports are fresh; at least 1. */
uint32_t c4_flow_connections(const struct c4_flow *f, uint64_t now_ns);

/* Whether its rates are estimates: they say who talks to whom, and nothing of any link. */
static inline bool c4_flow_estimated(const struct c4_flow *f)
{
	return f->key.proto == C4_FLOW_UDP;
}

/* Gb/s from end `from` to the other, as far as the reports are fresh; 0: nothing. */
double c4_flow_gbps(const struct c4_flow *f, unsigned from, uint64_t now_ns);

static inline bool c4_flow_fresh(const struct c4_flow *f, unsigned end, uint64_t now_ns)
{
	return f->end[end].seen_ns && now_ns < f->end[end].seen_ns + C4_FLOW_FRESH_NS;
}

#endif
