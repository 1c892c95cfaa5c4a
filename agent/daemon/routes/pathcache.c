// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/pathcache.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/ds/vec.h"

#define COUPONS_EXPONENT 16u

void c4_pathcache_release(struct c4_pathcache *c)
{
	free(c->v);
	*c = (struct c4_pathcache){0};
}

struct c4_portpath *c4_pathcache_find(const struct c4_pathcache *c, uint16_t port)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->v[i].port == port)
			return &c->v[i];
	return NULL;
}

static bool serves(const struct c4_pair *pair, const struct c4_portpath *x)
{
	for (uint32_t i = 0; i < pair->nwishes; i++)
		if ((x->fwd && x->fwd == pair->wish[i].fwd) ||
		    (x->bwd && x->bwd == pair->wish[i].bwd))
			return true;
	return false;
}

/* One that nobody uses; rather one of no use to any slot. */
static struct c4_portpath *victim(const struct c4_pathcache *c, const struct c4_pair *pair)
{
	struct c4_portpath *found = NULL;

	for (uint32_t i = 0; i < c->n; i++) {
		struct c4_portpath *x = &c->v[i];

		if (x->busy || x->slot)
			continue;
		if (!serves(pair, x))
			return x;
		found = x;
	}
	return found;
}

struct c4_portpath *c4_pathcache_at(struct c4_pathcache *c, const struct c4_pair *pair,
				    uint16_t port)
{
	struct c4_portpath *x = c4_pathcache_find(c, port), *grown;

	if (x)
		return x;
	grown = c4_vec_reserve(c->v, &c->cap, c->n + 1, C4_PATHCACHE_PORTS, sizeof *grown);
	if (grown) {
		c->v = grown;
		x = &c->v[c->n++];
	} else {
		x = victim(c, pair);
		if (!x)
			return NULL;
		c->lost++;
	}
	*x = (struct c4_portpath){.port = port};
	return x;
}

void c4_pathcache_tried(struct c4_pathcache *c, const struct c4_portpath *x)
{
	uint64_t kind = c4_hash_u64(x->fwd, x->bwd);

	c->tried++;
	for (uint32_t i = 0; i < c->nkinds; i++)
		if (c->kind[i] == kind)
			return;
	if (c->nkinds < C4_PATHCACHE_KINDS)
		c->kind[c->nkinds++] = kind;
}

bool c4_pathcache_exhausted(const struct c4_pathcache *c)
{
	return c->tried >= COUPONS_EXPONENT * (c->nkinds + 1);
}

static bool expire_one(struct c4_portpath *x, const struct c4_hopmap *m, const struct c4_pair *pair,
		       bool all)
{
	bool gone = false;

	if (x->fwd && (all || x->fwd_at != c4_hopmap_stamp(m, pair->near, x->fwd, pair->far))) {
		x->fwd = 0;
		gone = true;
	}
	if (x->bwd && (all || x->bwd_at != c4_hopmap_stamp(m, pair->far, x->bwd, pair->near))) {
		x->bwd = 0;
		gone = true;
	}
	if (all)
		x->bwd_failed = false;
	return gone;
}

uint32_t c4_pathcache_expire(struct c4_pathcache *c, const struct c4_hopmap *m,
			     const struct c4_pair *pair, bool all)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++)
		n += expire_one(&c->v[i], m, pair, all);
	if (n || all) {
		c->tried = 0;
		c->nkinds = 0;
	}
	return n;
}
