/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pathcache.h - what is known of the source ports towards one destination: which path each takes,
 * there and back, and under which epochs that was seen. Bounded: the least useful goes first.
 * Pure.
 */
#ifndef C4_AGENT_ROUTES_PATHCACHE_H
#define C4_AGENT_ROUTES_PATHCACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/daemon/routes/hopmap.h"
#include "agent/daemon/routes/pairs.h"

#define C4_PATHCACHE_PORTS 192u
#define C4_PATHCACHE_KINDS 64u /* different paths remembered, to tell when enough was tried */

struct c4_portpath {
	uint64_t fwd, bwd;	 /* 0: not seen, or through a switch that the plan does not know */
	uint64_t fwd_at, bwd_at; /* stamps */
	uint16_t port;
	uint8_t slot;	 /* it was published for, + 1; 0: none */
	bool busy;	 /* a connection has it, or somebody has bound it */
	bool bwd_failed; /* nobody could tell the way back */
	bool flies;	 /* our own probe has it bound: of no use to anybody yet */
};

struct c4_pathcache {
	struct c4_portpath *v;
	uint32_t n, cap;
	uint32_t tried;			   /* ports since the last change of epochs */
	uint64_t kind[C4_PATHCACHE_KINDS]; /* paths, there mixed with back */
	uint32_t nkinds;
	uint64_t lost; /* ports pushed out */
};

void c4_pathcache_release(struct c4_pathcache *c);

struct c4_portpath *c4_pathcache_find(const struct c4_pathcache *c, uint16_t port);

/* Found or made; NULL: out of memory, or all that are known are in use. Moves the others. */
struct c4_portpath *c4_pathcache_at(struct c4_pathcache *c, const struct c4_pair *pair,
				    uint16_t port);

/* A whole probe of a port has ended: counts it, and its path as one of so many kinds. */
void c4_pathcache_tried(struct c4_pathcache *c, const struct c4_portpath *x);

/* Enough tried to say that a path nobody has seen is not to be had, once in e^16 cases wrong. */
bool c4_pathcache_exhausted(const struct c4_pathcache *c);

/* Forgets paths seen under other epochs, and all of them with `all`. Returns how many. */
uint32_t c4_pathcache_expire(struct c4_pathcache *c, const struct c4_hopmap *m,
			     const struct c4_pair *pair, bool all);

#endif
