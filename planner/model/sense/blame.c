// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/sense/blame.h"

#include <errno.h>
#include <stdlib.h>

#include "common/ds/map.h"

/* A link that slow pairs cross and no well one. */
struct place {
	uint32_t link;
	uint32_t covers; /* slow pairs that nothing explains yet */
	bool well;
	bool shares; /* it covers one of those that are being explained */
};

struct work {
	const struct c4_blame_input *in;
	struct c4_map index; /* directed link → place + 1 */
	struct place *places;
	uint32_t n_places;
	bool *explained; /* per pair */
	bool *now;	 /* per pair: in this round */
	struct c4_blame_finding *out;
	uint32_t n;
};

static struct place *place_of(const struct work *w, uint32_t link)
{
	uintptr_t i = (uintptr_t)c4_map_get(&w->index, link);

	return i ? &w->places[i - 1] : NULL;
}

/* ---- what may be to blame -------------------------------------------------------------------- */

static int add_places(struct work *w, const struct c4_blame_pair *p)
{
	for (uint32_t i = p->first; i < p->first + p->n; i++) {
		uint32_t link = w->in->links[i];

		if (place_of(w, link))
			continue;
		if (c4_map_put(&w->index, link, (void *)(uintptr_t)(w->n_places + 1)))
			return -ENOMEM;
		w->places[w->n_places++] = (struct place){.link = link};
	}
	return 0;
}

static void exonerate(struct work *w, const struct c4_blame_pair *p)
{
	for (uint32_t i = p->first; i < p->first + p->n; i++) {
		struct place *x = place_of(w, w->in->links[i]);

		if (x)
			x->well = true;
	}
}

static int begin(struct work *w)
{
	uint32_t slow_links = 0;

	for (uint32_t i = 0; i < w->in->n; i++)
		if (w->in->pairs[i].word == C4_BLAME_SLOW)
			slow_links += w->in->pairs[i].n;
	w->places = malloc(((size_t)slow_links + 1) * sizeof *w->places);
	w->explained = calloc((size_t)w->in->n + 1, sizeof *w->explained);
	w->now = calloc((size_t)w->in->n + 1, sizeof *w->now);
	if (!w->places || !w->explained || !w->now)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->in->n; i++)
		if (w->in->pairs[i].word == C4_BLAME_SLOW && add_places(w, &w->in->pairs[i]))
			return -ENOMEM;
	for (uint32_t i = 0; i < w->in->n; i++)
		if (w->in->pairs[i].word == C4_BLAME_WELL)
			exonerate(w, &w->in->pairs[i]);
	return 0;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static bool is_open(const struct work *w, uint32_t pair)
{
	return w->in->pairs[pair].word == C4_BLAME_SLOW && !w->explained[pair];
}

static bool crosses(const struct work *w, uint32_t pair, uint32_t link)
{
	const struct c4_blame_pair *p = &w->in->pairs[pair];

	for (uint32_t i = p->first; i < p->first + p->n; i++)
		if (w->in->links[i] == link)
			return true;
	return false;
}

static void count(struct work *w)
{
	for (uint32_t i = 0; i < w->n_places; i++) {
		w->places[i].covers = 0;
		w->places[i].shares = false;
	}
	for (uint32_t p = 0; p < w->in->n; p++)
		for (uint32_t i = 0; is_open(w, p) && i < w->in->pairs[p].n; i++) {
			struct place *x = place_of(w, w->in->links[w->in->pairs[p].first + i]);

			x->covers += !x->well;
		}
}

/* That explains most; of several the first met. */
static const struct place *best(const struct work *w)
{
	const struct place *most = NULL;

	for (uint32_t i = 0; i < w->n_places; i++)
		if (w->places[i].covers && (!most || w->places[i].covers > most->covers))
			most = &w->places[i];
	return most;
}

/* Who is as good an explanation of some of the same pairs; how many they are, `of` among them. */
static uint32_t mark_alike(struct work *w, const struct place *of)
{
	uint32_t n = 0;

	for (uint32_t p = 0; p < w->in->n; p++) {
		if (!is_open(w, p) || !crosses(w, p, of->link))
			continue;
		for (uint32_t i = 0; i < w->in->pairs[p].n; i++) {
			struct place *x = place_of(w, w->in->links[w->in->pairs[p].first + i]);

			if (x->covers == of->covers && !x->shares) {
				x->shares = true;
				n++;
			}
		}
	}
	return n;
}

static void find(struct work *w, const struct place *x, uint32_t alike)
{
	struct c4_blame_finding f = {.link = x->link, .pairs = x->covers, .alike = alike};

	for (uint32_t p = 0; p < w->in->n; p++) {
		if (!is_open(w, p) || !crosses(w, p, x->link))
			continue;
		w->now[p] = true;
		if (f.slow == 0 || w->in->pairs[p].slow < f.slow)
			f.slow = w->in->pairs[p].slow;
	}
	if (w->n < C4_BLAME_FINDINGS)
		w->out[w->n++] = f;
}

/* False: nothing is left that anything explains. */
static bool explain(struct work *w)
{
	const struct place *most;
	uint32_t n;

	count(w);
	most = best(w);
	if (!most)
		return false;
	n = mark_alike(w, most);
	for (uint32_t i = 0; i < w->n_places; i++)
		if (w->places[i].shares)
			find(w, &w->places[i], n - 1);
	for (uint32_t p = 0; p < w->in->n; p++)
		w->explained[p] = w->explained[p] || w->now[p];
	return w->n < C4_BLAME_FINDINGS;
}

int c4_blame(const struct c4_blame_input *in, struct c4_blame_finding *out)
{
	struct work w = {.in = in, .out = out};
	int rc = begin(&w);

	while (!rc && explain(&w))
		;
	c4_map_release(&w.index);
	free(w.places);
	free(w.explained);
	free(w.now);
	return rc ? rc : (int)w.n;
}
