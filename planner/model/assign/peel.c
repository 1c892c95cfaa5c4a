// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/peel.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/hash.h"

static uint64_t pair_of(const struct c4_colour_graph *g, const struct c4_colour_edge *e)
{
	return (uint64_t)e->end[0] * g->n[1] + e->end[1];
}

/* Edges of each pair that get their colours here; false: none at all. */
static bool count_full(const struct c4_colour_graph *g, uint64_t pairs, uint32_t colours,
		       uint32_t *full)
{
	bool any = false;

	for (uint32_t i = 0; i < g->n_edges; i++)
		full[pair_of(g, &g->edges[i])]++;
	for (uint64_t p = 0; p < pairs; p++) {
		full[p] -= full[p] % colours;
		any |= full[p] > 0;
	}
	return any;
}

/*
 * Each S edges of a pair take every colour once, so that neighbours in the list, such as the QPs of
 * one connection, differ. Where they begin and which way round is up to the hash: in one order for
 * all, the QPs of a connection would meet the same company on every link, and when links die, no
 * shift of weight between them would help.
 */
static uint16_t turn(uint64_t pair, uint32_t nth, uint32_t colours)
{
	uint64_t round = c4_mix64(pair << 32 | nth / colours);
	uint32_t at = round & 1 ? nth % colours : colours - 1 - nth % colours;

	return (uint16_t)((at + (round >> 1) % colours) % colours);
}

static uint32_t take_full(struct c4_colour_graph *g, uint32_t colours, uint32_t *full,
			  uint16_t *colour)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < g->n_edges; i++) {
		struct c4_colour_edge e = g->edges[i];
		uint64_t pair = pair_of(g, &e);

		if (full[pair]) {
			colour[e.id] = turn(pair, --full[pair], colours);
			continue;
		}
		g->edges[i] = g->edges[left];
		g->edges[left++] = e;
	}
	return left;
}

int c4_peel(struct c4_colour_graph *g, uint32_t colours, uint16_t *colour, uint32_t *ret_left)
{
	uint64_t pairs = (uint64_t)g->n[0] * g->n[1];
	uint32_t *full;

	*ret_left = g->n_edges;
	if (pairs > g->n_edges)
		return 0;
	full = calloc(pairs + 1, sizeof *full);
	if (!full)
		return -ENOMEM;
	if (count_full(g, pairs, colours, full))
		*ret_left = take_full(g, colours, full, colour);
	free(full);
	return 0;
}
