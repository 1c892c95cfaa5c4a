/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pairs.h - the plan seen from this node: for each peer the paths its connections shall take, slot
 * by slot. Slot i has the i-th route towards the peer and the i-th route back, as far as there
 * are. Only peers whose paths are a choice: under one leaf there is nothing to plan.
 * Made anew with each plan; points into nothing of it. One thread.
 */
#ifndef C4_AGENT_ROUTES_PAIRS_H
#define C4_AGENT_ROUTES_PAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/daemon/routes/hopmap.h"
#include "agent/daemon/routes/plan.h"
#include "c4/route.h"

struct c4_wish {
	uint64_t fwd, bwd;	       /* paths (hopmap.h), 0: any */
	uint32_t fwd_route, bwd_route; /* places in the plan + 1; 0: none */
};

struct c4_pair {
	uint32_t src, dst;
	uint16_t near, far; /* numbers of our leaf and the peer's */
	uint8_t chosen;	    /* switches that are a choice: probes have TTL 2 … chosen + 1 */
	uint8_t nwishes;
	struct c4_wish wish[C4_ROUTE_SLOTS];
};

struct c4_pairs {
	struct c4_pair *v, *oneway;
	uint32_t n, cap;
	struct c4_map by_dst;	  /* → place + 1 */
	uint32_t refused;	  /* peers beyond C4_ROUTE_PEERS / 2 */
	uint32_t shared, foreign; /* routes beyond the slots; of another source than the peer's */
};

/* 0 or -ENOMEM, *ret then empty. addresses: this node's. */
int c4_pairs_make(struct c4_pairs *ret, const struct c4_plan *p, const struct c4_hopmap *m,
		  const uint32_t *addresses, uint32_t naddresses);
void c4_pairs_release(struct c4_pairs *s);

const struct c4_pair *c4_pairs_to(const struct c4_pairs *s, uint32_t dst);

/* The same for RoCE, where each end chooses for what it sends: without the ways back. */
const struct c4_pair *c4_pairs_oneway(const struct c4_pairs *s, uint32_t dst);

/* Whether the plan has a route between them, in either direction; a is ours. */
bool c4_pairs_has(const struct c4_pairs *s, uint32_t a, uint32_t b);

#endif
