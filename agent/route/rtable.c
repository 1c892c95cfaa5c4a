// SPDX-License-Identifier: BSD-3-Clause
#include "agent/route/rtable.h"

#include <errno.h>
#include <string.h>

#define CLAIM_SHIFT 16
#define CLAIM_MASK  0xffffu
#define NS_PER_MS   1000000u
#define TRIES	    8 /* at something that others are changing */

/* What structures are copied by. */
typedef uint64_t c4_word __attribute__((may_alias));

static_assert(sizeof(struct c4_route_dest) % sizeof(uint64_t) == 0, "copied by words");
static_assert(offsetof(struct c4_route_dest, gen) == 0, "in the first word");

/* ---- bounds --------------------------------------------------------------------------------- */

static bool array_fits(uint64_t total, uint32_t off, uint32_t cap, uint32_t most, size_t size,
		       uint32_t said_size)
{
	return off >= sizeof(struct c4_route_header) && off % 8 == 0 && said_size == size && cap &&
	       cap <= most && !(cap & (cap - 1)) && off + (uint64_t)cap * size <= total;
}

int c4_rtable_check(void *bytes, size_t n, struct c4_rtable *ret)
{
	struct c4_route_header *live = bytes, h;

	if (n < sizeof h || __atomic_load_n(&live->magic, __ATOMIC_ACQUIRE) != C4_ROUTE_MAGIC)
		return -EPROTO;
	memcpy(&h, live, offsetof(struct c4_route_header, heartbeat_ns));
	if (h.version != C4_ROUTE_VERSION || h.header_bytes != sizeof h || h.total_bytes > n ||
	    !array_fits(h.total_bytes, h.peer_off, h.peer_cap, C4_ROUTE_PEERS,
			sizeof(struct c4_route_peer), h.peer_bytes) ||
	    !array_fits(h.total_bytes, h.dest_off, h.dest_cap, C4_ROUTE_DESTS,
			sizeof(struct c4_route_dest), h.dest_bytes))
		return -EPROTO;
	*ret = (struct c4_rtable){
		.hdr = live,
		.peers = (void *)((char *)bytes + h.peer_off),
		.dests = (void *)((char *)bytes + h.dest_off),
		.peer_mask = h.peer_cap - 1,
		.dest_mask = h.dest_cap - 1,
	};
	return 0;
}

bool c4_rtable_live(const struct c4_rtable *t, uint64_t now_ns)
{
	uint64_t beat = __atomic_load_n(&t->hdr->heartbeat_ns, __ATOMIC_ACQUIRE);

	/* another core's beat may be a little ahead of the clock we read before */
	return beat > now_ns ? beat - now_ns <= C4_ROUTE_STALE_NS
			     : now_ns - beat <= C4_ROUTE_STALE_NS;
}

/* ---- peers ---------------------------------------------------------------------------------- */

static struct c4_route_peer load_peer(const struct c4_rtable *t, uint32_t at)
{
	struct c4_route_peer peer;
	c4_word word =
		__atomic_load_n((const c4_word *)(const void *)&t->peers[at], __ATOMIC_ACQUIRE);

	memcpy(&peer, &word, sizeof peer);
	return peer;
}

uint32_t c4_rtable_peer(const struct c4_rtable *t, uint32_t dst)
{
	uint32_t at = c4_route_peer_hash(dst);

	for (uint32_t i = 0; dst && i <= t->peer_mask; i++) {
		struct c4_route_peer peer = load_peer(t, (at + i) & t->peer_mask);

		if (peer.dst == dst)
			return peer.src;
		if (!peer.dst)
			break;
	}
	return 0;
}

bool c4_rtable_local(const struct c4_rtable *t, uint32_t src)
{
	for (uint32_t i = 0; i <= t->peer_mask; i++) {
		struct c4_route_peer peer = load_peer(t, i);

		if (peer.dst && (!src || peer.src == src))
			return true;
	}
	return false;
}

/* ---- destinations --------------------------------------------------------------------------- */

static bool copy_dest(const struct c4_route_dest *d, struct c4_route_dest *ret)
{
	const c4_word *from = (const void *)d;
	c4_word *to = (void *)ret;
	uint32_t gen = __atomic_load_n(&d->gen, __ATOMIC_ACQUIRE);

	if (gen & 1)
		return false;
	for (size_t i = 0; i < sizeof *d / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
	return __atomic_load_n(&d->gen, __ATOMIC_ACQUIRE) == gen;
}

/* A writer that died in the middle leaves gen odd for ever. */
static bool read_dest(const struct c4_route_dest *d, struct c4_route_dest *ret)
{
	for (int i = 0; i < TRIES; i++)
		if (copy_dest(d, ret))
			return true;
	return false;
}

/* What the copy of a destination that was found is good for. */
static int judge(struct c4_route_dest *d, uint64_t now_ns)
{
	if (!d->nslots)
		return d->until_ns > now_ns ? -EAGAIN : -ENOENT;
	if (d->nslots > C4_ROUTE_SLOTS)
		d->nslots = C4_ROUTE_SLOTS;
	for (uint32_t i = 0; i < d->nslots; i++)
		if (d->slot[i].nports > C4_ROUTE_PORTS)
			d->slot[i].nports = C4_ROUTE_PORTS;
	return 0;
}

static bool is_dest(const struct c4_route_dest *d, uint8_t proto, uint32_t dst, uint16_t dport)
{
	return d->dst == dst && d->dport == dport && d->proto == proto;
}

int c4_rtable_dest(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
		   uint64_t now_ns, struct c4_route_dest *ret)
{
	uint32_t from = c4_route_dest_hash(proto, dst, dport);

	for (uint32_t i = 0; dst && i <= t->dest_mask; i++) {
		uint32_t at = (from + i) & t->dest_mask;
		uint32_t there = __atomic_load_n(&t->dests[at].dst, __ATOMIC_ACQUIRE);
		struct c4_route_dest d;
		int rc;

		if (!there)
			break;
		if (there != dst)
			continue;
		if (!read_dest(&t->dests[at], &d))
			return -ENOENT;
		if (!is_dest(&d, proto, dst, dport))
			continue;
		rc = judge(&d, now_ns);
		if (rc)
			return rc;
		*ret = d;
		return (int)at;
	}
	return -ENOENT;
}

/* ---- claims --------------------------------------------------------------------------------- */

static uint64_t *claim_of(const struct c4_rtable *t, int at, int slot)
{
	return &t->dests[(uint32_t)at & t->dest_mask].slot[slot].claim;
}

static uint64_t claim_word(uint64_t connections, uint64_t now_ns)
{
	return now_ns / NS_PER_MS << CLAIM_SHIFT | connections;
}

/* The slot with the fewest connections, and its claim as it was seen. */
static int emptiest(const struct c4_rtable *t, int at, const struct c4_route_dest *d,
		    uint32_t tried, uint64_t *ret_seen)
{
	int best = -ENOENT;

	for (int i = 0; i < d->nslots; i++) {
		uint64_t claim;

		if (tried >> i & 1 || !d->slot[i].nports)
			continue;
		claim = __atomic_load_n(claim_of(t, at, i), __ATOMIC_ACQUIRE);
		if (best >= 0 && (claim & CLAIM_MASK) >= (*ret_seen & CLAIM_MASK))
			continue;
		best = i;
		*ret_seen = claim;
	}
	return best;
}

int c4_rtable_claim(const struct c4_rtable *t, int at, const struct c4_route_dest *d,
		    uint32_t tried, uint64_t now_ns)
{
	uint64_t seen = 0, more;
	int slot = -ENOENT;

	for (int i = 0; i < 1 << TRIES; i++) {
		slot = emptiest(t, at, d, tried, &seen);
		if (slot < 0)
			return slot;
		more = seen & CLAIM_MASK;
		more += more < CLAIM_MASK;
		if (__atomic_compare_exchange_n(claim_of(t, at, slot), &seen,
						claim_word(more, now_ns), false, __ATOMIC_ACQ_REL,
						__ATOMIC_RELAXED))
			break;
	}
	return slot; /* after that many collisions uncounted: the agent will count it */
}

void c4_rtable_unclaim(const struct c4_rtable *t, int at, int slot, uint64_t now_ns)
{
	uint64_t *claim = claim_of(t, at, slot);
	uint64_t seen = __atomic_load_n(claim, __ATOMIC_ACQUIRE);

	for (int i = 0; i < 1 << TRIES && seen & CLAIM_MASK; i++)
		if (__atomic_compare_exchange_n(claim, &seen,
						claim_word((seen & CLAIM_MASK) - 1, now_ns), false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return;
}
