// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/seats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"
#include "planner/model/demand/demand.h"

void c4_seats_release(struct c4_seats *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->jobs[i].seats);
	free(s->jobs);
	free(s->on_host);
	c4_strmap_release(&s->by_name);
	*s = (struct c4_seats){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static struct c4_seat_job *add_job(struct c4_seats *s, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_at(&s->by_name, name);
	struct c4_seat_job *grown;

	if (!e)
		return NULL;
	if (e->value)
		return &s->jobs[(uintptr_t)e->value - 1];
	grown = c4_vec_reserve(s->jobs, &s->cap, s->n + 1, C4_DEMAND_CONNS_MAX, sizeof *grown);
	if (!grown)
		return NULL;
	s->jobs = grown;
	s->jobs[s->n] = (struct c4_seat_job){.name = e->key};
	e->value = (void *)(uintptr_t)++s->n;
	return &s->jobs[s->n - 1];
}

static int seat_rank(struct c4_seat_job *j, uint32_t rank, const char *node, uint32_t host)
{
	if (rank >= j->n) {
		struct c4_seat *grown = c4_vec_reserve(j->seats, &j->cap, rank + 1,
						       C4_SEATS_RANKS_MAX, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		j->seats = grown;
		memset(grown + j->n, 0, (rank + 1 - j->n) * sizeof *grown);
		j->n = rank + 1;
	}
	j->seats[rank] = (struct c4_seat){.node = node, .host = host};
	return 0;
}

static bool is_over(const char *state)
{
	return !strcmp(state, "gone") || !strcmp(state, "finished");
}

/* The host by its node's name, which users may choose, or else by the machine's own. */
static uint32_t host_of(const struct c4_fabric *f, const char *node, const char *host)
{
	uint32_t found = c4_fabric_host(f, node);

	return found == C4_NONE && host ? c4_fabric_host(f, host) : found;
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int read_rank(struct c4_seats *s, const json_t *r, struct c4_complaints *notes)
{
	const char *job = text_of(r, "job"), *node = text_of(r, "node");
	const char *state = text_of(r, "state");
	const json_t *rank = json_object_get(r, "rank");
	json_int_t n = json_integer_value(rank);
	struct c4_seat_job *j;

	if (!job || !node || !state || !json_is_integer(rank) || n < 0 || n >= C4_SEATS_RANKS_MAX) {
		c4_complain(notes, 0,
			    "a rank without job, rank, node or state, expected the collector's "
			    "/api/v1/ranks");
		return -EINVAL;
	}
	j = add_job(s, job);
	if (!j)
		return -ENOMEM;
	j->running = j->running || !is_over(state);
	return seat_rank(j, (uint32_t)n, node, host_of(s->f, node, text_of(r, "host")));
}

static bool is_placed(const struct c4_seat *x)
{
	return x->node && x->host != C4_NONE;
}

/* Numbers the ranks on each host. */
static void number_ranks(struct c4_seats *s, struct c4_seat_job *j)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (is_placed(&j->seats[i]))
			j->seats[i].local = s->on_host[j->seats[i].host]++;
	for (uint32_t i = 0; i < j->n; i++)
		if (is_placed(&j->seats[i]))
			j->seats[i].of = s->on_host[j->seats[i].host];
	for (uint32_t i = 0; i < j->n; i++)
		if (is_placed(&j->seats[i]))
			s->on_host[j->seats[i].host] = 0;
}

int c4_seats_read(struct c4_seats *s, const struct c4_fabric *f, const json_t *ranks,
		  struct c4_complaints *notes)
{
	const json_t *list = json_object_get(ranks, "ranks"), *r;
	size_t i;
	int rc;

	s->f = f;
	s->on_host = calloc((size_t)f->n_hosts + 1, sizeof *s->on_host);
	if (!s->on_host)
		return -ENOMEM;
	if (!json_is_array(list)) {
		c4_complain(notes, 0, "no \"ranks\", expected the collector's /api/v1/ranks");
		return -EINVAL;
	}
	json_array_foreach(list, i, r)
	{
		rc = read_rank(s, r, notes);
		if (rc)
			return rc;
	}
	for (uint32_t k = 0; k < s->n; k++)
		number_ranks(s, &s->jobs[k]);
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

uint32_t c4_seats_job(const struct c4_seats *s, const char *name)
{
	const struct c4_strmap_entry *e = name ? c4_strmap_find(&s->by_name, name) : NULL;

	return e ? (uint32_t)(uintptr_t)e->value - 1 : C4_NONE;
}

const struct c4_seat *c4_seat_of(const struct c4_seat_job *j, json_int_t rank)
{
	if (rank < 0 || rank >= (json_int_t)j->n || !j->seats[rank].node)
		return NULL;
	return &j->seats[rank];
}

uint32_t c4_seats_rails(const struct c4_fabric *f, uint32_t host)
{
	const struct c4_host *h = &f->hosts[host];
	uint32_t rails = 0;

	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		rails = f->nics[i].rail >= rails ? f->nics[i].rail + 1 : rails;
	return rails;
}

uint32_t c4_seat_rail(const struct c4_fabric *f, const struct c4_seat *s)
{
	return (uint32_t)((uint64_t)s->local * c4_seats_rails(f, s->host) / s->of);
}
