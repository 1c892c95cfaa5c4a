// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/slots.h"

#include <string.h>

enum c4_fit c4_slot_fit(const struct c4_wish *w, const struct c4_portpath *x)
{
	bool assumed = !x->bwd && x->bwd_failed && x->fwd;
	uint64_t bwd = assumed ? c4_path_reverse(x->fwd) : x->bwd;
	bool there = x->fwd && x->fwd == w->fwd, back = bwd && bwd == w->bwd;

	if (!w->fwd && !w->bwd)
		return C4_FIT_NONE;
	if (!w->fwd)
		return !back ? C4_FIT_NONE : assumed ? C4_FIT_HALF : C4_FIT_EXACT;
	if (!there)
		return C4_FIT_NONE;
	return !w->bwd || (back && !assumed) ? C4_FIT_EXACT : C4_FIT_HALF;
}

/* The slot with the fewest ports among those that it fits so well; -1: none. */
static int neediest(const struct c4_pair *pair, const struct c4_portpath *x, enum c4_fit fit,
		    const struct c4_fill *f)
{
	int best = -1;

	for (int i = 0; i < pair->nwishes; i++) {
		if (f->slot[i].nports == C4_ROUTE_PORTS || c4_slot_fit(&pair->wish[i], x) != fit)
			continue;
		if (x->slot == i + 1)
			return i; /* it stays where it was */
		if (best < 0 || f->slot[i].nports < f->slot[best].nports)
			best = i;
	}
	return best;
}

/* Whether it has, or would find, a better place in an earlier pass. */
static bool placed_before(const struct c4_fill *f, uint16_t port)
{
	for (uint32_t i = 0; i < f->nslots; i++)
		for (uint32_t k = 0; k < f->slot[i].nports; k++)
			if (f->slot[i].port[k] == port)
				return true;
	return false;
}

static void pass(const struct c4_pair *pair, const struct c4_pathcache *c, enum c4_fit fit,
		 bool busy, struct c4_fill *f)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct c4_portpath *x = &c->v[i];
		struct c4_slot_fill *s;
		int at;

		if (x->flies || x->busy != busy || placed_before(f, x->port))
			continue;
		at = neediest(pair, x, fit, f);
		if (at < 0)
			continue;
		s = &f->slot[at];
		s->port[s->nports++] = x->port;
		s->free += !busy;
		s->free_exact += !busy && fit == C4_FIT_EXACT;
	}
}

void c4_slots_fill(const struct c4_pair *pair, const struct c4_pathcache *c, struct c4_fill *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->nslots = pair->nwishes;
	pass(pair, c, C4_FIT_EXACT, false, ret);
	pass(pair, c, C4_FIT_HALF, false, ret);
	pass(pair, c, C4_FIT_EXACT, true, ret);
	pass(pair, c, C4_FIT_HALF, true, ret);
	ret->least = ret->least_exact = C4_ROUTE_PORTS;
	for (uint32_t i = 0; i < ret->nslots; i++) {
		if (ret->slot[i].free < ret->least)
			ret->least = ret->slot[i].free;
		if (ret->slot[i].free_exact < ret->least_exact)
			ret->least_exact = ret->slot[i].free_exact;
	}
}
