// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

/* A usable route, seen from here. */
struct leg {
	uint32_t peer, local;
	bool back;
	uint32_t route; /* place in the plan */
	const char *id;
	uint32_t qp;
	uint64_t path;
};

static bool is_ours(uint32_t address, const uint32_t *ours, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (ours[i] == address)
			return true;
	return false;
}

static uint16_t number_at(const struct c4_plan *p, const struct c4_hopmap *m,
			  const struct c4_plan_route *r, uint32_t i)
{
	return c4_hopmap_named(m, p->switches[r->path[i]].name);
}

static uint64_t path_of(const struct c4_plan *p, const struct c4_hopmap *m,
			const struct c4_plan_route *r)
{
	uint16_t numbers[C4_HOPS_CHOSEN_MAX];
	uint32_t n = r->npath > 2 ? r->npath - 2 : 0;

	for (uint32_t i = 0; i < n; i++)
		numbers[i] = number_at(p, m, r, i + 1);
	return c4_path_pack(numbers, n);
}

/* Routes are told apart by name, so that a slot keeps its route from plan to plan. */
static int by_peer(const void *a, const void *b)
{
	const struct leg *x = a, *y = b;
	int d;

	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	if (x->back != y->back)
		return x->back ? 1 : -1;
	d = strcmp(x->id, y->id);
	if (d)
		return d;
	if (x->qp != y->qp)
		return x->qp < y->qp ? -1 : 1;
	return x->route < y->route ? -1 : x->route > y->route;
}

static uint32_t find_legs(struct leg *legs, const struct c4_plan *p, const struct c4_hopmap *m,
			  const uint32_t *ours, uint32_t nours)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->nroutes; i++) {
		const struct c4_plan_route *r = &p->routes[i];
		bool out = is_ours(r->src, ours, nours), in = is_ours(r->dst, ours, nours);
		uint64_t path = path_of(p, m, r);

		if (out == in || !path || !r->src || !r->dst)
			continue;
		legs[n++] = (struct leg){
			out ? r->dst : r->src, out ? r->src : r->dst, in, i, r->id, r->qp, path};
	}
	qsort(legs, n, sizeof *legs, by_peer);
	return n;
}

static void add_leg(struct c4_pairs *s, struct c4_pair *pair, uint32_t *nth, const struct leg *leg)
{
	struct c4_wish *w;

	if (leg->local != pair->src) {
		s->foreign++;
		return;
	}
	if (*nth == C4_ROUTE_SLOTS) {
		s->shared++;
		return;
	}
	w = &pair->wish[(*nth)++];
	if (leg->back) {
		w->bwd = leg->path;
		w->bwd_route = leg->route + 1;
	} else {
		w->fwd = leg->path;
		w->fwd_route = leg->route + 1;
	}
	if (*nth > pair->nwishes)
		pair->nwishes = (uint8_t)*nth;
}

/* legs[0…n) are all of one peer, those towards it first. */
static int add_pair(struct c4_pairs *s, const struct c4_plan *p, const struct c4_hopmap *m,
		    const struct leg *legs, uint32_t n)
{
	const struct c4_plan_route *r = &p->routes[legs->route];
	uint16_t first = number_at(p, m, r, 0), last = number_at(p, m, r, r->npath - 1);
	struct c4_pair *grown, *pair;
	uint32_t nth[2] = {0, 0};

	if (s->n == C4_ROUTE_PEERS / 2) {
		s->refused++;
		return 0;
	}
	grown = c4_vec_reserve(s->v, &s->cap, s->n + 1, C4_ROUTE_PEERS / 2, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	s->v = grown;
	if (c4_map_put(&s->by_dst, legs->peer, (void *)(uintptr_t)(s->n + 1)))
		return -ENOMEM;
	pair = &s->v[s->n++];
	*pair = (struct c4_pair){.src = legs->local,
				 .dst = legs->peer,
				 .near = legs->back ? last : first,
				 .far = legs->back ? first : last,
				 .chosen = (uint8_t)(r->npath - 2)};
	for (uint32_t i = 0; i < n; i++)
		add_leg(s, pair, &nth[legs[i].back], &legs[i]);
	return 0;
}

static int strip_ways_back(struct c4_pairs *s)
{
	struct c4_pair *v = calloc(s->n ? s->n : 1, sizeof *v);

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		v[i] = s->v[i];
		v[i].nwishes = 0;
		for (uint32_t k = 0; k < s->v[i].nwishes && s->v[i].wish[k].fwd; k++) {
			v[i].wish[k].bwd = 0;
			v[i].wish[k].bwd_route = 0;
			v[i].nwishes++;
		}
	}
	s->oneway = v;
	return 0;
}

int c4_pairs_make(struct c4_pairs *ret, const struct c4_plan *p, const struct c4_hopmap *m,
		  const uint32_t *addresses, uint32_t naddresses)
{
	struct leg *legs = calloc(p->nroutes ? p->nroutes : 1, sizeof *legs);
	uint32_t n, end;
	int rc = 0;

	*ret = (struct c4_pairs){0};
	if (!legs)
		return -ENOMEM;
	n = find_legs(legs, p, m, addresses, naddresses);
	for (uint32_t i = 0; !rc && i < n; i = end) {
		for (end = i + 1; end < n && legs[end].peer == legs[i].peer;)
			end++;
		rc = add_pair(ret, p, m, legs + i, end - i);
	}
	free(legs);
	if (!rc)
		rc = strip_ways_back(ret);
	if (rc)
		c4_pairs_release(ret);
	return rc;
}

void c4_pairs_release(struct c4_pairs *s)
{
	free(s->v);
	free(s->oneway);
	c4_map_release(&s->by_dst);
	*s = (struct c4_pairs){0};
}

const struct c4_pair *c4_pairs_to(const struct c4_pairs *s, uint32_t dst)
{
	uintptr_t at = (uintptr_t)c4_map_get(&s->by_dst, dst);

	return at ? &s->v[at - 1] : NULL;
}

const struct c4_pair *c4_pairs_oneway(const struct c4_pairs *s, uint32_t dst)
{
	uintptr_t at = (uintptr_t)c4_map_get(&s->by_dst, dst);

	return at ? &s->oneway[at - 1] : NULL;
}

bool c4_pairs_has(const struct c4_pairs *s, uint32_t a, uint32_t b)
{
	const struct c4_pair *pair = c4_pairs_to(s, b);

	return pair && pair->src == a;
}
