// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/plan_json.h"

#include <errno.h>
#include <stdbool.h>

#include "planner/io/route_json.h"
#include "planner/model/replan/replan.h"

/* ---- what a route means ---------------------------------------------------------------------- */

static bool same_way(const struct c4_route *a, const struct c4_route *b)
{
	if (a->state != b->state)
		return false;
	if (a->state == C4_ROUTE_SPINE || a->state == C4_ROUTE_CORE) {
		if (a->up != b->up || a->parallel_up != b->parallel_up ||
		    a->parallel_down != b->parallel_down)
			return false;
	}
	return a->state != C4_ROUTE_CORE ||
	       (a->core == b->core && a->down == b->down && a->parallel_core == b->parallel_core);
}

const char *c4_plan_move_reason(const struct c4_fabric *f, const struct c4_conn *c,
				const struct c4_route *was, const struct c4_route *is)
{
	enum c4_move_reason why = C4_MOVE_REBALANCE;
	struct c4_hop hops[C4_HOPS_MAX];
	int n;

	if (c4_json_unplaced(was) || same_way(was, is))
		return NULL;
	n = c4_route_hops(f, c, was, hops);
	for (int i = 0; i < n; i++) {
		const struct c4_link *l = hops[i].link == C4_NONE ? NULL : &f->links[hops[i].link];

		if (!l || l->now_gbps <= 0)
			return c4_move_reason_name(C4_MOVE_LINK_DOWN);
		if (l->now_gbps < l->gbps)
			why = C4_MOVE_LINK_WEAK;
	}
	return c4_move_reason_name(why);
}

/* ---- parts ----------------------------------------------------------------------------------- */

#define PART_BYTES 65536u

/* What is written goes to the file in parts. */
struct writer {
	const struct c4_plan_json *w;
	struct c4_buf text;
	FILE *out;
	int error;
};

static void flush(struct writer *o)
{
	if (o->text.failed)
		o->error = -ENOMEM;
	else if (!o->error && o->text.len &&
		 fwrite(o->text.data, 1, o->text.len, o->out) < o->text.len)
		o->error = errno ? -errno : -EIO;
	o->text.len = 0;
}

/* One QP's item, if the list has one for it. */
typedef void (*put_qp)(struct writer *o, bool *any, const struct c4_conn *c, uint32_t q);

static void put_list(struct writer *o, const char *key, put_qp put)
{
	const struct c4_demand *d = o->w->d;
	bool any = false;

	c4_buf_printf(&o->text, ",\n\"%s\":[", key);
	for (uint32_t i = 0; i < d->n_conns && !o->error; i++) {
		for (uint32_t q = 0; q < d->conns[i].qps; q++)
			put(o, &any, &d->conns[i], q);
		if (o->text.len > PART_BYTES)
			flush(o);
	}
	c4_buf_add(&o->text, "]", 1);
}

static void put_route(struct writer *o, bool *any, const struct c4_conn *c, uint32_t q)
{
	const struct c4_json_route r = {
		.f = o->w->f,
		.d = o->w->d,
		.c = c,
		.qp = q,
		.route = &o->w->p->routes[c->first + q],
	};

	c4_json_route(&o->text, any, &r);
}

static void put_unplaced(struct writer *o, bool *any, const struct c4_conn *c, uint32_t q)
{
	const char *reason = c4_json_unplaced(&o->w->p->routes[c->first + q]);

	if (!reason)
		return;
	c4_json_qp(&o->text, any, c->id, q);
	c4_buf_printf(&o->text, ",\"reason\":\"%s\"}", reason);
}

static void put_move(struct writer *o, bool *any, const struct c4_conn *c, uint32_t q)
{
	const struct c4_fabric *f = o->w->f;
	const struct c4_route *was = &o->w->previous->routes[c->first + q];
	const struct c4_route *is = &o->w->p->routes[c->first + q];
	const char *why = c4_plan_move_reason(f, c, was, is);
	struct c4_way from, to;

	if (!why)
		return;
	from = c4_way_of(f, c, was);
	to = c4_way_of(f, c, is);
	c4_json_qp(&o->text, any, c->id, q);
	c4_json_way(&o->text, "from", f, &from);
	c4_json_way(&o->text, "to", f, &to);
	c4_buf_printf(&o->text, ",\"reason\":\"%s\"}", why);
}

static void put_link(struct c4_buf *out, const struct c4_fabric *f, uint32_t i, const double *load)
{
	const struct c4_link *l = &f->links[i];

	c4_buf_printf(out, i ? ",\n{\"a\":" : "\n{\"a\":");
	c4_json_text(out, f->switches[l->a].name);
	c4_buf_printf(out, ",\"b\":");
	c4_json_text(out, f->switches[l->b].name);
	c4_json_real(out, "gbps", (double)l->gbps);
	c4_json_real(out, "now_gbps", (double)l->now_gbps);
	c4_json_real(out, "load_up", load[2 * (size_t)i]);
	c4_json_real(out, "load_down", load[2 * (size_t)i + 1]);
	c4_buf_add(out, "}", 1);
}

static void put_links(struct writer *o)
{
	c4_buf_printf(&o->text, ",\n\"links\":[");
	for (uint32_t i = 0; i < o->w->f->n_links && !o->error; i++) {
		put_link(&o->text, o->w->f, i, o->w->load);
		if (o->text.len > PART_BYTES)
			flush(o);
	}
	c4_buf_add(&o->text, "]", 1);
}

static void put_head(struct writer *o)
{
	const struct c4_plan *p = o->w->p;

	c4_buf_printf(&o->text, "{\"schema\":\"" C4_PLAN_SCHEMA "\"");
	c4_json_real(&o->text, "max_link_load", p->max_load);
	c4_json_real(&o->text, "lower_bound", p->lower_bound);
	c4_json_real(&o->text, "max_utilization", p->max_util);
	c4_json_real(&o->text, "utilization_bound", p->util_bound);
	if (o->w->oracle) {
		c4_buf_printf(&o->text, ",\"oracle\":");
		c4_json_text(&o->text, o->w->oracle);
	}
}

int c4_plan_json_write(FILE *out, const struct c4_plan_json *w)
{
	struct writer o = {.w = w, .out = out};

	errno = 0;
	put_head(&o);
	put_list(&o, "unplaced", put_unplaced);
	if (w->previous)
		put_list(&o, "moves", put_move);
	if (w->load)
		put_links(&o);
	put_list(&o, "routes", put_route);
	c4_buf_printf(&o.text, "}\n");
	flush(&o);
	c4_buf_release(&o.text);
	if (!o.error && (fflush(out) || ferror(out)))
		o.error = errno ? -errno : -EIO;
	return o.error;
}
