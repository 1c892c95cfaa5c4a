// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/plan_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>

#include "planner/model/label.h"
#include "planner/model/replan.h"

/* ---- what a route means ---------------------------------------------------------------------- */

struct c4_plan_way c4_plan_way(const struct c4_fabric *f, const struct c4_conn *c,
			       const struct c4_route *r)
{
	uint32_t src = f->nics[c->src].leaf, dst = f->nics[c->dst].leaf;

	switch ((enum c4_route_state)r->state) {
	case C4_ROUTE_LOCAL: return (struct c4_plan_way){{src}, 1};
	case C4_ROUTE_SPINE: return (struct c4_plan_way){{src, r->up, dst}, 3};
	case C4_ROUTE_CORE: return (struct c4_plan_way){{src, r->up, r->core, r->down, dst}, 5};
	case C4_ROUTE_NONE:
	case C4_ROUTE_NO_PATH:
	case C4_ROUTE_TWO_PLANES: break;
	}
	return (struct c4_plan_way){{0}, 0};
}

const char *c4_plan_unplaced_reason(const struct c4_route *r)
{
	switch ((enum c4_route_state)r->state) {
	case C4_ROUTE_NONE: return "not-planned";
	case C4_ROUTE_NO_PATH: return "no-path";
	case C4_ROUTE_TWO_PLANES: return "two-planes";
	case C4_ROUTE_LOCAL:
	case C4_ROUTE_SPINE:
	case C4_ROUTE_CORE: break;
	}
	return NULL;
}

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

	if (c4_plan_unplaced_reason(was) || same_way(was, is))
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

/* ---- text ------------------------------------------------------------------------------------ */

/* s as a JSON string, quotes and all. Names and ids were checked to be UTF-8 when they were read.
 */
static void put_quoted(FILE *out, const char *s)
{
	putc_unlocked('"', out);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < ' ' || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else {
			if (c == '"' || c == '\\')
				putc_unlocked('\\', out);
			putc_unlocked(c, out);
		}
	}
	putc_unlocked('"', out);
}

static void put_real(FILE *out, const char *before, double v)
{
	if (isfinite(v))
		fprintf(out, "%s%.12g", before, v);
	else
		fprintf(out, "%snull", before); /* what JSON cannot say */
}

static void put_way(FILE *out, const struct c4_fabric *f, const struct c4_plan_way *w)
{
	for (uint32_t i = 0; i < w->n; i++) {
		putc_unlocked(i ? ',' : '[', out);
		put_quoted(out, f->switches[w->at[i]].name);
	}
	fputs(w->n ? "]" : "[]", out);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* One QP's item, behind `before`; false if the list has none for it. */
typedef bool (*put_qp)(FILE *out, const struct c4_plan_json *w, const struct c4_conn *c, uint32_t q,
		       const char *before);

static void put_list(FILE *out, const struct c4_plan_json *w, const char *key, put_qp put)
{
	const char *before = "\n";

	fprintf(out, ",\n\"%s\":[", key);
	for (uint32_t i = 0; i < w->d->n_conns; i++) {
		const struct c4_conn *c = &w->d->conns[i];

		for (uint32_t q = 0; q < c->qps; q++)
			if (put(out, w, c, q, before))
				before = ",\n";
	}
	fputc(']', out);
}

static void put_id(FILE *out, const char *before, const struct c4_conn *c, uint32_t q)
{
	fputs(before, out);
	fputs("{\"id\":", out);
	put_quoted(out, c->id);
	fprintf(out, ",\"qp\":%" PRIu32, q);
}

static void put_parallel(FILE *out, const struct c4_route *r)
{
	unsigned int up = r->parallel_core & 15u, down = r->parallel_core >> 4;

	if (r->state == C4_ROUTE_SPINE && (r->parallel_up || r->parallel_down))
		fprintf(out, ",\"parallel\":[%u,%u]", r->parallel_up, r->parallel_down);
	else if (r->state == C4_ROUTE_CORE && (r->parallel_up || r->parallel_down || up || down))
		fprintf(out, ",\"parallel\":[%u,%u,%u,%u]", r->parallel_up, up, down,
			r->parallel_down);
}

static bool put_route(FILE *out, const struct c4_plan_json *w, const struct c4_conn *c, uint32_t q,
		      const char *before)
{
	const struct c4_route *r = &w->p->routes[c->first + q];
	struct c4_plan_way way = c4_plan_way(w->f, c, r);

	if (!way.n)
		return false;
	put_id(out, before, c, q);
	fputs(",\"job\":", out);
	put_quoted(out, w->d->jobs[c->job].name);
	fprintf(out, ",\"plane\":%" PRIu32 ",\"path\":", w->f->nics[c->src].plane);
	put_way(out, w->f, &way);
	put_parallel(out, r);
	fprintf(out, ",\"load\":%.9g", (double)c->weight * (double)r->share);
	if (r->sport)
		fprintf(out, ",\"sport\":%u,\"flow_label\":%" PRIu32 "}", r->sport,
			c4_label_of_port(r->sport));
	else
		fputs(",\"sport\":null,\"flow_label\":null}", out);
	return true;
}

static bool put_unplaced(FILE *out, const struct c4_plan_json *w, const struct c4_conn *c,
			 uint32_t q, const char *before)
{
	const char *reason = c4_plan_unplaced_reason(&w->p->routes[c->first + q]);

	if (!reason)
		return false;
	put_id(out, before, c, q);
	fprintf(out, ",\"reason\":\"%s\"}", reason);
	return true;
}

static bool put_move(FILE *out, const struct c4_plan_json *w, const struct c4_conn *c, uint32_t q,
		     const char *before)
{
	const struct c4_route *was = &w->previous->routes[c->first + q];
	const struct c4_route *is = &w->p->routes[c->first + q];
	const char *why = c4_plan_move_reason(w->f, c, was, is);
	struct c4_plan_way from, to;

	if (!why)
		return false;
	from = c4_plan_way(w->f, c, was);
	to = c4_plan_way(w->f, c, is);
	put_id(out, before, c, q);
	fputs(",\"from\":", out);
	put_way(out, w->f, &from);
	fputs(",\"to\":", out);
	put_way(out, w->f, &to);
	fprintf(out, ",\"reason\":\"%s\"}", why);
	return true;
}

static void put_links(FILE *out, const struct c4_fabric *f, const double *load)
{
	fputs(",\n\"links\":[", out);
	for (uint32_t i = 0; i < f->n_links; i++) {
		const struct c4_link *l = &f->links[i];

		fputs(i ? ",\n{\"a\":" : "\n{\"a\":", out);
		put_quoted(out, f->switches[l->a].name);
		fputs(",\"b\":", out);
		put_quoted(out, f->switches[l->b].name);
		put_real(out, ",\"gbps\":", (double)l->gbps);
		put_real(out, ",\"now_gbps\":", (double)l->now_gbps);
		put_real(out, ",\"load_up\":", load[2 * (size_t)i]);
		put_real(out, ",\"load_down\":", load[2 * (size_t)i + 1]);
		fputc('}', out);
	}
	fputc(']', out);
}

int c4_plan_json_write(FILE *out, const struct c4_plan_json *w)
{
	const struct c4_plan *p = w->p;

	errno = 0;
	fputs("{\"schema\":\"" C4_PLAN_SCHEMA "\"", out);
	put_real(out, ",\n\"max_link_load\":", p->max_load);
	put_real(out, ",\"lower_bound\":", p->lower_bound);
	put_real(out, ",\n\"max_utilization\":", p->max_util);
	put_real(out, ",\"utilization_bound\":", p->util_bound);
	if (w->oracle) {
		fputs(",\n\"oracle\":", out);
		put_quoted(out, w->oracle);
	}
	put_list(out, w, "unplaced", put_unplaced);
	if (w->previous)
		put_list(out, w, "moves", put_move);
	if (w->load)
		put_links(out, w->f, w->load);
	put_list(out, w, "routes", put_route);
	fputs("}\n", out);
	if (fflush(out) || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}
