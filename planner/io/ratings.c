// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/ratings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "c4/incident.h"
#include "common/ds/vec.h"
#include "planner/io/seats.h"

#define FABRIC_JOB "fabric" /* what planners themselves said of links */

void c4_ratings_release(struct c4_ratings *r)
{
	free(r->v);
	*r = (struct c4_ratings){0};
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* ---- incidents ------------------------------------------------------------------------------- */

static bool is_kind(const json_t *incident, enum c4_incident_kind kind)
{
	static const char *const names[] = {
#define C4_X(sym, name, severity, action) [C4_INC_##sym] = name,
		C4_INCIDENTS(C4_X)
#undef C4_X
	};

	return !strcmp(text_of(incident, "kind"), names[kind]);
}

/* Somebody may have acted on it: it stands all the same. */
static bool stands(const json_t *incident)
{
	const char *state = text_of(incident, "state");

	return !strcmp(state, "confirmed") || !strcmp(state, "acted");
}

static bool is_of_network(const json_t *incident)
{
	return is_kind(incident, C4_INC_SLOW_LINK) || is_kind(incident, C4_INC_CONGESTION);
}

int c4_ratings_jobs(const json_t *incidents, const char **jobs)
{
	const json_t *list = json_object_get(incidents, "incidents"), *x;
	uint32_t n = 0;
	size_t i;

	if (!json_is_array(list))
		return -EINVAL;
	json_array_foreach(list, i, x)
	{
		const char *job = text_of(x, "job");
		uint32_t at = 0;

		if (!stands(x) || !is_of_network(x) || !*job || !strcmp(job, FABRIC_JOB))
			continue;
		while (at < n && strcmp(jobs[at], job) != 0)
			at++;
		if (at == n && n < C4_RATINGS_JOBS)
			jobs[n++] = job;
	}
	return (int)n;
}

static bool names(const json_t *incident, json_int_t rank)
{
	const json_t *ranks = json_object_get(json_object_get(incident, "culprit"), "ranks"), *x;
	size_t i;

	json_array_foreach(ranks, i,
			   x) if (json_is_integer(x) && json_integer_value(x) == rank) return true;
	return false;
}

/* What the incidents of its job say of a slow cell. */
struct word {
	bool link;	/* it is a link that is named */
	bool congested; /* the job has a congestion … */
	bool ended;	/* … and an end of the cell is named for something else */
};

static struct word word_on(const struct c4_ratings_source *s, json_int_t src, json_int_t dst)
{
	const json_t *list = json_object_get(s->incidents, "incidents"), *x;
	struct word w = {0};
	size_t i;

	json_array_foreach(list, i, x)
	{
		bool from = names(x, src), to = names(x, dst);

		if (!stands(x) || strcmp(text_of(x, "job"), s->job) != 0)
			continue;
		w.congested |= is_kind(x, C4_INC_CONGESTION);
		if (is_kind(x, C4_INC_SLOW_LINK))
			w.link |= from && to;
		else
			w.ended |= from || to;
	}
	return w;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static uint32_t rail_of(const struct c4_fabric *f, const struct c4_seat *s)
{
	return s->of > 1 && c4_seats_rails(f, s->host) > 1 ? c4_seat_rail(f, s) : C4_NONE;
}

static int add(struct c4_ratings *r, const struct c4_rating *x)
{
	struct c4_rating *grown =
		c4_vec_reserve(r->v, &r->cap, r->n + 1, C4_RATINGS_MAX, sizeof *grown);

	if (!grown)
		return r->n >= C4_RATINGS_MAX ? -E2BIG : -ENOMEM;
	r->v = grown;
	r->v[r->n++] = *x;
	return 0;
}

static int add_cell(struct c4_ratings *r, const struct c4_seats *seats, const struct c4_seat_job *j,
		    const struct c4_ratings_source *s, const json_t *cell)
{
	json_int_t src = json_integer_value(json_object_get(cell, "src"));
	json_int_t dst = json_integer_value(json_object_get(cell, "dst"));
	const json_t *times = json_object_get(cell, "times_usual");
	const struct c4_seat *from = c4_seat_of(j, src), *to = c4_seat_of(j, dst);
	struct c4_rating x = {.slow = (float)json_number_value(times)};

	if (!json_is_number(times)) /* it carried too little to say */
		return 0;
	if (!from || !to || from->host == C4_NONE || to->host == C4_NONE) {
		r->unknown++;
		return 0;
	}
	if (from->host == to->host)
		return 0;
	x.src = from->host;
	x.dst = to->host;
	x.src_rail = rail_of(seats->f, from);
	x.dst_rail = rail_of(seats->f, to);
	x.connections = (uint32_t)json_integer_value(json_object_get(cell, "connections"));
	if (x.slow >= C4_RATING_SLOW) {
		struct word w = word_on(s, src, dst);

		x.accused = w.link || (w.congested && !w.ended);
		x.shared = x.accused && !w.link;
	}
	return add(r, &x);
}

static int add_cells(struct c4_ratings *r, const struct c4_seats *seats,
		     const struct c4_ratings_source *s)
{
	const json_t *matrices = json_object_get(s->matrix, "matrices"), *m, *cell;
	uint32_t at = c4_seats_job(seats, s->job);
	size_t i, k;

	if (at == C4_NONE || !seats->jobs[at].running)
		return 0;
	json_array_foreach(matrices, i, m)
	{
		if (strcmp(text_of(m, "job"), s->job) != 0)
			continue;
		json_array_foreach(json_object_get(m, "cells"), k, cell)
		{
			int rc = add_cell(r, seats, &seats->jobs[at], s, cell);

			if (rc)
				return rc;
		}
	}
	return 0;
}

int c4_ratings_add(struct c4_ratings *r, const struct c4_fabric *f,
		   const struct c4_ratings_source *s, struct c4_buf *notes)
{
	struct c4_complaints c = {.out = notes, .file = "collector"};
	struct c4_seats seats = {0};
	int rc = c4_seats_read(&seats, f, s->ranks, &c);

	if (!rc && !json_is_array(json_object_get(s->matrix, "matrices"))) {
		c4_complain(&c, 0, "no \"matrices\", expected the collector's /api/v1/matrix");
		rc = -EINVAL;
	}
	if (!rc)
		rc = add_cells(r, &seats, s);
	c4_complaints_close(&c);
	c4_seats_release(&seats);
	return rc;
}

/* ---- one of each ----------------------------------------------------------------------------- */

static int by_ends(const void *a, const void *b)
{
	const struct c4_rating *x = a, *y = b;
	const uint32_t m[] = {x->src, x->dst, x->src_rail, x->dst_rail};
	const uint32_t n[] = {y->src, y->dst, y->src_rail, y->dst_rail};

	for (int i = 0; i < 4; i++)
		if (m[i] != n[i])
			return m[i] < n[i] ? -1 : 1;
	return 0;
}

static void merge(struct c4_rating *into, const struct c4_rating *x)
{
	if (x->slow > into->slow) {
		into->slow = x->slow;
		into->connections = x->connections;
	}
	into->shared =
		into->accused && x->accused ? into->shared && x->shared : into->shared || x->shared;
	into->accused |= x->accused;
}

void c4_ratings_close(struct c4_ratings *r)
{
	uint32_t n = 0;

	if (r->n)
		qsort(r->v, r->n, sizeof *r->v, by_ends);
	for (uint32_t i = 0; i < r->n; i++)
		if (n && !by_ends(&r->v[n - 1], &r->v[i]))
			merge(&r->v[n - 1], &r->v[i]);
		else
			r->v[n++] = r->v[i];
	r->n = n;
}
