// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/seek.h"

#include <errno.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/log.h"

#define TTL_FIRST   2u /* what answers at 1 is our own leaf */
#define TRIES_MAX   2
#define SKIPPED_MAX 64u /* ports in use passed over in a batch */

static uint64_t where(const struct c4_dest *d)
{
	return c4_hash_u64((uint64_t)d->dst << 16 | d->dport, d->proto);
}

static bool wants_back(const struct c4_pair *pair)
{
	for (uint32_t i = 0; i < pair->nwishes; i++)
		if (pair->wish[i].bwd)
			return true;
	return false;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static bool in_batch(const struct c4_seek *k, uint16_t port)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (k->port[i].port == port)
			return true;
	return false;
}

static struct c4_seek_port *add_port(struct c4_seek *k, uint16_t port)
{
	struct c4_seek_port *p = &k->port[k->n++];

	*p = (struct c4_seek_port){.port = port, .ttl = TTL_FIRST};
	return p;
}

static bool must_look_again(const struct c4_dest *d, const struct c4_portpath *x)
{
	if (!x->slot || x->busy)
		return false;
	return !x->fwd || (wants_back(d->pair) && !x->bwd && !x->bwd_failed);
}

static void add_known(struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->cache.n && d->seek.n < C4_SEEK_BATCH; i++) {
		const struct c4_portpath *x = &d->cache.v[i];

		if (must_look_again(d, x))
			add_port(&d->seek, x->port)->state = x->fwd ? C4_SEEK_ENDED : C4_SEEK_WAITS;
	}
}

/* A port that nothing is known of; 0: the range has been gone through. */
static uint16_t new_port(struct c4_dests *s, struct c4_dest *d)
{
	const struct c4_portrange *r = d->proto == C4_ROUTE_TCP ? &s->tcp : &s->udp;

	for (uint32_t n = 0; n < r->n; n++) {
		uint16_t port = c4_portrange_nth(r, where(d), d->seek.cursor++ % r->n);
		const struct c4_portpath *x = c4_pathcache_find(&d->cache, port);

		if ((!x || (!x->fwd && !x->busy)) && !in_batch(&d->seek, port))
			return port;
	}
	return 0;
}

static void ask_back(struct c4_dests *s, struct c4_dest *d)
{
	uint16_t ports[C4_SEEK_BATCH];
	bool asked;

	if (!wants_back(d->pair))
		return;
	for (uint32_t i = 0; i < d->seek.n; i++)
		ports[i] = d->seek.port[i].port;
	asked = s->ask_back && s->ask_back(s->arg, d, ports, d->seek.n);
	for (uint32_t i = 0; i < d->seek.n; i++) {
		struct c4_portpath *x;

		d->seek.port[i].back_waits = asked;
		x = asked ? NULL : c4_pathcache_at(&d->cache, d->pair, ports[i]);
		if (x)
			x->bwd_failed = true;
	}
}

/*
 * Ports whose way back was not waited for have been tried as well; it may still be told. Those
 * whose probe is on its way stay bound for a while: what is known of them is forgotten.
 */
static void leave_batch(struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->seek.n; i++) {
		const struct c4_seek_port *p = &d->seek.port[i];
		struct c4_portpath *x = c4_pathcache_find(&d->cache, p->port);

		if (!x)
			continue;
		if (p->back_waits)
			c4_pathcache_tried(&d->cache, x);
		if (p->state == C4_SEEK_FLIES)
			x->fwd = x->bwd = 0;
		x->flies = false;
	}
	d->seek.n = 0;
}

void c4_seek_next(struct c4_dests *s, struct c4_dest *d)
{
	leave_batch(d);
	d->seek.batch++;
	d->seek.skipped = 0;
	add_known(d);
	while (d->seek.n < C4_SEEK_BATCH) {
		uint16_t port = new_port(s, d);

		if (!port)
			break;
		add_port(&d->seek, port)->drawn = true;
	}
	s->counts.ports += d->seek.n;
	ask_back(s, d);
}

void c4_seek_start(struct c4_dests *s, struct c4_dest *d)
{
	if (d->seek.on)
		return;
	d->seek.on = true;
	s->nseeking++;
	s->counts.searches++;
	d->seek.n = 0;
	for (uint32_t i = 0; i < d->cache.n; i++)
		d->cache.v[i].bwd_failed = false; /* perhaps somebody can tell by now */
	c4_seek_next(s, d);
}

void c4_seek_stop(struct c4_dests *s, struct c4_dest *d)
{
	leave_batch(d);
	s->nseeking -= d->seek.on;
	d->seek.on = false;
	d->seek.batch++;
}

/* ---- what comes back ------------------------------------------------------------------------ */

bool c4_seek_there_over(const struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->seek.n; i++)
		if (d->seek.port[i].state != C4_SEEK_ENDED)
			return false;
	return true;
}

static bool batch_over(const struct c4_dest *d)
{
	for (uint32_t i = 0; i < d->seek.n; i++)
		if (d->seek.port[i].back_waits)
			return false;
	return c4_seek_there_over(d);
}

static void tell_finding(struct c4_dests *s, const struct c4_dest *d, const struct c4_seek_port *p)
{
	struct c4_finding x = {.flow = {d->src, d->dst, p->port, d->dport, d->proto, p->ttl},
			       .nhops = p->ttl,
			       .drawn = p->drawn,
			       .at_ns = c4_mono_ns()};

	for (uint32_t i = 0; i < C4_HOPS_CHOSEN_MAX && i + TTL_FIRST <= p->ttl; i++)
		x.hop[i + TTL_FIRST - 1] = p->hop[i];
	c4_findings_add(s->findings, &x);
}

/* Both ways are known now, as far as they will be. */
static void port_over(struct c4_dests *s, struct c4_dest *d, struct c4_seek_port *p)
{
	struct c4_portpath *x = c4_pathcache_find(&d->cache, p->port);

	if (p->state != C4_SEEK_ENDED)
		return;
	if (!p->back_waits && x)
		c4_pathcache_tried(&d->cache, x);
	c4_dests_judge(s, d, batch_over(d));
}

static void way_known(struct c4_dests *s, struct c4_dest *d, struct c4_seek_port *p)
{
	uint64_t path = c4_path_pack(p->number, d->pair->chosen);
	struct c4_portpath *x = c4_pathcache_at(&d->cache, d->pair, p->port);

	p->state = C4_SEEK_ENDED;
	if (x) {
		x->flies = false;
		x->fwd = path;
		x->fwd_at = c4_hopmap_stamp(s->hopmap, d->pair->near, path, d->pair->far);
		if (!path)
			x->slot = 0; /* not looked at again and again */
	}
	tell_finding(s, d, p);
	port_over(s, d, p);
}

/* Somebody has it: another one in its place, unless that happened too often. */
static void replace_port(struct c4_dests *s, struct c4_dest *d, struct c4_seek_port *p)
{
	struct c4_portpath *x = c4_pathcache_at(&d->cache, d->pair, p->port);
	uint16_t port = 0;

	if (x)
		x->busy = true;
	if (d->seek.skipped++ < SKIPPED_MAX && !p->back_waits)
		port = new_port(s, d);
	if (port) {
		*p = (struct c4_seek_port){.port = port, .ttl = TTL_FIRST, .drawn = true};
		return;
	}
	p->state = C4_SEEK_ENDED;
	d->cache.tried++;
	port_over(s, d, p);
}

static void on_hop(void *arg, uint64_t tag, const struct c4_hop *hop)
{
	struct c4_dests *s = arg;
	uint16_t index = tag & 0xffff, serial = tag >> 16 & 0xffff, batch = tag >> 32 & 0xffff;
	struct c4_dest *d = index < s->n ? s->dest[index] : NULL;
	struct c4_seek_port *p;

	if (!d || d->serial != serial || d->seek.batch != batch || !d->seek.on || !d->pair)
		return;
	p = &d->seek.port[tag >> 48];
	if (!hop->address && ++p->tries < TRIES_MAX) {
		p->state = C4_SEEK_WAITS;
		return;
	}
	p->tries = 0;
	p->hop[p->ttl - TTL_FIRST] = *hop;
	p->number[p->ttl - TTL_FIRST] = c4_hopmap_at(s->hopmap, hop->address);
	if (p->ttl < d->pair->chosen + TTL_FIRST - 1 && hop->address) {
		p->ttl++;
		p->state = C4_SEEK_WAITS;
	} else {
		way_known(s, d, p);
	}
}

void c4_seek_back(struct c4_dests *s, struct c4_dest *d, uint16_t port, uint64_t path)
{
	struct c4_portpath *x = c4_pathcache_at(&d->cache, d->pair, port);

	if (x) {
		x->bwd = path;
		x->bwd_failed = !path;
		x->bwd_at = c4_hopmap_stamp(s->hopmap, d->pair->far, path, d->pair->near);
	}
	for (uint32_t i = 0; i < d->seek.n; i++) {
		if (d->seek.port[i].port != port || !d->seek.port[i].back_waits)
			continue;
		d->seek.port[i].back_waits = false;
		port_over(s, d, &d->seek.port[i]);
		return;
	}
}

/* ---- sending -------------------------------------------------------------------------------- */

static int send_port(struct c4_dests *s, struct c4_dest *d, uint32_t i)
{
	struct c4_seek_port *p = &d->seek.port[i];
	struct c4_probe probe = {d->src, d->dst, p->port, d->dport, d->proto, p->ttl};
	struct c4_probe_client client = {on_hop, s,
					 (uint64_t)i << 48 | (uint64_t)d->seek.batch << 32 |
						 (uint64_t)d->serial << 16 | d->index};
	int rc = c4_prober_send(s->prober, &probe, &client);

	if (!rc) {
		struct c4_portpath *x = c4_pathcache_at(&d->cache, d->pair, p->port);

		p->state = C4_SEEK_FLIES;
		if (x)
			x->flies = true;
	}
	return rc;
}

bool c4_seek_pump(struct c4_dests *s, struct c4_dest *d)
{
	if (batch_over(d)) { /* there was nothing to send, and nothing will come */
		c4_dests_judge(s, d, true);
		return true;
	}
	for (uint32_t i = 0; d->seek.on && i < d->seek.n; i++) {
		int rc = 0;

		while (d->seek.on && i < d->seek.n && d->seek.port[i].state == C4_SEEK_WAITS) {
			rc = send_port(s, d, i);
			if (rc == -EADDRINUSE)
				replace_port(s, d, &d->seek.port[i]);
			else
				break;
		}
		if (rc == -EAGAIN)
			return false;
		if (rc && rc != -EADDRINUSE && d->seek.port[i].state == C4_SEEK_WAITS) {
			c4_debug("probe: %s", strerror(-rc));
			way_known(s, d, &d->seek.port[i]);
		}
	}
	return true;
}
