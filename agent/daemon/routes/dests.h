/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dests.h - the destinations that processes asked for: what is known of their ports, what of it is
 * in the plan table, and the search for what is missing (seek.h).
 *
 *	asked → probe 16 ports → enough for every slot? → table, wake → … refined → quiet
 *	                ▲────────────── no ───┘
 *	quiet ── plan or epochs changed, ports used up, doubt ──► probe again
 *
 * While all slots have their ports nothing is probed. Where paths were forgotten, a destination
 * nobody has used of late is forgotten with them. Bounded by the table: when it is full those
 * that have not been used for a while give way. One thread (the loop's).
 */
#ifndef C4_AGENT_ROUTES_DESTS_H
#define C4_AGENT_ROUTES_DESTS_H

#include "agent/daemon/routes/findings.h"
#include "agent/daemon/routes/pairs.h"
#include "agent/daemon/routes/pathcache.h"
#include "agent/daemon/routes/plantable.h"
#include "agent/daemon/routes/portrange.h"
#include "agent/daemon/routes/prober.h"
#include "agent/daemon/routes/slots.h"

#define C4_SEEK_BATCH 16u
#define C4_DESTS_MAX  (C4_ROUTE_DESTS / 2)

#define C4_DESTS_KEEP_NS  60000000000ull /* one unused for so long may give way */
#define C4_DESTS_RETRY_NS 30000000000ull /* after a search that did not find all */
#define C4_DESTS_DENY_NS  5000000000ull	 /* nothing known: do not ask again before */

enum c4_seek_state {
	C4_SEEK_WAITS, /* to be sent */
	C4_SEEK_FLIES,
	C4_SEEK_ENDED,
};

struct c4_seek_port {
	uint16_t port;
	uint8_t state; /* of the way there */
	uint8_t ttl;   /* of the probe to send, or under way */
	uint8_t tries;
	bool back_waits; /* the way back has been asked for */
	bool drawn;	 /* nothing was known of it */
	uint16_t number[C4_HOPS_CHOSEN_MAX];
	struct c4_hop hop[C4_HOPS_CHOSEN_MAX];
};

struct c4_seek {
	bool on;
	uint16_t batch; /* tells answers to earlier ones apart */
	uint32_t n, cursor;
	uint32_t skipped; /* ports that were taken, in this batch */
	struct c4_seek_port port[C4_SEEK_BATCH];
};

struct c4_dest {
	uint32_t src, dst;
	uint16_t dport;
	uint8_t proto;
	uint16_t index, serial;	    /* in c4_dests; tells it from an earlier one there */
	const struct c4_pair *pair; /* NULL: not planned any more */
	struct c4_route_dest *place;
	struct c4_pathcache cache;
	struct c4_seek seek;

	struct c4_fill told; /* what the table says */
	uint64_t told_fwd[C4_ROUTE_SLOTS], told_bwd[C4_ROUTE_SLOTS];
	uint8_t wanted; /* free ports of each slot before it is quiet */
	bool urgent;	/* somebody waits */
	uint64_t asked_ns, used_ns;
	uint32_t seen[C4_ROUTE_SLOTS]; /* connections counted */
	bool half_is_enough; /* no port takes both planned paths, as far as could be found out */
	uint64_t retry_ns;   /* not before, after a search that ended without all */
};

/* Asks somebody at the other end for the way back of ports; the answers come to c4_dests_back().
 * False: nobody can tell. */
typedef bool c4_dests_ask_back(void *arg, const struct c4_dest *d, const uint16_t *ports,
			       uint32_t n);

struct c4_dests_counts {
	uint64_t asks, refused;	  /* refused: unknown peers, no room */
	uint64_t searches, ports; /* ports whose path was looked for */
	uint64_t fills;		  /* changes of the table */
	uint64_t unreachable;	  /* slots without a port after all */
	uint64_t evicted, expired;
	uint64_t corrected; /* claims */
};

struct c4_dests {
	struct c4_plantable *table;
	struct c4_prober *prober;
	const struct c4_hopmap *hopmap;
	const struct c4_pairs *pairs;
	struct c4_findings *findings;
	c4_dests_ask_back *ask_back; /* NULL: nobody */
	void *arg;

	struct c4_dest *dest[C4_DESTS_MAX];
	struct c4_map by_key;
	uint32_t n;	   /* places in use and holes below */
	uint32_t nseeking; /* searches under way */
	uint32_t turn;	   /* who may send first */
	uint16_t serial;
	bool relearn; /* paths of ports in use were forgotten; verify.h finds them again */
	struct c4_portrange tcp, udp;
	struct c4_dests_counts counts;
};

void c4_dests_init(struct c4_dests *s);
void c4_dests_release(struct c4_dests *s);

/* NULL: none such. */
struct c4_dest *c4_dests_find(const struct c4_dests *s, uint8_t proto, uint32_t dst,
			      uint16_t dport);

/* Somebody is about to connect. */
void c4_dests_ask(struct c4_dests *s, const struct c4_route_ask *ask, uint64_t now_ns);

/* A connection that is there could follow the plan: what is not known of its ports is looked for,
 * after what somebody waits for. */
void c4_dests_want(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport,
		   uint64_t now_ns);

/* A plan with other pairs or epochs: what is stale is forgotten and looked for anew. */
void c4_dests_replan(struct c4_dests *s, uint64_t now_ns);

/* Nothing that was seen from this address is believed any longer. */
void c4_dests_distrust(struct c4_dests *s, uint32_t src, uint64_t now_ns);

/*
 * Which ports are in use, as somebody sees who goes through all connections: begin, count each
 * one, and what is no connection but holds a port (bound), end. Claims of slots are corrected by
 * the former. count returns the place in the plan + 1 of the
 * route that the connection's port was published for (0: none), *reversed: of the way back.
 */
void c4_dests_count_begin(struct c4_dests *s);
uint32_t c4_dests_count(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport,
			uint16_t sport, bool *reversed);
void c4_dests_bound(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport,
		    uint16_t sport);
void c4_dests_count_end(struct c4_dests *s, uint64_t now_ns);

/*
 * Likewise, between begin and end, of queue pairs: the slot that one claims, as its process says. A
 * port that queue pairs have is not in use: others may have it as well. route: as count returns it.
 */
void c4_dests_claimed(struct c4_dests *s, uint32_t dst, uint8_t slot);
uint32_t c4_dests_route(const struct c4_dests *s, uint32_t dst, uint16_t sport);

/* `busy` of ports has changed: better ports come first, more are looked for where they run out. */
void c4_dests_review(struct c4_dests *s, uint64_t now_ns);

/* Sends what waits to be sent, and looks at who has waited long. */
void c4_dests_pump(struct c4_dests *s, uint64_t now_ns);

/* The way back of a port; path 0: not to be told. Names of a destination that is gone are fine. */
void c4_dests_back(struct c4_dests *s, uint16_t index, uint16_t serial, uint16_t port,
		   uint64_t path);

/* Whether the search goes on; for seek.c. */
void c4_dests_judge(struct c4_dests *s, struct c4_dest *d, bool batch_over);

#endif
