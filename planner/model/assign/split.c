// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_MATE UINT32_MAX
#define UNSEEN	2

/* ---- life ------------------------------------------------------------------------------------ */

static uint32_t *no_mates(size_t n)
{
	uint32_t *p = malloc((n + 1) * sizeof *p);

	if (p)
		memset(p, 0xff, (n + 1) * sizeof *p);
	return p;
}

int c4_split_init(struct c4_split *w, const struct c4_colour_graph *g)
{
	uint32_t n = g->n_edges + 1, pods = g->pod ? g->n_pods : 1;

	*w = (struct c4_split){.g = g};
	w->aside = malloc(n * sizeof *w->aside);
	w->mates = malloc(n * sizeof *w->mates);
	w->half = malloc(n);
	for (int side = 0; side < 2; side++) {
		w->waiting[side] = no_mates(2 * (size_t)g->n[side]);
		w->waiting_pod[side] = no_mates(pods);
	}
	if (w->aside && w->mates && w->half && w->waiting[0] && w->waiting[1] &&
	    w->waiting_pod[0] && w->waiting_pod[1])
		return 0;
	c4_split_release(w);
	return -ENOMEM;
}

void c4_split_release(struct c4_split *w)
{
	free(w->aside);
	free(w->mates);
	free(w->half);
	for (int side = 0; side < 2; side++) {
		free(w->waiting[side]);
		free(w->waiting_pod[side]);
	}
	*w = (struct c4_split){0};
}

/* ---- pairs ----------------------------------------------------------------------------------- */

static uint32_t pod_of(const struct c4_split *w, uint32_t vertex)
{
	return w->g->pod ? w->g->pod[vertex] : 0;
}

/* Edges inside a pod do not use its way out: they are paired with each other first. */
static bool inside(const struct c4_split *w, const struct c4_colour_edge *e)
{
	return w->g->pod && w->g->pod[e->end[0]] == w->g->pod[e->end[1]];
}

static void pair(struct c4_split *w, int side, uint32_t *waiting, uint32_t i)
{
	uint32_t other = *waiting;

	if (other == NO_MATE) {
		*waiting = i;
		return;
	}
	w->mates[i].at[side] = other;
	w->mates[other].at[side] = i;
	*waiting = NO_MATE;
}

/* What a vertex has left: its two odd ones together, or one to find a mate in its pod. */
static void pair_rest(struct c4_split *w, int side, uint32_t vertex)
{
	uint32_t *out = &w->waiting[side][2 * vertex], *in = out + 1;

	if (*out != NO_MATE && *in != NO_MATE)
		pair(w, side, out, *in);
	else if (*out != NO_MATE)
		pair(w, side, &w->waiting_pod[side][pod_of(w, vertex)], *out);
	*out = *in = NO_MATE;
}

static void pair_all(struct c4_split *w, const struct c4_colour_edge *e, uint32_t n)
{
	memset(w->mates, 0xff, n * sizeof *w->mates);
	for (uint32_t i = 0; i < n; i++) {
		bool in = inside(w, &e[i]);

		pair(w, 0, &w->waiting[0][2 * e[i].end[0] + in], i);
		pair(w, 1, &w->waiting[1][2 * e[i].end[1] + in], i);
	}
	for (uint32_t i = 0; i < n; i++) {
		pair_rest(w, 0, e[i].end[0]);
		pair_rest(w, 1, e[i].end[1]);
	}
	for (uint32_t i = 0; i < n; i++)
		for (int side = 0; side < 2; side++)
			w->waiting_pod[side][pod_of(w, e[i].end[side])] = NO_MATE;
}

/* From edge i along mates, alternately at each side, giving the halves in turn. */
static void walk(struct c4_split *w, uint32_t i, int side)
{
	uint8_t half = w->half[i];

	while ((i = w->mates[i].at[side]) != NO_MATE && w->half[i] == UNSEEN) {
		half ^= 1;
		w->half[i] = half;
		side ^= 1;
	}
}

uint32_t c4_split_edges(struct c4_split *w, struct c4_colour_edge *e, uint32_t n)
{
	uint32_t first = 0, second = 0;

	pair_all(w, e, n);
	memset(w->half, UNSEEN, n);
	for (uint32_t i = 0; i < n; i++) {
		if (w->half[i] != UNSEEN)
			continue;
		w->half[i] = 0;
		walk(w, i, 0);
		walk(w, i, 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (w->half[i])
			w->aside[second++] = e[i];
		else
			e[first++] = e[i];
	}
	for (uint32_t i = 0; i < second; i++)
		e[first + i] = w->aside[second - 1 - i];
	return first;
}
