/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - a RouteAnswer (route.proto) of the planner, checked and copied out: what an agent is to
 * know of the plan. Nothing in the bytes is trusted: every count has a limit, an index that points
 * nowhere refuses the whole answer, a route that is too long for us is counted and has no path.
 * Immutable after decoding; may be made on one thread and used on another.
 */
#ifndef C4_AGENT_ROUTES_PLAN_H
#define C4_AGENT_ROUTES_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ds/arena.h"

#define C4_PLAN_BYTES_MAX     ((size_t)16 << 20) /* of an answer */
#define C4_PLAN_SWITCHES_MAX  16384u
#define C4_PLAN_ADDRESSES_MAX 262144u /* of all switches */
#define C4_PLAN_ROUTES_MAX    65536u
#define C4_PLAN_PEERS_MAX     65536u /* addresses of all peers */
#define C4_PLAN_WATCHES_MAX   64u
#define C4_PLAN_PATH_MAX      5u /* switches of a route: leaf, group, core, group, leaf */
#define C4_PLAN_NAME_BYTES    64u

struct c4_plan_switch {
	const char *name;
	const uint32_t *addresses;
	uint32_t naddresses;
	uint64_t epoch;
};

struct c4_plan_route {
	const char *id;
	uint32_t qp;
	uint32_t src, dst;
	uint32_t npath; /* 0: no path that we could follow */
	uint32_t path[C4_PLAN_PATH_MAX];
};

/* One address of a peer; sorted by it. */
struct c4_plan_peer {
	uint32_t address;
	uint32_t agent; /* 0: unknown */
	uint16_t helper_port;
};

struct c4_plan_watch {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

struct c4_plan {
	char instance[C4_PLAN_NAME_BYTES];
	uint64_t version;
	bool unchanged, standing;
	uint32_t interval_ms;
	struct c4_plan_switch *switches;
	struct c4_plan_route *routes;
	struct c4_plan_peer *peers;
	struct c4_plan_watch *watches;
	uint32_t nswitches, nroutes, npeers, nwatches;
	uint32_t too_long; /* routes of more switches than we can tell apart */
	struct c4_arena arena;
};

/* 0, -EBADMSG (not a RouteAnswer, or one that lies), -E2BIG (beyond a limit) or -ENOMEM. */
int c4_plan_decode(const void *data, size_t n, struct c4_plan **ret);

/* Takes NULL. */
void c4_plan_free(struct c4_plan *p);

/* NULL: nobody of this address takes part. */
const struct c4_plan_peer *c4_plan_peer(const struct c4_plan *p, uint32_t address);

#endif
