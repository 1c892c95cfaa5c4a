// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/eval/ecmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int c4_ecmp_init(struct c4_ecmp *e, const struct c4_fabric *f)
{
	size_t n = f->n_switches ? f->n_switches : 1;

	*e = (struct c4_ecmp){.fabric = f, .leaf = C4_NONE};
	e->distance = calloc(n, sizeof *e->distance);
	e->seen = calloc(n, sizeof *e->seen);
	e->group_at = malloc(n * sizeof *e->group_at);
	e->group_n = calloc(n, sizeof *e->group_n);
	e->group_all = calloc(n, sizeof *e->group_all);
	e->built = calloc(n, sizeof *e->built);
	e->paths = calloc(n, sizeof *e->paths);
	/* each link is in the groups of its two ends, at most twice in each */
	e->members = calloc(4 * (size_t)f->n_links + 1, sizeof *e->members);
	if (!e->distance || !e->seen || !e->group_at || !e->group_n || !e->group_all || !e->built ||
	    !e->paths || !e->members) {
		c4_ecmp_release(e);
		return -ENOMEM;
	}
	memset(e->group_at, 0xFF, n * sizeof *e->group_at);
	for (uint32_t i = 0; i < f->n_switches; i++)
		e->has_cores |= f->switches[i].tier == C4_CORE;
	return 0;
}

void c4_ecmp_release(struct c4_ecmp *e)
{
	free(e->distance);
	free(e->seen);
	free(e->group_at);
	free(e->group_n);
	free(e->group_all);
	free(e->built);
	free(e->paths);
	free(e->members);
	*e = (struct c4_ecmp){.leaf = C4_NONE};
}

void c4_ecmp_forget(struct c4_ecmp *e)
{
	for (uint32_t i = 0; i < e->n_seen; i++)
		e->distance[e->seen[i]] = 0;
	for (uint32_t i = 0; i < e->n_built; i++)
		e->group_at[e->built[i]] = C4_NONE;
	e->n_seen = e->n_built = e->n_members = 0;
	e->leaf = C4_NONE;
}

static bool has_distance(const struct c4_ecmp *e, uint32_t s)
{
	return s == e->leaf || e->distance[s];
}

/* Gives `hops` to the neighbours of s in this tier that have no distance yet, over live links. */
static void spread(struct c4_ecmp *e, uint32_t s, enum c4_tier tier, uint8_t hops)
{
	const struct c4_fabric *f = e->fabric;

	for (uint32_t i = f->link_at[s]; i < f->link_at[s + 1]; i++) {
		const struct c4_link *l = &f->links[f->link_of[i]];
		uint32_t t = c4_link_peer(l, s);

		if (!(l->now_gbps > 0) || f->switches[t].tier != tier || has_distance(e, t))
			continue;
		e->distance[t] = hops;
		e->seen[e->n_seen++] = t;
	}
}

void c4_ecmp_toward(struct c4_ecmp *e, uint32_t leaf)
{
	uint32_t from = 0, to;

	if (e->leaf == leaf)
		return;
	c4_ecmp_forget(e);
	e->leaf = leaf;
	spread(e, leaf, C4_SPINE, 1);
	if (!e->has_cores)
		return;
	for (to = e->n_seen; from < to; from++)
		spread(e, e->seen[from], C4_CORE, 2);
	for (to = e->n_seen; from < to; from++)
		spread(e, e->seen[from], C4_SPINE, 3);
}

/* The tier the way from s leads to, and at what distance from the destination. */
static bool next_tier(const struct c4_ecmp *e, uint32_t s, enum c4_tier *tier, uint8_t *hops)
{
	const struct c4_fabric *f = e->fabric;
	uint8_t best = UINT8_MAX;

	if (s == e->leaf)
		return false;
	if (f->switches[s].tier != C4_LEAF) {
		if (!e->distance[s])
			return false;
		*hops = (uint8_t)(e->distance[s] - 1);
		*tier = *hops == 0 ? C4_LEAF : *hops == 2 ? C4_CORE : C4_SPINE;
		return true;
	}
	for (uint32_t i = f->link_at[s]; i < f->link_at[s + 1]; i++) {
		const struct c4_link *l = &f->links[f->link_of[i]];
		uint8_t d = e->distance[c4_link_peer(l, s)];

		if (l->now_gbps > 0 && d && d < best)
			best = d;
	}
	*hops = best;
	*tier = C4_SPINE;
	return best != UINT8_MAX;
}

/* Where the way down is fixed by the destination, other switches of the tier are not members. */
static bool configured(const struct c4_ecmp *e, uint32_t s, uint32_t t)
{
	const struct c4_fabric *f = e->fabric;

	if (f->switches[t].tier > f->switches[s].tier)
		return true;
	if (f->switches[t].tier == C4_LEAF)
		return t == e->leaf;
	return f->switches[t].pod == f->switches[e->leaf].pod;
}

/* Members configured at s into all[], the live ones into live[]: how many of each. */
static void gather(struct c4_ecmp *e, uint32_t s, struct c4_ecmp_member *live,
		   struct c4_ecmp_member *all)
{
	const struct c4_fabric *f = e->fabric;
	enum c4_tier tier;
	uint8_t hops;

	if (!next_tier(e, s, &tier, &hops))
		return;
	for (uint32_t i = f->link_at[s]; i < f->link_at[s + 1]; i++) {
		const struct c4_link *l = &f->links[f->link_of[i]];
		uint32_t t = c4_link_peer(l, s);
		struct c4_ecmp_member m = {f->link_of[i], t, l->now_gbps > 0};

		if (f->switches[t].tier != tier || !configured(e, s, t))
			continue;
		m.live = m.live && has_distance(e, t) && e->distance[t] == hops;
		if (m.live)
			live[e->group_n[s]++] = m;
		all[e->group_all[s]++] = m;
	}
}

static void build(struct c4_ecmp *e, uint32_t s)
{
	struct c4_ecmp_member *live = e->members + e->n_members;
	struct c4_ecmp_member *all = live + (e->fabric->link_at[s + 1] - e->fabric->link_at[s]);

	e->group_at[s] = e->n_members;
	e->group_n[s] = e->group_all[s] = e->paths[s] = 0;
	e->built[e->n_built++] = s;
	gather(e, s, live, all);
	memmove(live + e->group_n[s], all, e->group_all[s] * sizeof *all);
	e->n_members += e->group_n[s] + e->group_all[s];
}

struct c4_ecmp_group c4_ecmp_group(struct c4_ecmp *e, uint32_t s)
{
	if (e->group_at[s] == C4_NONE)
		build(e, s);
	return (struct c4_ecmp_group){e->members + e->group_at[s], e->group_n[s], e->group_all[s]};
}

uint32_t c4_ecmp_paths(struct c4_ecmp *e, uint32_t s)
{
	struct c4_ecmp_group g;
	uint64_t paths = 0;

	if (s == e->leaf)
		return 1;
	g = c4_ecmp_group(e, s);
	if (e->paths[s])
		return e->paths[s];
	for (uint32_t i = 0; i < g.n; i++)
		paths += c4_ecmp_paths(e, g.members[i].to);
	e->paths[s] = paths < UINT32_MAX ? (uint32_t)paths : UINT32_MAX;
	return e->paths[s];
}
