// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "c4/route.h"
#include "route.pb-c.h"

#define ARENA_BYTES ((size_t)64 << 20) /* for the message, and as much for the plan */

/* The message lives in an arena: a small message that unpacks into a huge one finds its end. */
static void *arena_alloc(void *arena, size_t n)
{
	return c4_arena_alloc(arena, n ? n : 1);
}

static void arena_free(void *arena, void *data)
{
	(void)arena, (void)data;
}

/* NULL with *rc set when out of memory; never NULL for none. */
static void *room_for(struct c4_plan *p, size_t n, size_t item, int *rc)
{
	void *room = c4_arena_alloc(&p->arena, n ? n * item : 1);

	if (!room)
		*rc = -ENOMEM;
	else
		memset(room, 0, n * item);
	return room;
}

static const char *copy_text(struct c4_plan *p, const char *text, int *rc)
{
	size_t n = strlen(text) + 1;
	char *copy;

	if (n > C4_PLAN_NAME_BYTES) {
		*rc = -E2BIG;
		return NULL;
	}
	copy = room_for(p, n, 1, rc);
	if (copy)
		memcpy(copy, text, n);
	return copy;
}

static int take_switch(struct c4_plan *p, struct c4_plan_switch *s, const C4__V1__Switch *m)
{
	uint32_t *addresses;
	int rc = 0;

	s->name = copy_text(p, m->name, &rc);
	if (rc)
		return rc;
	addresses = room_for(p, m->n_addresses, sizeof *addresses, &rc);
	if (rc)
		return rc;
	if (m->n_addresses)
		memcpy(addresses, m->addresses, m->n_addresses * sizeof *addresses);
	s->addresses = addresses;
	s->naddresses = (uint32_t)m->n_addresses;
	s->epoch = m->epoch;
	return 0;
}

static int take_switches(struct c4_plan *p, const C4__V1__RouteAnswer *m)
{
	size_t addresses = 0;
	int rc = 0;

	if (m->n_switches > C4_PLAN_SWITCHES_MAX)
		return -E2BIG;
	p->switches = room_for(p, m->n_switches, sizeof *p->switches, &rc);
	for (size_t i = 0; !rc && i < m->n_switches; i++) {
		addresses += m->switches[i]->n_addresses;
		if (addresses > C4_PLAN_ADDRESSES_MAX)
			return -E2BIG;
		rc = take_switch(p, &p->switches[p->nswitches++], m->switches[i]);
	}
	return rc;
}

static int take_route(struct c4_plan *p, struct c4_plan_route *r, const C4__V1__Route *m)
{
	int rc = 0;

	for (size_t i = 0; i < m->n_path; i++)
		if (m->path[i] >= p->nswitches)
			return -EBADMSG;
	r->id = copy_text(p, m->id, &rc);
	r->qp = m->qp;
	r->src = m->src;
	r->dst = m->dst;
	if (m->n_path > C4_PLAN_PATH_MAX) {
		p->too_long++;
		return rc;
	}
	r->npath = (uint32_t)m->n_path;
	if (m->n_path)
		memcpy(r->path, m->path, m->n_path * sizeof r->path[0]);
	return rc;
}

static int take_routes(struct c4_plan *p, const C4__V1__RouteAnswer *m)
{
	int rc = 0;

	if (m->n_routes > C4_PLAN_ROUTES_MAX)
		return -E2BIG;
	p->routes = room_for(p, m->n_routes, sizeof *p->routes, &rc);
	for (size_t i = 0; !rc && i < m->n_routes; i++)
		rc = take_route(p, &p->routes[p->nroutes++], m->routes[i]);
	return rc;
}

static int by_address(const void *a, const void *b)
{
	uint32_t x = ((const struct c4_plan_peer *)a)->address;
	uint32_t y = ((const struct c4_plan_peer *)b)->address;

	return x < y ? -1 : x > y;
}

static int take_peers(struct c4_plan *p, const C4__V1__RouteAnswer *m)
{
	size_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < m->n_peers && n <= C4_PLAN_PEERS_MAX; i++)
		n += m->peers[i]->n_addresses;
	if (n > C4_PLAN_PEERS_MAX)
		return -E2BIG;
	p->peers = room_for(p, n, sizeof *p->peers, &rc);
	if (rc)
		return rc;
	for (size_t i = 0; i < m->n_peers; i++) {
		const C4__V1__Peer *peer = m->peers[i];

		if (peer->helper_port > UINT16_MAX)
			return -EBADMSG;
		for (size_t k = 0; k < peer->n_addresses; k++)
			p->peers[p->npeers++] = (struct c4_plan_peer){
				peer->addresses[k], peer->agent, (uint16_t)peer->helper_port};
	}
	qsort(p->peers, p->npeers, sizeof *p->peers, by_address);
	return 0;
}

/* Those beyond the limit have their turn when the planner has had enough of the others. */
static int take_watches(struct c4_plan *p, const C4__V1__RouteAnswer *m)
{
	int rc = 0;

	p->watches = room_for(p, C4_PLAN_WATCHES_MAX, sizeof *p->watches, &rc);
	for (size_t i = 0; !rc && i < m->n_watches && p->nwatches < C4_PLAN_WATCHES_MAX; i++) {
		const C4__V1__Watch *w = m->watches[i];

		if (w->sport > UINT16_MAX || w->dport > UINT16_MAX ||
		    (w->proto != C4_ROUTE_TCP && w->proto != C4_ROUTE_UDP))
			return -EBADMSG;
		p->watches[p->nwatches++] = (struct c4_plan_watch){
			w->src, w->dst, (uint16_t)w->sport, (uint16_t)w->dport, (uint8_t)w->proto};
	}
	return rc;
}

static int take_answer(struct c4_plan *p, const C4__V1__RouteAnswer *m)
{
	size_t n = strlen(m->plan_instance);
	int rc;

	if (n >= sizeof p->instance)
		return -E2BIG;
	memcpy(p->instance, m->plan_instance, n);
	p->version = m->plan_version;
	p->unchanged = m->unchanged;
	p->standing = m->standing;
	p->interval_ms = m->interval_ms;
	rc = take_switches(p, m);
	if (!rc)
		rc = take_routes(p, m);
	if (!rc)
		rc = take_peers(p, m);
	return rc ? rc : take_watches(p, m);
}

int c4_plan_decode(const void *data, size_t n, struct c4_plan **ret)
{
	struct c4_arena arena;
	ProtobufCAllocator allocator = {arena_alloc, arena_free, &arena};
	C4__V1__RouteAnswer *m;
	struct c4_plan *p;
	int rc = -EBADMSG;

	if (n > C4_PLAN_BYTES_MAX)
		return -E2BIG;
	p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	c4_arena_init(&p->arena, ARENA_BYTES);
	c4_arena_init(&arena, ARENA_BYTES);
	m = c4__v1__route_answer__unpack(&allocator, n, data);
	if (m)
		rc = take_answer(p, m);
	c4_arena_release(&arena);
	if (rc) {
		c4_plan_free(p);
		return rc;
	}
	*ret = p;
	return 0;
}

void c4_plan_free(struct c4_plan *p)
{
	if (!p)
		return;
	c4_arena_release(&p->arena);
	free(p);
}

const struct c4_plan_peer *c4_plan_peer(const struct c4_plan *p, uint32_t address)
{
	struct c4_plan_peer key = {.address = address};

	if (!p || !p->npeers)
		return NULL;
	return bsearch(&key, p->peers, p->npeers, sizeof key, by_address);
}
