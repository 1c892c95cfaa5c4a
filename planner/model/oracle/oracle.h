/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle.h - which path a source port takes, and which port takes a wanted path.
 *
 * Switches choose among equal next hops by a hash over addresses and ports, so the source port is
 * the lever and the hash is what one must know. How it is known differs (a model of the hash, a
 * table of probes, a learned linear hash); this is the interface to all of them: a table of
 * functions and what they share.
 *
 *	plan: QP wants leaf0, spine3, leaf5  ──►  oracle  ──►  source port 0xC217
 *
 * Knowledge ages: whatever was learned through a switch is stale once that switch's epoch grew.
 * A path that no port reaches (tiers that hash alike, "polarised") is an answer, not an error.
 * The fabric is the caller's and outlives the oracle's calls, not the oracle. Pure, one thread.
 */
#ifndef C4_PLANNER_ORACLE_H
#define C4_PLANNER_ORACLE_H

#include <stddef.h>
#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "common/base/label.h"
#include "planner/model/oracle/path.h"
#include "planner/model/plan.h"

enum c4_port_answer {
	C4_PORT_UNKNOWN, /* not known yet: probe */
	C4_PORT_FOUND,
	C4_PORT_UNREACHABLE, /* known: no port takes this path */
};

/* One QP of a pair of NICs. */
struct c4_want {
	struct c4_path path;
	uint16_t sport; /* 0: none; a port from earlier is kept if it still takes the path */
	uint8_t answer; /* enum c4_port_answer */
	uint32_t route; /* of the plan; the oracle does not look at it */
};

struct c4_oracle_stats {
	uint64_t found;	      /* QPs with a port, of which … */
	uint64_t kept;	      /* … with the one they had */
	uint64_t unknown;     /* QPs whose path is not known yet: sport 0 */
	uint64_t unreachable; /* QPs whose path no port takes: sport 0 */
	uint64_t crowded;     /* QPs beyond the ports that one pair of NICs has: sport 0 */
	uint64_t lost;	      /* observations pushed out of a full table */
	uint64_t refuted;     /* predictions that a later observation proved wrong */
};

struct c4_oracle;

/* What an implementation provides; `learn` and `probe` may be NULL (nothing to learn). */
struct c4_oracle_ops {
	const char *name;
	int (*begin)(struct c4_oracle *o, const struct c4_fabric *f);
	int (*path)(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		    struct c4_path *ret);
	void (*ports)(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
		      uint32_t n);
	int (*learn)(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		     const struct c4_path *seen);
	uint32_t (*probe)(struct c4_oracle *o, uint32_t src, uint32_t dst,
			  const struct c4_want *wants, uint32_t n, uint16_t *ports, uint32_t cap);
	void (*free)(struct c4_oracle *o);
};

/* The common part, first member of every implementation. */
struct c4_oracle {
	const struct c4_oracle_ops *ops;
	const struct c4_fabric *fabric; /* since c4_oracle_begin() */
	struct c4_oracle_stats stats;
	uint64_t used[C4_PORTS / 64]; /* ports of the pair at work that are taken */
};

/* NULL is fine. */
void c4_oracle_free(struct c4_oracle *o);

/*
 * To be called before the first question, and again whenever links or epochs of the fabric have
 * changed (c4_oracle_ports() does it by itself). 0 or -ENOMEM.
 */
int c4_oracle_begin(struct c4_oracle *o, const struct c4_fabric *f);

/*
 * Gives every placed route of the plan a source port that takes the route's path, different for
 * all QPs of one pair of NICs; routes under one leaf get any free port. A port the route already
 * has is kept while it is right. Where there is none, sport becomes 0 and stats say why.
 * 0 or -ENOMEM. Cost: about as many looks at the hash as a pair has paths, per QP.
 */
int c4_oracle_ports(struct c4_oracle *o, const struct c4_fabric *f, const struct c4_demand *d,
		    struct c4_plan *p);

/*
 * Where QPs really go: sets the path fields and state of every route from its source port, as this
 * oracle knows it (ports 0 are taken as they are: a port like any other). NO_PATH and TWO_PLANES
 * where no live path is; NONE where the oracle does not know. 0 or -ENOMEM.
 */
int c4_oracle_trace(struct c4_oracle *o, const struct c4_fabric *f, const struct c4_demand *d,
		    struct c4_plan *p);

/* The path that a port takes between two NICs: 0, -EAGAIN not known yet, -EHOSTUNREACH no live
 * path. *ret is untouched on failure. */
int c4_oracle_path(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		   struct c4_path *ret);

/* An observation: this port took this path, now. 0, -ENOMEM, -EINVAL for what cannot be (no such
 * NIC, links that do not join them), -EOPNOTSUPP when this oracle has nothing to learn. */
int c4_oracle_learn(struct c4_oracle *o, uint32_t src, uint32_t dst, uint16_t sport,
		    const struct c4_path *seen);

/*
 * What to probe next, so that the wants that c4_oracle_want() left unknown get a port: at most cap
 * ports, fewer when fewer are useful, 0 when there is nothing left to learn. Probe, learn, ask
 * c4_oracle_want() again.
 */
uint32_t c4_oracle_probe(struct c4_oracle *o, uint32_t src, uint32_t dst,
			 const struct c4_want *wants, uint32_t n, uint16_t *ports, uint32_t cap);

/* The wants of one pair, as c4_oracle_ports() asks them. */
void c4_oracle_want(struct c4_oracle *o, uint32_t src, uint32_t dst, struct c4_want *wants,
		    uint32_t n);

/* ---- for implementations ----------------------------------------------------------------- */

static inline bool c4_oracle_taken(const struct c4_oracle *o, uint16_t sport)
{
	uint32_t i = sport - C4_PORT_FIRST;

	return o->used[i / 64] >> (i % 64) & 1;
}

static inline void c4_oracle_take(struct c4_oracle *o, struct c4_want *w, uint16_t sport)
{
	uint32_t i = sport - C4_PORT_FIRST;

	o->used[i / 64] |= (uint64_t)1 << (i % 64);
	w->sport = sport;
	w->answer = C4_PORT_FOUND;
}

/* Where the search for a pair's ports begins, so that pairs do not all use the same ones. */
uint16_t c4_oracle_start(uint32_t src, uint32_t dst);

/* The i-th port of a pair (i < C4_PORTS: each port once), in an order that no hash knows. */
uint16_t c4_oracle_nth_port(uint32_t src, uint32_t dst, uint32_t i);

#endif
