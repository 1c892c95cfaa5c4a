// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/answer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/io/plan_json.h"
#include "planner/model/label.h"

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

/* ---- text ------------------------------------------------------------------------------------ */

/* Names and ids were checked to be UTF-8 when they were read. */
static void put_text(struct c4_buf *out, const char *text)
{
	c4_buf_add(out, "\"", 1);
	while (*text) {
		size_t plain =
			strcspn(text, "\"\\\x7f\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r"
				      "\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a"
				      "\x1b\x1c\x1d\x1e\x1f");

		c4_buf_add(out, text, plain);
		text += plain;
		if (*text)
			c4_buf_printf(out, "\\u%04x", (unsigned char)*text++);
	}
	c4_buf_add(out, "\"", 1);
}

static void put_real(struct c4_buf *out, const char *key, double v)
{
	if (isfinite(v))
		c4_buf_printf(out, ",\"%s\":%.12g", key, v);
	else
		c4_buf_printf(out, ",\"%s\":null", key); /* what JSON cannot say */
}

static void put_way(struct c4_buf *out, const char *key, const struct c4_held_fabric *f,
		    const struct c4_way *w)
{
	c4_buf_printf(out, ",\"%s\":[", key);
	for (uint16_t i = 0; i < w->n; i++) {
		c4_buf_add(out, ",", i > 0);
		put_text(out, f->fabric.switches[w->at[i]].name);
	}
	c4_buf_add(out, "]", 1);
}

static void put_id(struct answer *a, struct c4_buf *out, const char *id, uint32_t qp)
{
	c4_buf_printf(out, a->any ? ",\n{\"id\":" : "\n{\"id\":");
	put_text(out, id);
	c4_buf_printf(out, ",\"qp\":%u", qp);
	a->any = true;
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void put_parallel(struct c4_buf *out, const struct c4_route *r)
{
	unsigned int up = r->parallel_core & 15u, down = r->parallel_core >> 4;

	if (r->state == C4_ROUTE_SPINE && (r->parallel_up || r->parallel_down))
		c4_buf_printf(out, ",\"parallel\":[%u,%u]", r->parallel_up, r->parallel_down);
	else if (r->state == C4_ROUTE_CORE && (r->parallel_up || r->parallel_down || up || down))
		c4_buf_printf(out, ",\"parallel\":[%u,%u,%u,%u]", r->parallel_up, up, down,
			      r->parallel_down);
}

/* Where it goes when its spine fails, as far as known. */
static void put_backup(const struct answer *a, const struct c4_conn *c, uint32_t qp,
		       struct c4_buf *out)
{
	const struct c4_held_fabric *f = a->edition->fabric;
	struct c4_way way = c4_way_of(&f->fabric, c, &a->edition->backups[c->first + qp]);

	if (way.n > 1)
		put_way(out, "backup", f, &way);
}

static void put_route(struct answer *a, const struct c4_conn *c, uint32_t qp, struct c4_buf *out)
{
	const struct c4_held_fabric *f = a->edition->fabric;
	const struct c4_route *r = &a->edition->plan.routes[c->first + qp];
	const struct c4_nic *src = &f->fabric.nics[c->src], *dst = &f->fabric.nics[c->dst];
	struct c4_way way = c4_way_of(&f->fabric, c, r);

	if (!way.n)
		return;
	put_id(a, out, c->id, qp);
	c4_buf_printf(out, ",\"plane\":%u", src->plane);
	put_way(out, "path", f, &way);
	put_parallel(out, r);
	put_backup(a, c, qp, out);
	c4_buf_printf(out, ",\"src\":\"%s/%s\",\"dst\":\"%s/%s\"", f->fabric.hosts[src->host].name,
		      src->name, f->fabric.hosts[dst->host].name, dst->name);
	put_real(out, "load", (double)c->weight * (double)r->share);
	if (r->sport)
		c4_buf_printf(out, ",\"sport\":%u,\"flow_label\":%u}", r->sport,
			      c4_label_of_port(r->sport));
	else
		c4_buf_printf(out, ",\"sport\":null,\"flow_label\":null}");
}

static void put_unplaced(struct answer *a, const struct c4_conn *c, uint32_t qp, struct c4_buf *out)
{
	const char *why = c4_plan_unplaced_reason(&a->edition->plan.routes[c->first + qp]);

	if (!why)
		return;
	put_id(a, out, c->id, qp);
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
	put_id(a, out, m->id, m->qp);
	put_way(out, "from", d->was, &m->from);
	put_way(out, "to", d->is, &m->to);
	c4_buf_printf(out, ",\"reason\":\"%s\",\"version\":%llu}", c4_shift_reason_name(m->why),
		      (unsigned long long)d->version);
}

static void put_gone(struct answer *a, const struct c4_delta *d, uint32_t i, struct c4_buf *out)
{
	const struct c4_gone *g = &d->gone[i];

	if (!wanted_host(a, d->was, g->host))
		return;
	for (uint32_t q = 0; q < g->n; q++) {
		put_id(a, out, g->id, g->first + q);
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

	put_real(out, "max_link_load", p->max_load);
	put_real(out, "lower_bound", p->lower_bound);
	put_real(out, "max_utilization", p->max_util);
	put_real(out, "utilization_bound", p->util_bound);
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
		put_text(out, e->fabric->fabric.hosts[a->opts.host].name);
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
