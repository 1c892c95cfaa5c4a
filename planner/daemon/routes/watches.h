/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watches.h - 5-tuples whose hops agents shall measure (Watch of route.proto): connections of which
 * somebody wants to know the way, or where the time goes. Bounded: who finds no room asks again.
 * Loop's thread.
 */
#ifndef C4_PLANNER_WATCHES_H
#define C4_PLANNER_WATCHES_H

#include "planner/daemon/routes/flows.h"

#define C4_WATCHES_MAX 32u
#define C4_WATCH_NS    10000000000ull /* hops of a connection are measured that long */

struct c4_watch {
	struct c4_flow_key key;
	uint8_t from;
	uint32_t host; /* that sends */
	uint64_t until_ns;
};

struct c4_watches {
	struct c4_watch v[C4_WATCHES_MAX];
	uint32_t n;
};

void c4_watches_add(struct c4_watches *w, const struct c4_watch *x);

/* A direction of a connection, for C4_WATCH_NS; nothing if it is among them. */
void c4_watches_flow(struct c4_watches *w, const struct c4_fabric *f, struct c4_flow *x,
		     uint8_t from, uint64_t now_ns);

void c4_watches_expire(struct c4_watches *w, uint64_t now_ns);

#endif
