// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/sense/absence.h"

#include <math.h>
#include <stdlib.h>

#include "common/ds/map.h"
#include "common/ds/vec.h"
#include "planner/model/sense/blame.h"

#define TURNS	 3u   /* changes of way between two NICs that show that ports count */
#define UNMET	 1.0f /* expected draws from which on a way counts as unmet */
#define LOST	 0.5f /* of a link's expected draws: so many unanswered ones explain it */
#define WAYS_MAX (1u << 20)

/* One way from leaf to leaf. */
struct way {
	uint32_t spine;
	uint32_t up, down; /* links; down C4_NONE: the way goes on over cores */
	float since;	   /* expected draws since it was last met */
};

struct leaf_pair {
	uint32_t n;
	struct way way[];
};

struct link_state {
	float dry;
	bool ever, met; /* ever; since it was last found gone */
};

struct switch_state {
	bool by_port; /* a leaf: source ports choose */
	float lost;   /* a leaf: draws that nobody answered */
};

struct c4_absence {
	const struct c4_fabric *f;
	struct link_state *links;
	struct switch_state *switches;
	struct c4_map pairs; /* leaves → struct leaf_pair */
	struct c4_map ends;  /* NICs → the switch above, changes so far */
	bool news;	     /* something was drawn since the last look */
};

/* ---- life ------------------------------------------------------------------------------------ */

struct c4_absence *c4_absence_new(const struct c4_fabric *f)
{
	struct c4_absence *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->f = f;
	a->links = calloc((size_t)f->n_links + 1, sizeof *a->links);
	a->switches = calloc((size_t)f->n_switches + 1, sizeof *a->switches);
	if (a->links && a->switches)
		return a;
	c4_absence_free(a);
	return NULL;
}

void c4_absence_free(struct c4_absence *a)
{
	struct c4_map_entry *m;

	if (!a)
		return;
	c4_map_for_each (m, &a->pairs)
		free(m->value);
	c4_map_release(&a->pairs);
	c4_map_release(&a->ends);
	free(a->links);
	free(a->switches);
	free(a);
}

/* ---- the network ----------------------------------------------------------------------------- */

static bool same_pod(const struct c4_fabric *f, uint32_t a, uint32_t b)
{
	return f->switches[a].net == f->switches[b].net && f->switches[a].pod == f->switches[b].pod;
}

/* Ways that begin at a and could end at b: over each of its spines, dead or not. */
static uint32_t list_ways(const struct c4_fabric *f, uint32_t a, uint32_t b, struct way *to)
{
	uint32_t n = 0, last = C4_NONE;

	for (uint32_t i = f->link_at[a]; i < f->link_at[a + 1]; i++) {
		struct way w = {.up = f->link_of[i], .down = C4_NONE};

		w.spine = c4_link_peer(&f->links[w.up], a);
		if (w.spine == last)
			continue; /* a parallel one */
		last = w.spine;
		if (same_pod(f, a, b)) {
			w.down = c4_fabric_link(f, w.spine, b, 0);
			if (w.down == C4_NONE)
				continue;
		}
		if (to)
			to[n] = w;
		n++;
	}
	return n;
}

static struct leaf_pair *pair_of(struct c4_absence *a, uint32_t src, uint32_t dst)
{
	uint64_t key = (uint64_t)src << 32 | dst;
	struct leaf_pair *p = c4_map_get(&a->pairs, key);
	uint32_t n;

	if (p || a->pairs.used >= C4_ABSENCE_PAIRS_MAX)
		return p;
	n = list_ways(a->f, src, dst, NULL);
	p = calloc(1, sizeof *p + n * sizeof *p->way);
	if (!p || c4_map_put(&a->pairs, key, p)) {
		free(p);
		return NULL;
	}
	p->n = list_ways(a->f, src, dst, p->way);
	return p;
}

/* ---- notes ----------------------------------------------------------------------------------- */

/* Back and forth between two switches, by nothing but the port. */
static void note_turn(struct c4_absence *a, const struct c4_absence_draw *d, uint32_t leaf)
{
	uint64_t key = (uint64_t)d->src << 32 | d->dst;
	uintptr_t was = (uintptr_t)c4_map_get(&a->ends, key);
	uint32_t turns = (uint32_t)(was >> 32), via = (uint32_t)was;

	if (a->switches[leaf].by_port || (!was && a->ends.used >= C4_ABSENCE_ENDS_MAX))
		return;
	turns += was && via != d->via + 1;
	a->switches[leaf].by_port = turns >= TURNS;
	/* without memory the leaf counts later */
	(void)c4_map_put(&a->ends, key, (void *)((uintptr_t)turns << 32 | (d->via + 1)));
}

static void meet(struct c4_absence *a, uint32_t link)
{
	if (link != C4_NONE)
		a->links[link] = (struct link_state){.ever = true, .met = true};
}

static bool is_live(const struct way *w, const float *rates)
{
	return rates[w->up] > 0 && (w->down == C4_NONE || rates[w->down] > 0);
}

/* Switches may as well share by rate: what is expected of a link is the less of both. */
static void expect(struct c4_absence *a, struct leaf_pair *p, const float *rates, uint32_t via)
{
	float live = 0, sum = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		bool counts = is_live(&p->way[i], rates);

		live += counts;
		sum += counts ? rates[p->way[i].up] : 0;
	}
	for (uint32_t i = 0; i < p->n; i++) {
		struct way *w = &p->way[i];
		float share = fminf(1 / live, rates[w->up] / sum);

		if (w->spine == via) {
			w->since = 0;
		} else if (is_live(w, rates)) {
			w->since += share;
			a->links[w->up].dry += share;
			if (w->down != C4_NONE)
				a->links[w->down].dry += share;
		}
	}
	a->news = true;
}

void c4_absence_note(struct c4_absence *a, const float *rates, const struct c4_absence_draw *d)
{
	const struct c4_fabric *f = a->f;
	uint32_t src = f->nics[d->src].leaf, dst = f->nics[d->dst].leaf, up;
	struct leaf_pair *p;

	if (src == dst)
		return;
	if (d->via == C4_NONE) {
		a->switches[src].lost += d->drawn;
		return;
	}
	up = c4_fabric_link(f, src, d->via, 0);
	if (up == C4_NONE)
		return;
	meet(a, up);
	meet(a, c4_fabric_link(f, d->via, dst, 0)); /* none into another pod */
	note_turn(a, d, src);
	p = d->drawn && a->switches[src].by_port ? pair_of(a, src, dst) : NULL;
	if (p)
		expect(a, p, rates, d->via);
}

float c4_absence_dry(const struct c4_absence *a, uint32_t link)
{
	return a->links[link].dry;
}

bool c4_absence_met(const struct c4_absence *a, uint32_t link)
{
	return a->links[link].met;
}

/* ---- what is gone ---------------------------------------------------------------------------- */

struct search {
	struct c4_absence *a;
	const float *rates;
	struct c4_blame_pair *pairs;
	uint32_t *links;
	uint32_t n, n_links, cap, cap_links;
	struct c4_absence_found *found;
	uint32_t n_found;
};

static bool is_dry(const struct search *s, uint32_t link)
{
	const struct c4_link *l = &s->a->f->links[link];
	const struct link_state *x = &s->a->links[link];

	if (x->dry < C4_ABSENCE_DRAWS || s->rates[link] <= 0)
		return false;
	return x->ever || s->a->switches[l->a].lost < x->dry * LOST;
}

static bool any_dry(const struct search *s)
{
	for (uint32_t i = 0; i < s->a->f->n_links; i++)
		if (is_dry(s, i))
			return true;
	return false;
}

/* All its links to leaves that were to be met at all are dry: it may be the spine itself. */
static bool spine_dry(const struct search *s, uint32_t spine)
{
	const struct c4_fabric *f = s->a->f;

	for (uint32_t i = f->link_at[spine]; i < f->link_at[spine + 1]; i++) {
		uint32_t link = f->link_of[i];
		const struct link_state *x = &s->a->links[link];
		bool leaf = f->switches[f->links[link].a].tier == C4_LEAF;

		if (leaf && s->rates[link] > 0 && (x->met || x->dry > 0) && !is_dry(s, link))
			return false;
	}
	return true;
}

static bool add_suspect(struct search *s, uint32_t id)
{
	uint32_t *grown = c4_vec_reserve(s->links, &s->cap_links, s->n_links + 1, 3 * WAYS_MAX,
					 sizeof *grown);

	if (!grown)
		return false;
	s->links = grown;
	s->links[s->n_links++] = id;
	return true;
}

/* False: out of memory. */
static bool add_way(struct search *s, const struct way *w)
{
	uint32_t first = s->n_links, spine = s->a->f->n_links + w->spine;
	bool up = is_dry(s, w->up), down = w->down != C4_NONE && is_dry(s, w->down);
	struct c4_blame_pair *grown;

	if (w->since < UNMET || !is_live(w, s->rates) || (!up && !down))
		return true;
	grown = c4_vec_reserve(s->pairs, &s->cap, s->n + 1, WAYS_MAX, sizeof *grown);
	if (!grown)
		return false;
	s->pairs = grown;
	if ((up && !add_suspect(s, w->up)) || (down && !add_suspect(s, w->down)) ||
	    (spine_dry(s, w->spine) && !add_suspect(s, spine)))
		return false;
	s->pairs[s->n++] = (struct c4_blame_pair){
		.word = C4_BLAME_SLOW, .first = first, .n = s->n_links - first, .slow = 1};
	return true;
}

static bool add_ways(struct search *s)
{
	struct c4_map_entry *m;

	c4_map_for_each (m, &s->a->pairs) {
		const struct leaf_pair *p = m->value;

		for (uint32_t i = 0; i < p->n; i++)
			if (!add_way(s, &p->way[i]))
				return false;
	}
	return true;
}

static void find(struct search *s, uint32_t link, bool certain)
{
	struct link_state *x = &s->a->links[link];

	for (uint32_t i = 0; i < s->n_found; i++)
		if (s->found[i].link == link)
			return;
	if (s->n_found == C4_ABSENCE_FOUND_MAX)
		return; /* the next look finds it */
	s->found[s->n_found++] = (struct c4_absence_found){
		.link = link, .draws = x->dry, .certain = certain && x->ever};
	x->met = false;
}

static void find_links_of(struct search *s, uint32_t spine)
{
	const struct c4_fabric *f = s->a->f;

	for (uint32_t i = f->link_at[spine]; i < f->link_at[spine + 1]; i++)
		if (is_dry(s, f->link_of[i]))
			find(s, f->link_of[i], false);
}

uint32_t c4_absence_find(struct c4_absence *a, const float *rates, struct c4_absence_found *found)
{
	struct search s = {.a = a, .rates = rates, .found = found};
	struct c4_blame_finding blamed[C4_BLAME_FINDINGS];
	int n = 0;

	if (a->news && any_dry(&s) && add_ways(&s))
		n = c4_blame(&(struct c4_blame_input){s.pairs, s.n, s.links}, blamed);
	for (int i = 0; i < n; i++) {
		if (blamed[i].link >= a->f->n_links)
			find_links_of(&s, blamed[i].link - a->f->n_links);
		else
			find(&s, blamed[i].link, !blamed[i].alike);
	}
	a->news = false;
	free(s.pairs);
	free(s.links);
	return s.n_found;
}
