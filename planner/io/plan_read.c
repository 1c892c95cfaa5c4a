// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/plan_read.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "planner/io/json_walk.h"

struct reader {
	const struct c4_plan_visitor *v;
	struct c4_plan_summary sum;
	struct c4_json_place at;
	bool schema_seen;
};

/* ---- records --------------------------------------------------------------------------------- */

static bool take_u32(const json_t *o, const char *key, uint32_t most, uint32_t *ret)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (v && !json_is_null(v) && (!json_is_integer(v) || n < 0 || n > (json_int_t)most))
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* Absent and null read as none. */
static bool take_way(const json_t *o, const char *key, const char **names, uint32_t *ret_n)
{
	const json_t *list = json_object_get(o, key), *v;
	size_t i;

	*ret_n = 0;
	if (list && !json_is_null(list) &&
	    (!json_is_array(list) || json_array_size(list) > C4_WAY_MAX))
		return false;
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return false;
		names[(*ret_n)++] = json_string_value(v);
	}
	return true;
}

static bool take_parallel(const json_t *o, uint32_t *parallel)
{
	const json_t *list = json_object_get(o, "parallel"), *v;
	size_t i;

	memset(parallel, 0, C4_HOPS_MAX * sizeof *parallel);
	if (json_array_size(list) > C4_HOPS_MAX)
		return false;
	json_array_foreach(list, i, v)
	{
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT8_MAX)
			return false;
		parallel[i] = (uint32_t)json_integer_value(v);
	}
	return true;
}

static double take_real(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

const char *c4_plan_record_parse(const json_t *o, const char *way, struct c4_plan_record *ret)
{
	uint32_t sport = 0;

	if (!take_u32(o, "qp", C4_CONN_QPS_MAX - 1, &ret->qp))
		return "\"qp\", expected an integer from 0 to 127";
	if (!take_u32(o, "plane", UINT32_MAX, &ret->plane))
		return "\"plane\", expected an integer";
	if (!take_u32(o, "sport", UINT16_MAX, &sport))
		return "\"sport\", expected null or an integer from 0 to 65535";
	if (!take_way(o, way, ret->path, &ret->n_path) ||
	    !take_way(o, "from", ret->from, &ret->n_from))
		return "expected the path as an array of 1, 3 or 5 switches";
	if (!take_parallel(o, ret->parallel))
		return "\"parallel\", expected an array of up to 4 small integers";
	ret->id = json_string_value(json_object_get(o, "id"));
	ret->job = json_string_value(json_object_get(o, "job"));
	ret->sport = (uint16_t)sport;
	ret->load = take_real(json_object_get(o, "load"));
	ret->reason = json_string_value(json_object_get(o, "reason"));
	return NULL;
}

/* ---- document -------------------------------------------------------------------------------- */

static void read_summary(struct reader *r)
{
	const json_t *v = r->at.item->value;
	const char *key = r->at.item->key;
	double *real = NULL;

	if (!strcmp(key, "max_link_load"))
		real = &r->sum.max_load;
	else if (!strcmp(key, "lower_bound"))
		real = &r->sum.lower_bound;
	else if (!strcmp(key, "max_utilization"))
		real = &r->sum.max_util;
	else if (!strcmp(key, "utilization_bound"))
		real = &r->sum.util_bound;
	else if (!strcmp(key, "version") && json_is_integer(v))
		r->sum.version = (uint64_t)json_integer_value(v);
	if (real)
		*real = take_real(v);
}

static int read_schema(struct reader *r)
{
	const char *schema = json_string_value(r->at.item->value);

	r->schema_seen = true;
	if (!schema || strcmp(schema, C4_PLAN_SCHEMA) != 0)
		return c4_json_complain(&r->at,
					"not a plan, expected schema \"" C4_PLAN_SCHEMA "\"");
	return 0;
}

static int visit(struct reader *r, const char *way, uint64_t *count,
		 int (*call)(void *arg, const struct c4_plan_record *record))
{
	struct c4_plan_record record;
	const char *wrong;

	if (r->at.item->index < 0)
		return r->at.item->value ? c4_json_complain(&r->at, "expected an array") : 0;
	wrong = c4_plan_record_parse(r->at.item->value, way, &record);
	if (wrong)
		return c4_json_complain(&r->at, "%s", wrong);
	if (!record.id)
		return c4_json_complain(&r->at, "no \"id\", expected a name");
	++*count;
	return call ? call(r->v->arg, &record) : 0;
}

static int on_item(void *arg, const struct c4_json_item *item)
{
	struct reader *r = arg;

	r->at.item = item;
	if (!strcmp(item->key, "schema"))
		return read_schema(r);
	if (!strcmp(item->key, "routes"))
		return visit(r, "path", &r->sum.n_routes, r->v->route);
	if (!strcmp(item->key, "moves"))
		return visit(r, "to", &r->sum.n_moves, r->v->move);
	if (!strcmp(item->key, "unplaced"))
		return visit(r, "path", &r->sum.n_unplaced, r->v->unplaced);
	if (item->value)
		read_summary(r);
	return 0;
}

int c4_plan_read(const char *name, const char *text, size_t n, const struct c4_plan_visitor *v,
		 struct c4_plan_summary *ret, struct c4_buf *errors)
{
	static const char *const streamed[] = {"routes", "moves", "unplaced", NULL};
	struct c4_complaints c = {.out = errors, .file = name};
	struct c4_json_mistake mistake = {0};
	struct reader r = {.v = v, .at.complaints = &c};
	int rc;

	r.sum.max_load = r.sum.lower_bound = r.sum.max_util = r.sum.util_bound = (double)NAN;
	rc = c4_json_walk(text, n, streamed, on_item, &r, &mistake);
	if (!c4_json_complain_mistake(&c, &mistake) && !rc && !r.schema_seen) {
		c4_complain(&c, 0, "no \"schema\", expected \"" C4_PLAN_SCHEMA "\"");
		rc = -EINVAL;
	}
	if (!rc)
		*ret = r.sum;
	return rc;
}

/* ---- onto a demand --------------------------------------------------------------------------- */

struct onto {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	struct c4_plan plan;
	uint64_t unknown;
};

static uint16_t switch_of(const struct c4_fabric *f, const char *name, enum c4_tier tier, bool *ok)
{
	uint32_t s = c4_fabric_switch(f, name);

	if (s != C4_NONE && f->switches[s].tier == tier)
		return (uint16_t)s;
	*ok = false;
	return 0;
}

static bool is_leaf(const struct c4_fabric *f, uint32_t nic, const char *name)
{
	return c4_fabric_switch(f, name) == f->nics[nic].leaf;
}

/* The ways' switches, as far as there are such ones. */
static bool set_switches(const struct c4_fabric *f, const struct c4_plan_record *in,
			 struct c4_route *r)
{
	bool ok = true;

	switch (in->n_path) {
	case 1: r->state = C4_ROUTE_LOCAL; break;
	case 3:
		r->state = C4_ROUTE_SPINE;
		r->up = r->down = switch_of(f, in->path[1], C4_SPINE, &ok);
		r->parallel_down = (uint8_t)in->parallel[1];
		break;
	case 5:
		r->state = C4_ROUTE_CORE;
		r->up = switch_of(f, in->path[1], C4_SPINE, &ok);
		r->core = switch_of(f, in->path[2], C4_CORE, &ok);
		r->down = switch_of(f, in->path[3], C4_SPINE, &ok);
		r->parallel_core = (uint8_t)(in->parallel[1] | in->parallel[2] << 4);
		r->parallel_down = (uint8_t)in->parallel[3];
		ok = ok && in->parallel[1] < 16 && in->parallel[2] < 16;
		break;
	default: return false;
	}
	r->parallel_up = (uint8_t)in->parallel[0];
	return ok;
}

bool c4_plan_record_route(const struct c4_fabric *f, const struct c4_conn *c,
			  const struct c4_plan_record *in, struct c4_route *ret)
{
	struct c4_route r = {.sport = in->sport, .share = 1.0f / (float)c->qps};
	struct c4_hop hops[C4_HOPS_MAX];
	int n;

	if (!in->n_path || !is_leaf(f, c->src, in->path[0]) ||
	    !is_leaf(f, c->dst, in->path[in->n_path - 1]) || !set_switches(f, in, &r))
		return false;
	n = c4_route_hops(f, c, &r, hops);
	for (int i = 0; i < n; i++)
		if (hops[i].link == C4_NONE)
			return false;
	if (in->load > 0 && in->load <= (double)c->weight)
		r.share = (float)(in->load / (double)c->weight);
	*ret = r;
	return true;
}

static int on_route(void *arg, const struct c4_plan_record *in)
{
	struct onto *o = arg;
	const struct c4_strmap_entry *e = c4_strmap_find(&o->d->ids, in->id);
	const struct c4_conn *c = e ? &o->d->conns[(uintptr_t)e->value - 1] : NULL;

	if (!c || in->qp >= c->qps ||
	    !c4_plan_record_route(o->f, c, in, &o->plan.routes[c->first + in->qp]))
		o->unknown++;
	return 0;
}

int c4_plan_read_onto(const struct c4_fabric *f, const struct c4_demand *d, const char *name,
		      const char *text, size_t n, struct c4_plan *ret, uint64_t *ret_unknown,
		      struct c4_buf *errors)
{
	struct onto o = {.f = f, .d = d};
	const struct c4_plan_visitor v = {.route = on_route, .arg = &o};
	struct c4_plan_summary sum;
	int rc = c4_plan_init(&o.plan, d);

	if (rc)
		return rc;
	rc = c4_plan_read(name, text, n, &v, &sum, errors);
	if (rc) {
		c4_plan_release(&o.plan);
		return rc;
	}
	*ret = o.plan;
	*ret_unknown = o.unknown;
	return 0;
}
