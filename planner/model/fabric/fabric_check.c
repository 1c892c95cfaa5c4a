// SPDX-License-Identifier: BSD-3-Clause
/*
 * What planning survives but people should know. Which leaves reach which is asked once per kind
 * of leaf (set of live uplinks): a healthy plane has one kind, however many leaves.
 */
#include "planner/model/fabric/fabric.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/ds/map.h"

struct report {
	c4_fabric_problem tell;
	void *arg;
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) tell(struct report *r, const char *fmt, ...)
{
	char what[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	r->n++;
	if (r->tell)
		r->tell(r->arg, what);
}

static void check_hosts(const struct c4_fabric *f, struct report *r)
{
	for (uint32_t i = 0; i < f->n_hosts; i++)
		if (!f->hosts[i].nics)
			tell(r, "host %s has no NICs, expected at least one", f->hosts[i].name);
}

static void check_links(const struct c4_fabric *f, struct report *r)
{
	for (uint32_t i = 0; i < f->n_links; i++) {
		const struct c4_link *l = &f->links[i];
		const char *a = f->switches[l->a].name, *b = f->switches[l->b].name;

		if (l->now_gbps <= 0)
			tell(r, "link %s–%s is dead", a, b);
		else if (l->now_gbps < l->gbps)
			tell(r, "link %s–%s is degraded: %g of %g Gb/s", a, b, (double)l->now_gbps,
			     (double)l->gbps);
	}
}

/* ---- reach ----------------------------------------------------------------------------------- */

struct reach {
	const struct c4_fabric *f;
	uint32_t *kind;	     /* of a leaf: the first leaf with the same live uplinks */
	uint32_t *seen;	     /* of a switch: stamp of the walk that came by going up */
	uint32_t *seen_down; /* … by coming down from a core */
	uint32_t *queue;
	uint32_t stamp;
	uint64_t steps;
};

/* Live neighbours of s in a tier, each told once however many parallel links. */
struct walk {
	const struct c4_fabric *f;
	uint32_t s, at;
	enum c4_tier tier;
	uint32_t last;
};

static struct walk walk_to(const struct c4_fabric *f, uint32_t s, enum c4_tier tier)
{
	return (struct walk){f, s, f->link_at[s], tier, C4_NONE};
}

static uint32_t next_live(struct walk *w)
{
	while (w->at < w->f->link_at[w->s + 1]) {
		const struct c4_link *l = &w->f->links[w->f->link_of[w->at++]];
		uint32_t to = c4_link_peer(l, w->s);

		if (l->now_gbps <= 0 || to == w->last || w->f->switches[to].tier != w->tier)
			continue;
		w->last = to;
		return to;
	}
	return C4_NONE;
}

/* 0: no live uplink. */
static uint64_t uplinks_hash(const struct c4_fabric *f, uint32_t leaf)
{
	struct walk w = walk_to(f, leaf, C4_SPINE);
	uint64_t h = 0;

	for (uint32_t s = next_live(&w); s != C4_NONE; s = next_live(&w))
		h = c4_hash_u64(h, s) | 1;
	return h;
}

static void check_switches(const struct c4_fabric *f, struct report *r)
{
	for (uint32_t s = 0; s < f->n_switches; s++) {
		const char *name = f->switches[s].name;
		bool leaf = f->switches[s].tier == C4_LEAF;

		if (f->link_at[s] == f->link_at[s + 1])
			tell(r, "%s %s has no links, expected at least one",
			     c4_tier_name(f->switches[s].tier), name);
		else if (leaf && !uplinks_hash(f, s))
			tell(r, "leaf %s has no live uplink, expected at least one", name);
	}
}

static int sort_kinds(struct reach *q)
{
	struct c4_map first = {0};
	int rc = 0;

	for (uint32_t s = 0; s < q->f->n_switches && !rc; s++) {
		uint64_t h = q->f->switches[s].tier == C4_LEAF ? uplinks_hash(q->f, s) : 0;
		void *known = h ? c4_map_get(&first, h) : NULL;

		q->kind[s] = C4_NONE;
		if (!h)
			continue;
		q->kind[s] = known ? (uint32_t)(uintptr_t)known - 1 : s;
		if (!known)
			rc = c4_map_put(&first, h, (void *)(uintptr_t)(s + 1));
	}
	c4_map_release(&first);
	return rc;
}

/* Marks the live neighbours in `tier` of the queued switches; returns how many are new. */
static uint32_t spread(struct reach *q, const uint32_t *from, uint32_t n, enum c4_tier tier,
		       uint32_t *seen, uint32_t *to)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct walk w = walk_to(q->f, from[i], tier);

		q->steps += q->f->link_at[from[i] + 1] - q->f->link_at[from[i]];
		for (uint32_t s = next_live(&w); s != C4_NONE; s = next_live(&w)) {
			if (seen[s] == q->stamp)
				continue;
			seen[s] = q->stamp;
			to[found++] = s;
		}
	}
	return found;
}

/*
 * Every leaf a route can reach: up, over a spine, down; or up, up, down, down. Afterwards `seen` of
 * a leaf tells the former, `seen_down` the latter.
 */
static void reach_from(struct reach *q, uint32_t leaf)
{
	uint32_t n = q->f->n_switches;
	uint32_t *spines = q->queue, *cores = q->queue + n, *down = q->queue + 2 * (size_t)n;
	uint32_t *leaves = q->queue + 3 * (size_t)n;
	uint32_t n_spines, n_cores, n_down;

	q->stamp++;
	n_spines = spread(q, &leaf, 1, C4_SPINE, q->seen, spines);
	spread(q, spines, n_spines, C4_LEAF, q->seen, leaves);
	n_cores = spread(q, spines, n_spines, C4_CORE, q->seen, cores);
	n_down = spread(q, cores, n_cores, C4_SPINE, q->seen_down, down);
	spread(q, down, n_down, C4_LEAF, q->seen_down, leaves);
}

/* Inside a pod routes turn at a spine, between pods at a core. */
static bool reached(const struct reach *q, uint32_t from, uint32_t to)
{
	const struct c4_switch *a = &q->f->switches[from], *b = &q->f->switches[to];

	return (a->pod == b->pod ? q->seen : q->seen_down)[to] == q->stamp;
}

static void check_kind(struct reach *q, uint32_t kind, struct report *r)
{
	const struct c4_switch *sw = q->f->switches;
	uint32_t missed = C4_NONE, n = 0;

	reach_from(q, kind);
	q->steps += q->f->n_switches;
	for (uint32_t s = 0; s < q->f->n_switches; s++) {
		/* each pair of kinds once; the same kind shares its spines */
		if (q->kind[s] == C4_NONE || q->kind[s] <= kind || sw[s].net != sw[kind].net)
			continue;
		if (reached(q, kind, s))
			continue;
		missed = missed == C4_NONE ? s : missed;
		n++;
	}
	if (n == 1)
		tell(r, "leaves %s and %s share no live path, expected at least one", sw[kind].name,
		     sw[missed].name);
	else if (n)
		tell(r,
		     "leaves %s and %s, and %u more of its kind, share no live path, expected "
		     "at least one",
		     sw[kind].name, sw[missed].name, n - 1);
}

static void check_reach(struct reach *q, struct report *r)
{
	uint32_t left = 0;

	if (sort_kinds(q)) {
		tell(r, "paths between leaves were not examined: out of memory");
		return;
	}
	for (uint32_t s = 0; s < q->f->n_switches; s++) {
		if (q->kind[s] != s)
			continue;
		if (q->steps < C4_CHECK_STEPS)
			check_kind(q, s, r);
		else
			left++;
	}
	if (left)
		tell(r, "paths from leaves of %u kinds were not examined: too many", left);
}

size_t c4_fabric_check(const struct c4_fabric *f, c4_fabric_problem problem, void *arg)
{
	struct report r = {problem, arg, 0};
	size_t n = f->n_switches;
	uint32_t *memory = calloc(7 * n, sizeof *memory);
	struct reach q = {.f = f};

	check_hosts(f, &r);
	check_switches(f, &r);
	check_links(f, &r);
	if (!memory) {
		tell(&r, "paths between leaves were not examined: out of memory");
		return r.n;
	}
	q.kind = memory;
	q.seen = memory + n;
	q.seen_down = memory + 2 * n;
	q.queue = memory + 3 * n;
	check_reach(&q, &r);
	free(memory);
	return r.n;
}
