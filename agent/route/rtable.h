/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rtable.h - reading the plan table (c4/route.h): bounds, peers, destinations, claims.
 *
 * The table is written by another process while we read it, and may be anything. Where things are
 * is read and checked once (c4_rtable_check) and kept in a view; later nothing of the header but
 * the heartbeat, the waiting time and the generation is read again. A destination is copied, and
 * the copy is good if its `gen` was even and the same before and after; every search is bounded.
 *
 * Nothing here allocates, calls the kernel or touches errno. Any thread.
 */
#ifndef C4_ROUTE_RTABLE_H
#define C4_ROUTE_RTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "c4/route.h"

/* A table whose bounds are known to be good. */
struct c4_rtable {
	struct c4_route_header *hdr;
	const struct c4_route_peer *peers;
	struct c4_route_dest *dests;
	uint32_t peer_mask, dest_mask; /* capacities less one */
};

/* 0 and the view of bytes[n] (8-aligned), or -EPROTO with *ret untouched: another version, or
 * nonsense. */
int c4_rtable_check(void *bytes, size_t n, struct c4_rtable *ret);

/* Whether the agent that writes it was alive within C4_ROUTE_STALE_NS before now. */
bool c4_rtable_live(const struct c4_rtable *t, uint64_t now_ns);

/* The local address that the plan means for connections to dst; 0: dst is not planned. */
uint32_t c4_rtable_peer(const struct c4_rtable *t, uint32_t dst);

/* Whether connections from this local address are planned; 0, no address: whether any are. */
bool c4_rtable_local(const struct c4_rtable *t, uint32_t src);

/*
 * The destination's place, and its copy in *ret. -ENOENT: it is not there, or was asked for so long
 * ago that it may be asked for again. -EAGAIN: nobody knows its ports, and asking is of no use now.
 */
int c4_rtable_dest(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
		   uint64_t now_ns, struct c4_route_dest *ret);

/*
 * Takes the slot of d (the copy of place `at`) that has ports, is not in the set `tried` and has
 * the fewest connections: counted as one more. Its number, or -ENOENT.
 */
int c4_rtable_claim(const struct c4_rtable *t, int at, const struct c4_route_dest *d,
		    uint32_t tried, uint64_t now_ns);

/* The connection did not come about, or has ended. */
void c4_rtable_unclaim(const struct c4_rtable *t, int at, int slot, uint64_t now_ns);

static inline void c4_rtable_count(const struct c4_rtable *t, enum c4_route_stat stat)
{
	__atomic_fetch_add(&t->hdr->stats[stat], 1, __ATOMIC_RELAXED);
}

#endif
