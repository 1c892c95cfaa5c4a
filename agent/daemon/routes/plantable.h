/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plantable.h - writes the node's plan table (c4/route.h): the file, its peers and destinations,
 * heartbeat and waking of those who wait.
 *
 * The table takes up to half of its places. A destination never moves while it is there, because
 * processes count connections in its slots; one that is removed leaves a mark (an address nobody
 * has) if searches must go on behind it, and its place is used again; a quarter of the places is
 * always empty, so that searches end soon. Peers are one word each and
 * do move. One thread, which is the only one that writes (but for claims and statistics).
 */
#ifndef C4_AGENT_ROUTES_PLANTABLE_H
#define C4_AGENT_ROUTES_PLANTABLE_H

#include <limits.h>
#include <stdint.h>

#include "agent/daemon/routes/slots.h"
#include "c4/route.h"

#define C4_PLANTABLE_REMOVED 0xffffffffu /* dst of a place to be used again */

struct c4_plantable {
	struct c4_route_header *hdr; /* NULL: closed */
	struct c4_route_peer *peers;
	struct c4_route_dest *dests;
	uint32_t npeers, ndests, nmarks;
	char path[PATH_MAX];
};

/* Makes and maps the file, in place of one that another agent left. 0 or a negative errno. */
int c4_plantable_open(struct c4_plantable *t, const char *dir, const char *node, uint64_t instance,
		      uint32_t wait_us);

/* Unmaps and removes the file if it is ours. Idempotent. */
void c4_plantable_close(struct c4_plantable *t);

void c4_plantable_beat(struct c4_plantable *t, uint64_t now_ns);

/* Tells who waits that the table has changed. */
void c4_plantable_wake(struct c4_plantable *t);

/* Makes the peers those of the plan. */
void c4_plantable_set_peers(struct c4_plantable *t, const struct c4_pairs *pairs, uint64_t version);

/* A place for a destination, without slots and not to be asked for again before until_ns. It is
 * the caller's until removed. NULL: the table is full, or too worn for this one. */
struct c4_route_dest *c4_plantable_add(struct c4_plantable *t, uint8_t proto, uint32_t dst,
				       uint16_t dport, uint32_t src, uint64_t until_ns);
void c4_plantable_remove(struct c4_plantable *t, struct c4_route_dest *d);

/* Writes the slots; bit i of moved: the path of slot i is another one than before. */
void c4_plantable_fill(struct c4_route_dest *d, const struct c4_fill *fill, uint32_t src,
		       uint32_t moved);

/* No slots: nothing is known, and will not be before until_ns. */
void c4_plantable_give_up(struct c4_route_dest *d, uint64_t until_ns);

/* Connections of a slot as it was seen, unless its claim changed within the settling time.
 * True if the number was corrected. */
bool c4_plantable_correct(struct c4_route_slot *s, uint32_t seen, uint64_t now_ns);

static inline uint32_t c4_plantable_claimed(const struct c4_route_slot *s)
{
	return (uint32_t)(__atomic_load_n(&s->claim, __ATOMIC_RELAXED) & 0xffff);
}

#endif
