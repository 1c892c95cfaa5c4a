// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/answer.h"

#include <stdlib.h>
#include <string.h>

#include "planner/io/plan_json.h"
#include "planner/io/route_json.h"

#define PART_BYTES 16384u

enum stage { HEAD, UNPLACED, MOVES, GONE, ROUTES, DONE };

struct answer {
	struct c4_stream stream; /* first: it is what others hold */
	struct c4_answer_opts opts;
	struct c4_edition *edition;
	struct c4_delta *deltas[C4_JOURNAL_DELTAS];
	uint32_t n_deltas;
	bool full;
	enum stage stage;
	bool any;	/* something was written in this stage */
	uint32_t outer; /* connection (of by_host for one host), or delta */
	uint32_t inner; /* QP, or item of the delta */
	size_t limit;	/* of the text, for the part at work */
};

/* ---- QPs ------------------------------------------------------------------------------------- */

static void put_route(struct answer *a, const struct c4_conn *c, uint32_t qp, struct c4_buf *out)
{
	const struct c4_edition *e = a->edition;
	const struct c4_json_route r = {
		.f = &e->fabric->fabric,
		.d = &e->demand->demand,
		.c = c,
		.qp = qp,
		.route = &e->plan.routes[c->first + qp],
		.backup = &e->backups[c->first + qp],
	};

	c4_json_route(out, &a->any, &r);
}

static void put_unplaced(struct answer *a, const struct c4_conn *c, uint32_t qp, struct c4_buf *out)
{
	const char *why = c4_json_unplaced(&a->edition->plan.routes[c->first + qp]);

	if (!why)
		return;
	c4_json_qp(out, &a->any, c->id, qp);
	c4_buf_printf(out, ",\"reason\":\"%s\"}", why);
}

/* The next connection to look at, NULL at the end. */
static const struct c4_conn *conn_at(const struct answer *a)
{
	const struct c4_edition *e = a->edition;
	uint32_t i = a->outer;

	if (!e->demand)
		return NULL;
	if (a->opts.host == C4_NONE)
		return i < e->demand->demand.n_conns ? &e->demand->demand.conns[i] : NULL;
	i += e->host_at[a->opts.host];
	return i < e->host_at[a->opts.host + 1] ? &e->demand->demand.conns[e->by_host[i]] : NULL;
}

typedef void (*put_qp)(struct answer *a, const struct c4_conn *c, uint32_t qp, struct c4_buf *out);

/* False: there is no more. */
static bool put_qps(struct answer *a, put_qp put, struct c4_buf *out)
{
	const struct c4_conn *c;

	while (out->len < a->limit && (c = conn_at(a)) != NULL) {
		if (a->full || a->edition->changed[c->first + a->inner] > a->opts.since)
			put(a, c, a->inner, out);
		if (++a->inner == c->qps) {
			a->inner = 0;
			a->outer++;
		}
	}
	return conn_at(a) != NULL;
}

/* ---- moves and departures --------------------------------------------------------------------
 */

static bool wanted_host(const struct answer *a, const struct c4_held_fabric *f, uint32_t host)
{
	const struct c4_fabric *mine;

	if (a->opts.host == C4_NONE)
		return true;
	mine = &a->edition->fabric->fabric;
	if (&f->fabric == mine)
		return host == a->opts.host;
	return !strcmp(f->fabric.hosts[host].name, mine->hosts[a->opts.host].name);
}

static void put_move(struct answer *a, const struct c4_delta *d, uint32_t i, struct c4_buf *out)
{
	const struct c4_shift *m = &d->moves[i];

	if (!wanted_host(a, d->is, m->host))
		return;
	c4_json_qp(out, &a->any, m->id, m->qp);
	c4_json_way(out, "from", &d->was->fabric, &m->from);
	c4_json_way(out, "to", &d->is->fabric, &m->to);
	c4_buf_printf(out, ",\"reason\":\"%s\",\"version\":%llu}", c4_shift_reason_name(m->why),
		      (unsigned long long)d->version);
}

static void put_gone(struct answer *a, const struct c4_delta *d, uint32_t i, struct c4_buf *out)
{
	const struct c4_gone *g = &d->gone[i];

	if (!wanted_host(a, d->was, g->host))
		return;
	for (uint32_t q = 0; q < g->n; q++) {
		c4_json_qp(out, &a->any, g->id, g->first + q);
		c4_buf_add(out, "}", 1);
	}
}

static bool put_moves(struct answer *a, struct c4_buf *out)
{
	for (; a->outer < a->n_deltas; a->outer++, a->inner = 0)
		for (; a->inner < a->deltas[a->outer]->n_moves; a->inner++) {
			if (out->len >= a->limit)
				return true;
			put_move(a, a->deltas[a->outer], a->inner, out);
		}
	return false;
}

static bool put_all_gone(struct answer *a, struct c4_buf *out)
{
	for (; !a->full && a->outer < a->n_deltas; a->outer++, a->inner = 0)
		for (; a->inner < a->deltas[a->outer]->n_gone; a->inner++) {
			if (out->len >= a->limit)
				return true;
			put_gone(a, a->deltas[a->outer], a->inner, out);
		}
	return false;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static void put_numbers(const struct answer *a, struct c4_buf *out)
{
	const struct c4_plan *p = &a->edition->plan;
	uint64_t untold = 0;

	c4_json_real(out, "max_link_load", p->max_load);
	c4_json_real(out, "lower_bound", p->lower_bound);
	c4_json_real(out, "max_utilization", p->max_util);
	c4_json_real(out, "utilization_bound", p->util_bound);
	for (uint32_t i = 0; i < a->n_deltas; i++)
		untold += a->deltas[i]->moves_untold;
	c4_buf_printf(out, ",\"moves_untold\":%llu", (unsigned long long)untold);
}

static void put_head(const struct answer *a, struct c4_buf *out)
{
	const struct c4_edition *e = a->edition;

	c4_buf_printf(out,
		      "{\"schema\":\"" C4_PLAN_SCHEMA "\",\"instance\":\"%s\",\"version\":%llu,"
		      "\"full\":%s,\"standing\":\"%s\"",
		      a->opts.instance, (unsigned long long)e->version, a->full ? "true" : "false",
		      a->opts.standing);
	if (!a->full)
		c4_buf_printf(out, ",\"since\":%llu,\"unchanged\":%s",
			      (unsigned long long)a->opts.since,
			      a->opts.since == e->version ? "true" : "false");
	if (a->opts.host != C4_NONE) {
		c4_buf_printf(out, ",\"node\":");
		c4_json_text(out, e->fabric->fabric.hosts[a->opts.host].name);
	}
	put_numbers(a, out);
}

static void begin_stage(struct answer *a, enum stage stage, const char *before, struct c4_buf *out)
{
	c4_buf_printf(out, "%s", before);
	a->stage = stage;
	a->any = false;
	a->outer = a->inner = 0;
}

static void write_part(struct answer *a, struct c4_buf *out)
{
	switch (a->stage) {
	case HEAD:
		put_head(a, out);
		begin_stage(a, UNPLACED, ",\n\"unplaced\":[", out);
		return;
	case UNPLACED:
		if (!a->edition->plan.n_unplaced || !put_qps(a, put_unplaced, out))
			begin_stage(a, MOVES, "],\n\"moves\":[", out);
		return;
	case MOVES:
		if (!put_moves(a, out))
			begin_stage(a, GONE, "],\n\"removed\":[", out);
		return;
	case GONE:
		if (!put_all_gone(a, out))
			begin_stage(a, ROUTES, "],\n\"routes\":[", out);
		return;
	case ROUTES:
		if (!put_qps(a, put_route, out))
			begin_stage(a, DONE, "]}\n", out);
		return;
	default: return;
	}
}

static bool on_next(struct c4_stream *s, struct c4_buf *out)
{
	struct answer *a = (struct answer *)s;

	if (a->stage == DONE)
		return false;
	a->limit = out->len + PART_BYTES;
	while (a->stage != DONE && out->len < a->limit && !out->failed)
		write_part(a, out);
	return true;
}

static void on_free(struct c4_stream *s)
{
	struct answer *a = (struct answer *)s;

	for (uint32_t i = 0; i < a->n_deltas; i++)
		c4_delta_drop(a->deltas[i]);
	c4_edition_drop(a->edition);
	free(a);
}

struct c4_stream *c4_answer_new(struct c4_edition *e, const struct c4_journal *j,
				const struct c4_answer_opts *o)
{
	struct answer *a = calloc(1, sizeof *a);
	int from = c4_journal_since(j, o->since);

	if (!a)
		return NULL;
	a->stream = (struct c4_stream){on_next, on_free};
	a->opts = *o;
	a->full = from < 0;
	a->edition = c4_edition_hold(e);
	if (a->full)
		from = j->n ? (int)j->n - 1 : 0; /* what the newest change moved */
	for (uint32_t i = (uint32_t)from; i < j->n; i++)
		a->deltas[a->n_deltas++] = c4_delta_hold(j->deltas[i]);
	return &a->stream;
}
