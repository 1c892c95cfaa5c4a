// SPDX-License-Identifier: BSD-3-Clause
/* A uniform net and QPs of one size: the balanced colouring is the plan. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/assign/assign_group.h"
#include "planner/model/assign/confine.h"

static bool crosses(const struct c4_net *n, const struct c4_colour_edge *e)
{
	return n->pod[e->end[0]] != n->pod[e->end[1]];
}

static int colour_some(struct c4_group *g, struct c4_colour_edge *edges, uint32_t n_edges,
		       uint32_t colours, uint16_t *ret)
{
	const struct c4_net *n = &g->net;
	struct c4_colour_graph graph = {
		.n = {n->n_leaves, n->n_leaves},
		.pod = n->n_pods > 1 ? n->pod : NULL,
		.n_pods = n->n_pods > 1 ? n->n_pods : 0,
		.edges = edges,
		.n_edges = n_edges,
	};

	return c4_colour(&graph, colours, ret);
}

int c4_group_colour(struct c4_group *g)
{
	return colour_some(g, g->edges, g->n, g->net.colours, g->colour);
}

/* Groups the edges by colour (counting sort): those of colour c are [at[c], at[c + 1]). */
static void sort_by_colour(const struct c4_group *g, struct c4_colour_edge *sorted, uint32_t *at)
{
	uint32_t colours = g->net.colours;

	memset(at, 0, (colours + 2) * sizeof *at);
	for (uint32_t i = 0; i < g->n; i++)
		at[g->colour[g->edges[i].id] + 2]++;
	for (uint32_t c = 0; c < colours; c++)
		at[c + 2] += at[c + 1];
	for (uint32_t i = 0; i < g->n; i++)
		sorted[at[g->colour[g->edges[i].id] + 1]++] = g->edges[i];
}

/* No pod sends or hears more than its links of one colour carry. */
static bool cores_suffice(const struct c4_net *n, const struct c4_colour_graph *pods, uint32_t most)
{
	uint32_t *degree = calloc(2 * (size_t)n->n_pods, sizeof *degree);
	bool fits = degree != NULL;

	for (uint32_t i = 0; i < 2 * pods->n_edges && fits; i++)
		fits = ++degree[2 * pods->edges[i / 2].end[i & 1] + (i & 1)] <=
		       (uint64_t)n->cores * most;
	free(degree);
	return fits;
}

/* The edges of one colour that leave their pod, pod × pod, coloured by core: most on each link. */
static int colour_cores_of(struct c4_group *g, struct c4_colour_edge *edges, uint32_t n_edges,
			   uint32_t most, uint16_t *core)
{
	const struct c4_net *n = &g->net;
	struct c4_colour_graph graph = {.n = {n->n_pods, n->n_pods}, .edges = edges};
	uint32_t *id = malloc((n_edges + 1) * sizeof *id);
	uint16_t *colour = malloc((n_edges + 1) * sizeof *colour);
	int rc = -ENOMEM;

	if (id && colour) {
		for (uint32_t i = 0; i < n_edges; i++) {
			struct c4_colour_edge e = edges[i];

			if (!crosses(n, &e))
				continue;
			id[graph.n_edges] = e.id;
			edges[graph.n_edges] = (struct c4_colour_edge){
				{n->pod[e.end[0]], n->pod[e.end[1]]}, graph.n_edges};
			graph.n_edges++;
		}
		rc = cores_suffice(n, &graph, most) ? c4_colour(&graph, n->cores, colour) : -ENOSPC;
		for (uint32_t i = 0; i < graph.n_edges && !rc; i++)
			core[id[i]] = colour[i];
	}
	free(id);
	free(colour);
	return rc;
}

static int colour_cores(struct c4_group *g, double util, uint16_t *core)
{
	uint32_t most = c4_bundle_fits(&g->net, c4_net_over(&g->net, 0, 0, 0), g->size[0], util);
	struct c4_colour_edge *sorted = malloc((g->n + 1) * sizeof *sorted);
	uint32_t *at = malloc((g->net.colours + 2) * sizeof *at);
	int rc = sorted && at ? 0 : -ENOMEM;

	if (!rc)
		sort_by_colour(g, sorted, at);
	for (uint32_t c = 0; c < g->net.colours && !rc; c++)
		rc = colour_cores_of(g, sorted + at[c], at[c + 1] - at[c], most, core);
	free(sorted);
	free(at);
	return rc;
}

static void write_exact(struct c4_group *g, const uint16_t *core)
{
	const struct c4_net *n = &g->net;

	for (uint32_t i = 0; i < g->n; i++) {
		const struct c4_colour_edge *e = &g->edges[i];
		struct c4_route *r = &g->plan->routes[g->route[e->id]];
		uint16_t c = g->colour[e->id];

		r->state = C4_ROUTE_SPINE;
		r->up = (uint16_t)n->spine[n->pod[e->end[0]] * n->colours + c];
		r->down = (uint16_t)n->spine[n->pod[e->end[1]] * n->colours + c];
		if (crosses(n, e)) {
			r->state = C4_ROUTE_CORE;
			r->core = (uint16_t)n->core[c * n->cores + core[e->id]];
		}
	}
}

/* Confined jobs' QPs to the front; how many. */
static uint32_t part_by_job(const struct c4_group *g, const uint8_t *confined)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		struct c4_colour_edge e = g->edges[i];

		if (!confined[g->job[e.id]])
			continue;
		g->edges[i] = g->edges[n];
		g->edges[n++] = e;
	}
	return n;
}

/* Confined jobs on the first colours, the others on the rest, both exactly. */
static int colour_parts(struct c4_group *g, const uint8_t *confined, uint32_t colours,
			uint16_t *ret)
{
	uint32_t n = part_by_job(g, confined);
	int rc = colour_some(g, g->edges, n, colours, ret);

	if (!rc)
		rc = colour_some(g, g->edges + n, g->n - n, g->net.colours - colours, ret);
	for (uint32_t i = n; i < g->n && !rc; i++)
		ret[g->edges[i].id] = (uint16_t)(ret[g->edges[i].id] + colours);
	return rc;
}

/* Where links must be shared: the better of sharing evenly and sharing among few jobs. */
static int confine(struct c4_group *g, double util)
{
	const struct c4_bundle *link = c4_net_up(&g->net, 0, 0);
	struct c4_confine in = {
		.n_leaves = g->net.n_leaves,
		.colours = g->net.colours,
		.edges = g->edges,
		.n_edges = g->n,
		.job = g->job,
		.jobs = g->d->jobs,
		.n_jobs = g->d->n_jobs,
		.full = c4_bundle_fits(&g->net, link, g->size[0], 1),
		.most = c4_bundle_fits(&g->net, link, g->size[0], util),
	};
	uint8_t *confined = malloc(in.n_jobs + 1);
	uint16_t *other = malloc((g->n + 1) * sizeof *other);
	uint32_t colours;
	int rc = confined && other ? 0 : -ENOMEM;

	if (!rc && c4_confine_choose(&in, confined, &colours)) {
		rc = colour_parts(g, confined, colours, other);
		if (!rc && c4_confine_score(&in, other) > c4_confine_score(&in, g->colour))
			memcpy(g->colour, other, g->n * sizeof *other);
	}
	free(confined);
	free(other);
	return rc;
}

int c4_group_exact(struct c4_group *g, double util)
{
	uint16_t *core = g->net.cores ? malloc((g->n + 1) * sizeof *core) : NULL;
	int rc = c4_group_colour(g);

	if (!rc && !g->net.cores && util > 1 && g->d->n_jobs > 1)
		rc = confine(g, util);
	if (!rc && g->net.cores)
		rc = core ? colour_cores(g, util, core) : -ENOMEM;
	if (!rc)
		write_exact(g, core);
	free(core);
	return rc;
}
