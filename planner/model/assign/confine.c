// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/confine.h"

#include <stdlib.h>
#include <string.h>

/* Looks at a leaf: beyond it the choice would cost more than planning. */
#define STEPS_MAX (1u << 27)

struct choice {
	const struct c4_confine *in;
	uint32_t *sorted; /* edges by job */
	uint32_t *first;  /* [job] in sorted; n_jobs + 1 */
	uint32_t *order;  /* jobs by rising intensity */
	uint32_t *shared; /* [side * n_leaves + leaf] QPs of confined jobs */
	uint32_t *freely; /* … of the others */
};

/* ---- order ----------------------------------------------------------------------------------- */

static void sort_edges(struct choice *c)
{
	const struct c4_confine *in = c->in;

	memset(c->first, 0, (in->n_jobs + 2) * sizeof *c->first);
	for (uint32_t i = 0; i < in->n_edges; i++)
		c->first[in->job[in->edges[i].id] + 2]++;
	for (uint32_t j = 0; j < in->n_jobs; j++)
		c->first[j + 2] += c->first[j + 1];
	for (uint32_t i = 0; i < in->n_edges; i++)
		c->sorted[c->first[in->job[in->edges[i].id] + 1]++] = i;
}

static int by_intensity(const void *a, const void *b, void *jobs)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	double ix = ((const struct c4_job *)jobs)[x].intensity;
	double iy = ((const struct c4_job *)jobs)[y].intensity;

	if (ix != iy)
		return ix < iy ? -1 : 1;
	return x < y ? 1 : -1; /* the newest first */
}

static void sort_jobs(struct choice *c)
{
	for (uint32_t j = 0; j < c->in->n_jobs; j++)
		c->order[j] = j;
	qsort_r(c->order, c->in->n_jobs, sizeof *c->order, by_intensity, (void *)c->in->jobs);
}

/* ---- choice ---------------------------------------------------------------------------------- */

/* The job's QPs change sides. */
static void move_job(struct choice *c, uint32_t job, uint32_t *from, uint32_t *to)
{
	const struct c4_confine *in = c->in;

	for (uint32_t i = c->first[job]; i < c->first[job + 1]; i++)
		for (int side = 0; side < 2; side++) {
			uint32_t at =
				(uint32_t)side * in->n_leaves + in->edges[c->sorted[i]].end[side];

			from[at]--;
			to[at]++;
		}
}

static uint32_t most_of(const struct choice *c, const uint32_t *count)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < 2 * c->in->n_leaves; i++)
		most = count[i] > most ? count[i] : most;
	return most;
}

/* Colours that the confined need; 0 when the others do not fit on the rest without sharing. */
static uint32_t colours_for(const struct choice *c)
{
	const struct c4_confine *in = c->in;
	uint32_t shared = most_of(c, c->shared), freely = most_of(c, c->freely);
	uint32_t need = (shared + in->most - 1) / in->most;

	if (!shared || !freely || need >= in->colours)
		return 0;
	return freely <= (uint64_t)(in->colours - need) * in->full ? need : 0;
}

static uint32_t choose(struct choice *c, uint8_t *confined)
{
	uint32_t n = 0, colours = 0;

	while (n < c->in->n_jobs && !colours) {
		uint32_t job = c->order[n++];

		move_job(c, job, c->freely, c->shared);
		confined[job] = 1;
		colours = colours_for(c);
	}
	/* some were not needed in the end: the most intense of them are let go first */
	while (n-- && colours) {
		uint32_t job = c->order[n], still;

		move_job(c, job, c->shared, c->freely);
		still = colours_for(c);
		if (still) {
			colours = still;
			confined[job] = 0;
		} else {
			move_job(c, job, c->freely, c->shared);
		}
	}
	return colours;
}

static bool begin(struct choice *c)
{
	const struct c4_confine *in = c->in;

	c->sorted = malloc((in->n_edges + 1) * sizeof *c->sorted);
	c->first = malloc((in->n_jobs + 2) * sizeof *c->first);
	c->order = malloc((in->n_jobs + 1) * sizeof *c->order);
	c->shared = calloc(2 * (size_t)in->n_leaves + 1, sizeof *c->shared);
	c->freely = calloc(2 * (size_t)in->n_leaves + 1, sizeof *c->freely);
	if (!c->sorted || !c->first || !c->order || !c->shared || !c->freely)
		return false;
	sort_edges(c);
	sort_jobs(c);
	for (uint32_t i = 0; i < in->n_edges; i++)
		for (int side = 0; side < 2; side++)
			c->freely[(uint32_t)side * in->n_leaves + in->edges[i].end[side]]++;
	return true;
}

bool c4_confine_choose(const struct c4_confine *in, uint8_t *confined, uint32_t *ret_colours)
{
	struct choice c = {.in = in};
	uint32_t colours = 0;

	memset(confined, 0, in->n_jobs);
	if (!in->full || (uint64_t)in->n_jobs * in->n_leaves > STEPS_MAX)
		return false;
	if (begin(&c))
		colours = choose(&c, confined);
	free(c.sorted);
	free(c.first);
	free(c.order);
	free(c.shared);
	free(c.freely);
	if (colours)
		*ret_colours = colours;
	return colours > 0;
}

/* ---- score ----------------------------------------------------------------------------------- */

static uint64_t place(const struct c4_confine *in, int side, uint32_t leaf, uint32_t colour)
{
	return ((uint64_t)side * in->n_leaves + leaf) * in->colours + colour;
}

static double sum_rates(const struct c4_confine *in, const uint32_t *worst)
{
	double sum = 0;

	for (uint32_t j = 0; j < in->n_jobs; j++)
		if (worst[j])
			sum += in->jobs[j].intensity *
			       (worst[j] <= in->full ? 1 : (double)in->full / worst[j]);
	return sum;
}

double c4_confine_score(const struct c4_confine *in, const uint16_t *colour)
{
	uint32_t *load = calloc(2 * (size_t)in->n_leaves * in->colours + 1, sizeof *load);
	uint32_t *worst = calloc((size_t)in->n_jobs + 1, sizeof *worst);
	double sum = -1;

	if (load && worst) {
		for (uint32_t i = 0; i < in->n_edges; i++)
			for (int side = 0; side < 2; side++)
				load[place(in, side, in->edges[i].end[side],
					   colour[in->edges[i].id])]++;
		for (uint32_t i = 0; i < in->n_edges; i++) {
			const struct c4_colour_edge *e = &in->edges[i];
			uint32_t *most = &worst[in->job[e->id]];

			for (int side = 0; side < 2; side++) {
				uint32_t at = load[place(in, side, e->end[side], colour[e->id])];

				*most = at > *most ? at : *most;
			}
		}
		sum = sum_rates(in, worst);
	}
	free(load);
	free(worst);
	return sum;
}
