// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/sense/sense.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/sense/fit.h"

/* The last windows that said something of a directed link. */
struct track {
	uint32_t link;
	uint8_t bad[2];		       /* per kind: bit 0 the newest window */
	uint8_t idle;		       /* windows since it was last said anything of */
	uint32_t at;		       /* next place in … */
	double gbps[C4_SENSE_WINDOWS]; /* … what the bad ones showed; 0: not bad */
	struct c4_fit_bad last;
};

struct c4_sense {
	struct c4_fit fit;
	struct c4_map tracks;
	struct c4_sense_finding findings[C4_SENSE_FINDINGS];
	uint32_t n_findings;
};

#define WINDOW_BITS ((1u << C4_SENSE_WINDOWS) - 1)

struct c4_sense *c4_sense_new(void)
{
	return calloc(1, sizeof(struct c4_sense));
}

void c4_sense_clear(struct c4_sense *s)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &s->tracks)
		free(e->value);
	c4_map_release(&s->tracks);
}

void c4_sense_free(struct c4_sense *s)
{
	if (!s)
		return;
	c4_sense_clear(s);
	c4_fit_release(&s->fit);
	free(s);
}

void c4_sense_forget(struct c4_sense *s, uint32_t link)
{
	free(c4_map_del(&s->tracks, 2 * (uint64_t)link));
	free(c4_map_del(&s->tracks, 2 * (uint64_t)link + 1));
}

/* ---- tracks ---------------------------------------------------------------------------------- */

static struct track *track_at(struct c4_sense *s, uint32_t link)
{
	struct track *t = c4_map_get(&s->tracks, link);

	if (t || s->tracks.used >= C4_SENSE_TRACKS_MAX)
		return t;
	t = calloc(1, sizeof *t);
	if (!t || c4_map_put(&s->tracks, link, t)) {
		free(t);
		return NULL;
	}
	t->link = link;
	t->idle = 1;
	return t;
}

/* Begins a window in each track of a link that something was said of. */
static void shift(struct c4_sense *s)
{
	for (uint32_t i = 0; i < s->fit.n_places; i++) {
		const struct c4_sense_link *p = &s->fit.places[i];
		struct track *t = p->flows ? c4_map_get(&s->tracks, p->link) : NULL;

		if (!t)
			continue;
		t->bad[0] = (uint8_t)(t->bad[0] << 1);
		t->bad[1] = (uint8_t)(t->bad[1] << 1);
		t->idle = 0;
		t->last.alike = 0;
		t->at = (t->at + 1) % C4_SENSE_WINDOWS;
		t->gbps[t->at] = 0;
	}
}

/* What is in doubt does not count: it would be a guess. */
static void note_bad(struct c4_sense *s)
{
	for (uint32_t i = 0; i < s->fit.n_bad; i++) {
		const struct c4_fit_bad *b = &s->fit.bad[i];
		struct track *t = track_at(s, b->link);

		if (!t)
			continue;
		t->idle = 0;
		t->last = *b;
		if (b->alike)
			continue;
		t->bad[b->kind] |= 1;
		t->gbps[t->at] = b->gbps;
	}
}

static bool is_old(struct track *t)
{
	if (t->idle < UINT8_MAX)
		t->idle++;
	return t->idle > C4_SENSE_FORGET;
}

static void forget_old(struct c4_sense *s)
{
	struct track *old[64]; /* the next window finds more */
	struct c4_map_entry *e;
	uint32_t n = 0;

	c4_map_for_each (e, &s->tracks)
		if (is_old(e->value) && n < 64)
			old[n++] = e->value;
	while (n--) {
		c4_map_del(&s->tracks, old[n]->link);
		free(old[n]);
	}
}

/* ---- findings -------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median_gbps(const struct track *t)
{
	double v[C4_SENSE_WINDOWS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < C4_SENSE_WINDOWS; i++)
		if (t->gbps[i] > 0)
			v[n++] = t->gbps[i];
	if (!n)
		return t->last.gbps;
	qsort(v, n, sizeof *v, ascending);
	return v[n / 2];
}

static void add_finding(struct c4_sense *s, const struct track *t)
{
	uint32_t windows =
		(uint32_t)__builtin_popcount((unsigned)t->bad[t->last.kind] & WINDOW_BITS);

	if (s->n_findings == C4_SENSE_FINDINGS)
		return;
	s->findings[s->n_findings++] = (struct c4_sense_finding){
		.link = t->link,
		.kind = t->last.kind,
		.confirmed = windows >= C4_SENSE_BAD,
		.alike = windows >= C4_SENSE_BAD ? 0 : t->last.alike,
		.flows = t->last.flows,
		.windows = windows,
		.gbps = median_gbps(t),
		.speed = t->last.speed,
		.peers = t->last.peers,
	};
}

static int by_link(const void *a, const void *b)
{
	const struct c4_sense_finding *x = a, *y = b;

	return x->link < y->link ? -1 : x->link > y->link;
}

static void tell(struct c4_sense *s, struct c4_sense_result *ret)
{
	struct c4_map_entry *e;

	s->n_findings = 0;
	c4_map_for_each (e, &s->tracks) {
		const struct track *t = e->value;

		if (t->bad[t->last.kind] & WINDOW_BITS || (t->last.alike && !t->idle))
			add_finding(s, t);
	}
	qsort(s->findings, s->n_findings, sizeof *s->findings, by_link);
	*ret = (struct c4_sense_result){
		.findings = s->findings,
		.n_findings = s->n_findings,
		.n_watches = s->fit.n_watches,
		.links = s->fit.places,
		.n_links = s->fit.n_places,
	};
	memcpy(ret->watches, s->fit.watches, sizeof ret->watches);
}

int c4_sense_step(struct c4_sense *s, const struct c4_sense_input *in, struct c4_sense_result *ret)
{
	int rc = c4_fit_window(&s->fit, in);

	if (rc)
		return rc;
	shift(s);
	note_bad(s);
	tell(s, ret);
	forget_old(s);
	return 0;
}
