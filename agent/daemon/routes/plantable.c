// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/plantable.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fence.h"

#define PEER_OFF     (uint32_t)sizeof(struct c4_route_header)
#define DEST_OFF     (PEER_OFF + C4_ROUTE_PEERS * (uint32_t)sizeof(struct c4_route_peer))
#define TOTAL_BYTES  (DEST_OFF + (size_t)C4_ROUTE_DESTS * sizeof(struct c4_route_dest))
#define CLAIM_SHIFT  16
#define DESTS_FILLED (C4_ROUTE_DESTS / 4 * 3) /* places, marks among them */

static_assert(PEER_OFF % 64 == 0 && DEST_OFF % 64 == 0, "lines");

/* ---- the file ------------------------------------------------------------------------------- */

/* Fully allocated: a full file system is an error here, not a signal in a training process. */
static void *map_new(const char *path, int *rc)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	void *base = MAP_FAILED;

	if (fd < 0) {
		*rc = -errno;
		return NULL;
	}
	*rc = -posix_fallocate(fd, 0, (off_t)TOTAL_BYTES);
	if (!*rc) {
		base = mmap(NULL, TOTAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		*rc = base == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	if (!*rc)
		return base;
	unlink(path);
	return NULL;
}

static void write_header(struct c4_plantable *t, uint64_t instance, uint32_t wait_us)
{
	struct c4_route_header *h = t->hdr;

	h->version = C4_ROUTE_VERSION;
	h->header_bytes = sizeof *h;
	h->total_bytes = TOTAL_BYTES;
	h->peer_off = PEER_OFF;
	h->peer_cap = C4_ROUTE_PEERS;
	h->peer_bytes = sizeof *t->peers;
	h->dest_off = DEST_OFF;
	h->dest_cap = C4_ROUTE_DESTS;
	h->dest_bytes = sizeof *t->dests;
	h->instance = instance;
	h->wait_us = wait_us;
	h->pid = (uint32_t)getpid();
	c4_plantable_beat(t, c4_mono_ns());
	__atomic_store_n(&h->magic, C4_ROUTE_MAGIC, __ATOMIC_RELEASE);
}

int c4_plantable_open(struct c4_plantable *t, const char *dir, const char *node, uint64_t instance,
		      uint32_t wait_us)
{
	char making[PATH_MAX];
	int rc, n;

	*t = (struct c4_plantable){0};
	n = snprintf(t->path, sizeof t->path, "%s/" C4_ROUTE_TABLE, dir, node);
	if (n < 0 || (size_t)n + sizeof ".new" > sizeof making)
		return -ENAMETOOLONG;
	snprintf(making, sizeof making, "%.*s.new", (int)sizeof making - 5, t->path);
	unlink(making); /* of an agent that died here; the node's lock is ours */
	t->hdr = map_new(making, &rc);
	if (!t->hdr)
		return rc;
	t->peers = (void *)((char *)t->hdr + PEER_OFF);
	t->dests = (void *)((char *)t->hdr + DEST_OFF);
	write_header(t, instance, wait_us);
	if (!rename(making, t->path))
		return 0;
	rc = -errno;
	munmap(t->hdr, TOTAL_BYTES);
	t->hdr = NULL;
	unlink(making);
	return rc;
}

/* Whether the file of that name is the one we made: another agent may have taken over. */
static bool is_ours(const struct c4_plantable *t)
{
	struct c4_route_header head;
	int fd = open(t->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = pread(fd, &head, sizeof head, 0);
	close(fd);
	return n == sizeof head && head.instance == t->hdr->instance;
}

void c4_plantable_close(struct c4_plantable *t)
{
	if (!t->hdr)
		return;
	__atomic_store_n(&t->hdr->heartbeat_ns, 0, __ATOMIC_RELEASE);
	c4_plantable_wake(t);
	if (is_ours(t))
		unlink(t->path);
	munmap(t->hdr, TOTAL_BYTES);
	t->hdr = NULL;
}

void c4_plantable_beat(struct c4_plantable *t, uint64_t now_ns)
{
	__atomic_store_n(&t->hdr->heartbeat_ns, now_ns, __ATOMIC_RELEASE);
}

void c4_plantable_wake(struct c4_plantable *t)
{
	__atomic_fetch_add(&t->hdr->generation, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &t->hdr->generation, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- peers ---------------------------------------------------------------------------------- */

/* Both words at once, so that no reader sees half a peer. */
static void store_peer(struct c4_plantable *t, uint32_t at, struct c4_route_peer peer)
{
	uint64_t word;

	memcpy(&word, &peer, sizeof word);
	__atomic_store_n((uint64_t *)(void *)&t->peers[at], word, __ATOMIC_RELEASE);
}

/* Its place, or the free one where it would be. */
static uint32_t find_peer(const struct c4_plantable *t, uint32_t dst)
{
	uint32_t at = c4_route_peer_hash(dst) % C4_ROUTE_PEERS;

	while (t->peers[at].dst && t->peers[at].dst != dst)
		at = (at + 1) % C4_ROUTE_PEERS;
	return at;
}

/* Later ones of the same run close up; who searches meanwhile may miss one, and goes unplanned. */
static void remove_peer(struct c4_plantable *t, uint32_t at)
{
	uint32_t hole = at;

	for (uint32_t k = (at + 1) % C4_ROUTE_PEERS; t->peers[k].dst;
	     k = (k + 1) % C4_ROUTE_PEERS) {
		uint32_t home = c4_route_peer_hash(t->peers[k].dst) % C4_ROUTE_PEERS;

		if ((k - home) % C4_ROUTE_PEERS < (k - hole) % C4_ROUTE_PEERS)
			continue;
		store_peer(t, hole, t->peers[k]);
		hole = k;
	}
	store_peer(t, hole, (struct c4_route_peer){0, 0});
	t->npeers--;
}

static void remove_old_peers(struct c4_plantable *t, const struct c4_pairs *pairs)
{
	for (uint32_t i = 0; i < C4_ROUTE_PEERS;) {
		if (t->peers[i].dst && !c4_pairs_to(pairs, t->peers[i].dst))
			remove_peer(t, i); /* another one may have come to this place */
		else
			i++;
	}
}

void c4_plantable_set_peers(struct c4_plantable *t, const struct c4_pairs *pairs, uint64_t version)
{
	/* around the end of the table one may move before the place we are at */
	remove_old_peers(t, pairs);
	remove_old_peers(t, pairs);
	for (uint32_t i = 0; i < pairs->n; i++) {
		const struct c4_pair *p = &pairs->v[i];
		uint32_t at = find_peer(t, p->dst);

		t->npeers += !t->peers[at].dst;
		if (t->peers[at].dst != p->dst || t->peers[at].src != p->src)
			store_peer(t, at, (struct c4_route_peer){p->dst, p->src});
	}
	__atomic_store_n(&t->hdr->plan_version, version, __ATOMIC_RELEASE);
}

/* ---- destinations --------------------------------------------------------------------------- */

/* A reader copies and looks at gen before and after: odd while we write. */
static void begin(struct c4_route_dest *d)
{
	__atomic_store_n(&d->gen, d->gen + 1, __ATOMIC_RELAXED);
	c4_fence_release();
}

static void end(struct c4_route_dest *d)
{
	__atomic_store_n(&d->gen, d->gen + 1, __ATOMIC_RELEASE);
}

/* The first place that may be taken: searches for it end at the first empty one. */
static struct c4_route_dest *place_for(struct c4_plantable *t, uint8_t proto, uint32_t dst,
				       uint16_t dport)
{
	uint32_t at = c4_route_dest_hash(proto, dst, dport) % C4_ROUTE_DESTS;

	for (uint32_t n = 0; n < C4_ROUTE_DESTS; n++, at = (at + 1) % C4_ROUTE_DESTS)
		if (!t->dests[at].dst || t->dests[at].dst == C4_PLANTABLE_REMOVED)
			break;
	if (!t->dests[at].dst && t->ndests + t->nmarks >= DESTS_FILLED)
		return NULL;
	return &t->dests[at];
}

struct c4_route_dest *c4_plantable_add(struct c4_plantable *t, uint8_t proto, uint32_t dst,
				       uint16_t dport, uint32_t src, uint64_t until_ns)
{
	struct c4_route_dest *d;

	if (t->ndests >= C4_ROUTE_DESTS / 2)
		return NULL;
	d = place_for(t, proto, dst, dport);
	if (!d)
		return NULL;
	t->nmarks -= d->dst == C4_PLANTABLE_REMOVED;
	begin(d);
	d->src = src;
	d->dport = dport;
	d->proto = proto;
	d->nslots = 0;
	d->until_ns = until_ns;
	memset(d->slot, 0, sizeof d->slot);
	__atomic_store_n(&d->dst, dst, __ATOMIC_RELEASE);
	end(d);
	t->ndests++;
	return d;
}

void c4_plantable_remove(struct c4_plantable *t, struct c4_route_dest *d)
{
	uint32_t at = (uint32_t)(d - t->dests);

	begin(d);
	d->nslots = 0;
	__atomic_store_n(&d->dst, C4_PLANTABLE_REMOVED, __ATOMIC_RELEASE);
	end(d);
	t->ndests--;
	t->nmarks++;
	/* marks right before an empty place are of no use to searches */
	if (t->dests[(at + 1) % C4_ROUTE_DESTS].dst)
		return;
	for (; t->dests[at].dst == C4_PLANTABLE_REMOVED;
	     at = (at + C4_ROUTE_DESTS - 1) % C4_ROUTE_DESTS, t->nmarks--)
		__atomic_store_n(&t->dests[at].dst, 0, __ATOMIC_RELEASE);
}

void c4_plantable_fill(struct c4_route_dest *d, const struct c4_fill *fill, uint32_t src,
		       uint32_t moved)
{
	begin(d);
	d->src = src;
	d->until_ns = 0;
	for (uint32_t i = 0; i < fill->nslots; i++) {
		struct c4_route_slot *s = &d->slot[i];

		memcpy(s->port, fill->slot[i].port, sizeof s->port);
		s->nports = fill->slot[i].nports;
		s->moved += moved >> i & 1;
	}
	d->nslots = fill->nslots;
	end(d);
}

void c4_plantable_give_up(struct c4_route_dest *d, uint64_t until_ns)
{
	begin(d);
	d->nslots = 0;
	d->until_ns = until_ns;
	end(d);
}

bool c4_plantable_correct(struct c4_route_slot *s, uint32_t seen, uint64_t now_ns)
{
	uint64_t claim = __atomic_load_n(&s->claim, __ATOMIC_ACQUIRE), now_ms = now_ns / 1000000u;

	if (seen > 0xffff)
		seen = 0xffff;
	if ((claim & 0xffff) == seen)
		return false;
	/* an instant that is still to come is none that a process wrote */
	if (claim >> CLAIM_SHIFT <= now_ms && now_ms - (claim >> CLAIM_SHIFT) < C4_ROUTE_SETTLE_MS)
		return false;
	return __atomic_compare_exchange_n(&s->claim, &claim, now_ms << CLAIM_SHIFT | seen, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}
