// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/dests.h"

#include <stdlib.h>
#include <string.h>

#include "agent/daemon/routes/seek.h"
#include "common/base/clock.h"
#include "common/log.h"

#define PORTS_MIN     2u /* free ones of each slot */
#define TRIED_MAX     512u
#define TRIED_EXACT   256u	  /* then ports that fit half are enough */
#define IMPATIENCE_NS 10000000ull /* who waits so long takes what there is */

void c4_dests_init(struct c4_dests *s)
{
	s->tcp = c4_portrange_of(C4_ROUTE_TCP);
	s->udp = c4_portrange_of(C4_ROUTE_UDP);
}

static uint64_t key_of(uint8_t proto, uint32_t dst, uint16_t dport)
{
	return (uint64_t)proto << 48 | (uint64_t)dst << 16 | dport;
}

static void free_dest(struct c4_dests *s, struct c4_dest *d)
{
	if (!d)
		return;
	c4_seek_stop(s, d);
	s->dest[d->index] = NULL;
	c4_map_del(&s->by_key, key_of(d->proto, d->dst, d->dport));
	c4_pathcache_release(&d->cache);
	free(d);
}

void c4_dests_release(struct c4_dests *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free_dest(s, s->dest[i]);
	s->n = 0;
	c4_map_release(&s->by_key);
}

struct c4_dest *c4_dests_find(const struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport)
{
	return c4_map_get(&s->by_key, key_of(proto, dst, dport));
}

/* ---- the table ------------------------------------------------------------------------------ */

static bool holds(const uint16_t *ports, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* Whether the slot's path is another one than told, or a port that was told takes another one. */
static bool slot_moved(const struct c4_dest *d, uint32_t i)
{
	const struct c4_slot_fill *told = &d->told.slot[i];
	const struct c4_wish *w = &d->pair->wish[i];

	if (i >= d->told.nslots || !told->nports)
		return false;
	if (d->told_fwd[i] != w->fwd || d->told_bwd[i] != w->bwd)
		return true;
	for (uint32_t k = 0; k < told->nports; k++) {
		const struct c4_portpath *x = c4_pathcache_find(&d->cache, told->port[k]);

		if (x && x->fwd && c4_slot_fit(w, x) == C4_FIT_NONE)
			return true;
	}
	return false;
}

/* A port in use keeps its slot: its connection is counted there. */
static void mark_slots(struct c4_dest *d, const struct c4_fill *fill)
{
	for (uint32_t i = 0; i < d->cache.n; i++) {
		struct c4_portpath *x = &d->cache.v[i];

		if (!x->busy)
			x->slot = 0;
		for (uint32_t k = 0; k < fill->nslots; k++)
			if (holds(fill->slot[k].port, fill->slot[k].nports, x->port))
				x->slot = (uint8_t)(k + 1);
	}
}

static bool same_ports(const struct c4_fill *a, const struct c4_fill *b)
{
	if (a->nslots != b->nslots)
		return false;
	for (uint32_t i = 0; i < a->nslots; i++)
		if (a->slot[i].nports != b->slot[i].nports ||
		    memcmp(a->slot[i].port, b->slot[i].port, sizeof a->slot[i].port) != 0)
			return false;
	return true;
}

static void publish(struct c4_dests *s, struct c4_dest *d, const struct c4_fill *fill)
{
	uint32_t moved = 0;
	bool waited;

	for (uint32_t i = 0; i < fill->nslots; i++)
		if (fill->slot[i].nports && slot_moved(d, i))
			moved |= 1u << i;
	waited = d->urgent;
	d->urgent = false;
	if (!moved && same_ports(fill, &d->told)) {
		if (waited)
			c4_plantable_wake(s->table); /* there is no more to wait for */
		return;
	}
	c4_plantable_fill(d->place, fill, d->src, moved);
	c4_plantable_wake(s->table);
	mark_slots(d, fill);
	for (uint32_t i = 0; i < fill->nslots; i++) {
		if (!fill->slot[i].nports && i < d->told.nslots && d->told.slot[i].nports)
			continue; /* when there are ports, its queue pairs have to move */
		d->told_fwd[i] = d->pair->wish[i].fwd;
		d->told_bwd[i] = d->pair->wish[i].bwd;
	}
	d->told = *fill;
	s->counts.fills++;
}

static void deny(struct c4_dests *s, struct c4_dest *d, uint64_t now_ns)
{
	c4_plantable_give_up(d->place, now_ns + C4_DESTS_DENY_NS);
	c4_plantable_wake(s->table);
	d->told = (struct c4_fill){0};
	d->urgent = false;
}

/* ---- the search ----------------------------------------------------------------------------- */

static bool any_port(const struct c4_fill *fill)
{
	for (uint32_t i = 0; i < fill->nslots; i++)
		if (fill->slot[i].nports)
			return true;
	return false;
}

static void finish(struct c4_dests *s, struct c4_dest *d, const struct c4_fill *fill, bool all)
{
	uint64_t now_ns = c4_mono_ns();

	c4_seek_stop(s, d);
	d->retry_ns = all ? 0 : now_ns + C4_DESTS_RETRY_NS;
	d->half_is_enough = !all && fill->least >= d->wanted;
	for (uint32_t i = 0; i < fill->nslots; i++)
		s->counts.unreachable += !fill->slot[i].nports;
	if (any_port(fill))
		publish(s, d, fill);
	else
		deny(s, d, now_ns);
}

/* Nothing better is to be expected. */
static bool hopeless(const struct c4_dest *d, const struct c4_fill *fill)
{
	if (c4_pathcache_exhausted(&d->cache) || d->cache.tried >= TRIED_MAX || !d->seek.n)
		return true;
	return fill->least >= PORTS_MIN && d->cache.tried >= TRIED_EXACT;
}

/* A slot has no port because the way there was not found: other ports may have it. Where only the
 * way back is planned there is nothing to do but to wait for what the other end says. */
static bool lacks_way_there(const struct c4_dest *d, const struct c4_fill *fill)
{
	for (uint32_t i = 0; i < fill->nslots; i++)
		if (!fill->slot[i].nports && d->pair->wish[i].fwd)
			return true;
	return false;
}

void c4_dests_judge(struct c4_dests *s, struct c4_dest *d, bool batch_over)
{
	struct c4_fill fill;

	if (!d->seek.on)
		return;
	c4_slots_fill(d->pair, &d->cache, &fill);
	/* ways back are not waited for while there is not even a way there */
	batch_over |= lacks_way_there(d, &fill) && c4_seek_there_over(d);
	if (fill.least_exact >= d->wanted) {
		finish(s, d, &fill, true);
	} else if (batch_over && hopeless(d, &fill)) {
		finish(s, d, &fill, false);
	} else {
		if (d->urgent && (fill.least_exact ||
				  (fill.least && c4_mono_ns() - d->asked_ns >= IMPATIENCE_NS)))
			publish(s, d, &fill);
		if (batch_over)
			c4_seek_next(s, d);
	}
}

/* What is known may be enough; else the search begins (it ends by itself). */
static void look(struct c4_dests *s, struct c4_dest *d, uint64_t now_ns)
{
	struct c4_fill fill;

	c4_slots_fill(d->pair, &d->cache, &fill);
	if (any_port(&fill) && (fill.least || !d->told.nslots))
		publish(s, d, &fill);
	if (fill.least_exact < d->wanted && now_ns >= d->retry_ns &&
	    !(d->half_is_enough && fill.least >= d->wanted))
		c4_seek_start(s, d);
}

void c4_dests_back(struct c4_dests *s, uint16_t index, uint16_t serial, uint16_t port,
		   uint64_t path)
{
	struct c4_dest *d = index < s->n ? s->dest[index] : NULL;

	if (d && d->serial == serial && d->pair)
		c4_seek_back(s, d, port, path);
}

/* Those somebody waits for first; among them everybody is first once in a while. */
void c4_dests_pump(struct c4_dests *s, uint64_t now_ns)
{
	if (!s->nseeking)
		return;
	s->turn++;
	for (int urgent = 1; urgent >= 0; urgent--) {
		for (uint32_t k = 0; k < s->n; k++) {
			struct c4_dest *d = s->dest[(s->turn + k) % s->n];

			if (!d || !d->seek.on || d->urgent != urgent)
				continue;
			if (urgent && now_ns - d->asked_ns >= IMPATIENCE_NS)
				c4_dests_judge(s, d, false);
			if (d->seek.on && !c4_seek_pump(s, d))
				return;
		}
	}
}

static const struct c4_pair *pair_of(const struct c4_dests *s, uint8_t proto, uint32_t dst)
{
	return proto == C4_ROUTE_UDP ? c4_pairs_oneway(s->pairs, dst) : c4_pairs_to(s->pairs, dst);
}

/* ---- coming and going ----------------------------------------------------------------------- */

static bool in_use(const struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->told.nslots; i++)
		if (c4_plantable_claimed(&d->place->slot[i]))
			return true;
	for (uint32_t i = 0; i < d->cache.n; i++)
		if (d->cache.v[i].busy && d->cache.v[i].slot)
			return true;
	return false;
}

static bool is_idle(const struct c4_dest *d, uint64_t now_ns)
{
	return now_ns - d->used_ns >= C4_DESTS_KEEP_NS && !in_use(d);
}

static void evict(struct c4_dests *s, struct c4_dest *d)
{
	c4_plantable_remove(s->table, d->place);
	free_dest(s, d);
	s->counts.evicted++;
}

/* Many at a time: what is removed alone leaves marks in the table. */
static void evict_idle(struct c4_dests *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->dest[i] && is_idle(s->dest[i], now_ns))
			evict(s, s->dest[i]);
}

static int free_index(const struct c4_dests *s)
{
	for (uint32_t i = 0; i < C4_DESTS_MAX; i++)
		if (!s->dest[i])
			return (int)i;
	return -1;
}

static struct c4_dest *add(struct c4_dests *s, uint8_t proto, const struct c4_pair *pair,
			   uint16_t dport)
{
	int index = free_index(s);
	struct c4_dest *d = index < 0 ? NULL : calloc(1, sizeof *d);

	if (!d)
		return NULL;
	if (c4_map_put(&s->by_key, key_of(proto, pair->dst, dport), d)) {
		free(d);
		return NULL;
	}
	d->place = c4_plantable_add(s->table, proto, pair->dst, dport, pair->src, 0);
	if (!d->place) {
		c4_map_del(&s->by_key, key_of(proto, pair->dst, dport));
		free(d);
		return NULL;
	}
	d->src = pair->src;
	d->dst = pair->dst;
	d->dport = dport;
	d->proto = proto;
	d->index = (uint16_t)index;
	d->serial = s->serial++;
	d->pair = pair;
	d->wanted = PORTS_MIN;
	s->dest[index] = d;
	if ((uint32_t)index >= s->n)
		s->n = (uint32_t)index + 1;
	return d;
}

/* Somebody tried them all. The next look at the kernel's list says which of them really are. */
static void take_told_ports(struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->told.nslots; i++) {
		for (uint32_t k = 0; k < d->told.slot[i].nports; k++) {
			struct c4_portpath *x =
				c4_pathcache_find(&d->cache, d->told.slot[i].port[k]);

			if (x)
				x->busy = true;
		}
	}
}

static void ask_again(struct c4_dests *s, struct c4_dest *d, bool taken, uint64_t now_ns)
{
	if (!d->pair)
		return;
	if (taken) {
		d->wanted = C4_ROUTE_PORTS; /* from now on more are kept */
		take_told_ports(d);
	}
	d->urgent = true;
	d->asked_ns = d->used_ns = now_ns;
	if (now_ns >= d->place->until_ns)
		d->retry_ns = 0;
	look(s, d, now_ns);
}

/* A destination that is not there yet. NULL: nobody planned it, or there is no room. */
static struct c4_dest *make(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport,
			    uint64_t now_ns)
{
	const struct c4_pair *pair = pair_of(s, proto, dst);
	struct c4_dest *d;

	if (pair && s->table->ndests >= C4_DESTS_MAX)
		evict_idle(s, now_ns);
	d = pair ? add(s, proto, pair, dport) : NULL;
	if (d)
		d->asked_ns = d->used_ns = now_ns;
	return d;
}

void c4_dests_ask(struct c4_dests *s, const struct c4_route_ask *ask, uint64_t now_ns)
{
	struct c4_dest *d = c4_dests_find(s, ask->proto, ask->dst, ask->dport);

	s->counts.asks++;
	if (d) {
		ask_again(s, d, ask->taken, now_ns);
		return;
	}
	d = make(s, ask->proto, ask->dst, ask->dport, now_ns);
	if (!d) {
		s->counts.refused++;
		return;
	}
	d->urgent = true;
	c4_seek_start(s, d);
}

void c4_dests_want(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport, uint64_t now_ns)
{
	struct c4_dest *d = c4_dests_find(s, proto, dst, dport);

	if (!d) {
		d = make(s, proto, dst, dport, now_ns);
		if (d)
			c4_seek_start(s, d);
	} else if (d->pair && !d->told.nslots && !d->seek.on && now_ns >= d->place->until_ns) {
		d->used_ns = now_ns;
		d->retry_ns = 0;
		look(s, d, now_ns);
	}
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool other_wishes(const struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->pair->nwishes; i++)
		if (i >= d->told.nslots || d->told_fwd[i] != d->pair->wish[i].fwd ||
		    d->told_bwd[i] != d->pair->wish[i].bwd)
			return true;
	return false;
}

static void restart(struct c4_dests *s, struct c4_dest *d, bool all, uint64_t now_ns)
{
	uint32_t n = c4_pathcache_expire(&d->cache, s->hopmap, d->pair, all);

	s->counts.expired += n;
	s->relearn |= n != 0;
	c4_seek_stop(s, d);
	if (n && is_idle(d, now_ns)) {
		evict(s, d); /* to be probed when somebody asks for it again */
		return;
	}
	if (n || all || other_wishes(d)) {
		d->retry_ns = 0;
		d->half_is_enough = false;
	}
	look(s, d, now_ns);
}

static void replan_one(struct c4_dests *s, struct c4_dest *d, uint64_t now_ns)
{
	const struct c4_pair *pair = pair_of(s, d->proto, d->dst);
	bool other_source = pair && pair->src != d->src;

	d->pair = pair;
	if (!pair) {
		c4_seek_stop(s, d);
		deny(s, d, now_ns);
		return;
	}
	d->src = pair->src;
	restart(s, d, other_source, now_ns);
}

void c4_dests_replan(struct c4_dests *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->dest[i])
			replan_one(s, s->dest[i], now_ns);
}

void c4_dests_distrust(struct c4_dests *s, uint32_t src, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->dest[i] && s->dest[i]->pair && s->dest[i]->src == src)
			restart(s, s->dest[i], true, now_ns);
}

/* ---- ports in use --------------------------------------------------------------------------- */

void c4_dests_count_begin(struct c4_dests *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_dest *d = s->dest[i];

		if (!d)
			continue;
		memset(d->seen, 0, sizeof d->seen);
		for (uint32_t k = 0; k < d->cache.n; k++)
			d->cache.v[k].busy = false;
	}
}

uint32_t c4_dests_count(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport,
			uint16_t sport, bool *reversed)
{
	struct c4_dest *d = c4_dests_find(s, proto, dst, dport);
	struct c4_portpath *x = d ? c4_pathcache_find(&d->cache, sport) : NULL;
	const struct c4_wish *w;

	if (!x)
		return 0;
	x->busy = true;
	if (!x->slot || !d->pair || x->slot > d->pair->nwishes)
		return 0;
	d->seen[x->slot - 1]++;
	w = &d->pair->wish[x->slot - 1];
	*reversed = !w->fwd_route;
	return w->fwd_route ? w->fwd_route : w->bwd_route;
}

void c4_dests_claimed(struct c4_dests *s, uint32_t dst, uint8_t slot)
{
	struct c4_dest *d = c4_dests_find(s, C4_ROUTE_UDP, dst, C4_ROUTE_RDMA_PORT);

	if (d && slot < C4_ROUTE_SLOTS)
		d->seen[slot]++;
}

uint32_t c4_dests_route(const struct c4_dests *s, uint32_t dst, uint16_t sport)
{
	const struct c4_dest *d = c4_dests_find(s, C4_ROUTE_UDP, dst, C4_ROUTE_RDMA_PORT);
	const struct c4_portpath *x = d ? c4_pathcache_find(&d->cache, sport) : NULL;

	if (!x || !x->slot || !d->pair || x->slot > d->pair->nwishes)
		return 0;
	return d->pair->wish[x->slot - 1].fwd_route;
}

void c4_dests_bound(struct c4_dests *s, uint8_t proto, uint32_t dst, uint16_t dport, uint16_t sport)
{
	struct c4_dest *d = c4_dests_find(s, proto, dst, dport);
	struct c4_portpath *x = d ? c4_pathcache_find(&d->cache, sport) : NULL;

	if (x)
		x->busy = true;
}

void c4_dests_count_end(struct c4_dests *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_dest *d = s->dest[i];

		if (!d)
			continue;
		for (uint32_t k = 0; k < d->told.nslots; k++)
			s->counts.corrected +=
				c4_plantable_correct(&d->place->slot[k], d->seen[k], now_ns);
	}
}

void c4_dests_review(struct c4_dests *s, uint64_t now_ns)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct c4_dest *d = s->dest[i];

		if (!d || !d->pair || d->seek.on)
			continue;
		if (in_use(d))
			d->used_ns = now_ns;
		if (d->told.nslots)
			look(s, d, now_ns);
	}
}
