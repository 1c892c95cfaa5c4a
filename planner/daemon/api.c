// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/api.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c4/version.h"
#include "planner/daemon/answer.h"
#include "planner/daemon/metrics.h"
#include "planner/daemon/routes/live.h"

#define JSON_TYPE     "application/json"
#define PROTOBUF_TYPE "application/x-protobuf"

struct call {
	struct c4_planner *p;
	const struct c4_request *q;
	uint64_t now_ns;
	struct c4_response *out;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_json(struct c4_response *out, int status, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;

	json_decref(j);
	out->type = JSON_TYPE;
	out->status = text ? status : 500;
	c4_buf_printf(&out->body, "%s\n", text ? text : "{\"error\":\"out of memory\"}");
	free(text);
}

void c4_planner_api_error(struct c4_response *out, int status, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	answer_json(out, status, json_pack("{s:s}", "error", text));
}

/* ---- the plan -------------------------------------------------------------------------------- */

/* A decimal number and nothing else. */
static bool read_u64(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end;
}

/* False after answering that the query makes no sense. */
static bool read_query(struct call *x, struct c4_answer_opts *o)
{
	const char *since = c4_request_param(x->q, "since");
	const char *instance = c4_request_param(x->q, "instance");
	const char *node = c4_request_param(x->q, "node");
	const struct c4_held_fabric *f = x->p->edition->fabric;

	if (since && !read_u64(since, &o->since)) {
		c4_planner_api_error(x->out, 400, "since is '%.64s', expected a version", since);
		return false;
	}
	if (instance && strcmp(instance, x->p->instance) != 0 && o->since != x->p->adopted)
		o->since = 0; /* versions of another process, but for the one it left behind */
	if (!node || !f)
		return true;
	o->host = c4_fabric_host(&f->fabric, node);
	if (o->host == C4_NONE)
		c4_planner_api_error(x->out, 404, "no host '%.128s' in the fabric", node);
	return o->host != C4_NONE;
}

static void get_plan(struct call *x)
{
	struct c4_answer_opts o = {
		.instance = x->p->instance,
		.standing = c4_planner_standing(x->p),
		.host = C4_NONE,
	};

	if (!read_query(x, &o))
		return;
	x->out->stream = c4_answer_new(x->p->edition, &x->p->journal, &o);
	if (!x->out->stream) {
		c4_planner_api_error(x->out, 503, "out of memory");
		return;
	}
	x->out->status = 200;
	x->out->type = JSON_TYPE;
}

/* ---- links ----------------------------------------------------------------------------------- */

static bool take_name(const json_t *j, const char *key, char *to, size_t n)
{
	const char *text = json_string_value(json_object_get(j, key));

	return text && *text && snprintf(to, n, "%s", text) < (int)n;
}

/* False: not of the expected form. */
static bool read_report(const struct c4_request *q, struct c4_link_report *r)
{
	json_t *j = json_loadb(q->body, q->bytes, JSON_REJECT_DUPLICATES, NULL);
	json_t *rate = json_object_get(j, "now_gbps"), *parallel = json_object_get(j, "parallel");
	bool good = json_is_object(j) && take_name(j, "a", r->a, sizeof r->a) &&
		    take_name(j, "b", r->b, sizeof r->b) && json_is_number(rate);

	r->now_gbps = (float)json_number_value(rate);
	r->parallel = C4_PARALLEL_ALL;
	if (parallel) {
		json_int_t i = json_integer_value(parallel);

		good &= json_is_integer(parallel) && i >= 0 && i < UINT16_MAX;
		r->parallel = (uint32_t)i;
	}
	json_decref(j);
	return good;
}

static int status_of(int rc)
{
	switch (rc) {
	case -ENOENT: return 404;
	case -EINVAL: return 400;
	default: return 503;
	}
}

static void post_link(struct call *x)
{
	struct c4_link_report r = {.a = ""};
	struct c4_fault fault;
	int rc;

	if (!read_report(x->q, &r)) {
		c4_planner_api_error(
			x->out, 400,
			"expected {\"a\": SWITCH, \"b\": SWITCH, \"now_gbps\": NUMBER} and, "
			"for one of parallel links, \"parallel\": INDEX");
		return;
	}
	rc = c4_planner_report_link(x->p, &r, &fault);
	if (rc) {
		c4_planner_api_error(x->out, status_of(rc), "%s", fault.what);
		return;
	}
	c4_planner_tick(x->p, x->now_ns);
	answer_json(x->out, 202,
		    json_pack("{s:b, s:I}", "accepted", 1, "version",
			      (json_int_t)x->p->edition->version));
}

static void get_links(struct call *x)
{
	const struct c4_links *l = &x->p->edition->links;
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:i, s:f, s:f, s:s}", "a", l->v[i].a,
						"b", l->v[i].b, "parallel", (int)l->v[i].parallel,
						"now_gbps", (double)l->v[i].now_gbps, "file_gbps",
						(double)l->v[i].file_gbps, "reason",
						l->v[i].sensed ? "sensed" : "reported"));
	answer_json(x->out, 200, json_pack("{s:o}", "links", list));
}

static void post_reload(struct call *x)
{
	c4_planner_reload(x->p);
	c4_planner_tick(x->p, x->now_ns);
	answer_json(x->out, 202, json_pack("{s:b}", "accepted", 1));
}

/* ---- agents ---------------------------------------------------------------------------------- */

static int exchange_status(int rc)
{
	switch (rc) {
	case -EBADMSG:
	case -EINVAL: return 400;
	case -ENOENT: return 404;
	default: return 503;
	}
}

static void post_routes(struct call *x)
{
	const struct c4_routes_ask ask = {
		.body = x->q->body,
		.bytes = x->q->bytes,
		.peer = x->q->peer,
		.standing = !strcmp(c4_planner_standing(x->p), "ok"),
		.now_ns = x->now_ns,
	};
	struct c4_fault fault;
	int rc;

	if (strcmp(x->q->type, PROTOBUF_TYPE) != 0) {
		c4_planner_api_error(x->out, 415, "reports are %s", PROTOBUF_TYPE);
		return;
	}
	rc = c4_routes_exchange(&x->p->routes, &ask, &x->out->body, &fault);
	if (rc) {
		c4_planner_api_error(x->out, exchange_status(rc), "%s", fault.what);
		return;
	}
	x->out->status = 200;
	x->out->type = PROTOBUF_TYPE;
	c4_planner_tick(x->p, x->now_ns);
}

static void get_live(struct call *x)
{
	answer_json(x->out, 200, c4_live_json(&x->p->routes, x->now_ns));
}

/* ---- health and metrics -----------------------------------------------------------------------
 */

/* Without a fabric it waits for one: nothing is broken, unless the file is there and bad. */
static bool only_waiting(const struct c4_planner *p, enum c4_planner_problem which)
{
	return which == C4_PROBLEM_FABRIC && p->fabric_missing && !p->edition->fabric;
}

static void get_health(struct call *x)
{
	const struct c4_planner *p = x->p;
	const char *status = p->edition->fabric ? "ok" : "idle";
	json_t *reasons = json_object(), *j;

	for (int i = 0; i < C4_PROBLEM_MAX; i++) {
		if (!p->problems[i][0])
			continue;
		json_object_set_new(reasons, c4_planner_problem_name((enum c4_planner_problem)i),
				    json_string(p->problems[i]));
		if (!only_waiting(p, (enum c4_planner_problem)i))
			status = "degraded";
	}
	j = json_pack("{s:s, s:s, s:f, s:s, s:I, s:s, s:I, s:I, s:I, s:o}", "status", status,
		      "version", C4_VERSION, "uptime_s", (double)(x->now_ns - p->started_ns) / 1e9,
		      "instance", p->instance, "plan_version", (json_int_t)p->edition->version,
		      "standing", c4_planner_standing(p), "routes",
		      (json_int_t)p->edition->plan.n_routes, "unplaced",
		      (json_int_t)p->edition->plan.n_unplaced, "skipped",
		      (json_int_t)p->stats.skipped, "reasons", reasons);
	answer_json(x->out, strcmp(status, "degraded") != 0 ? 200 : 503, j);
}

static void get_metrics(struct call *x)
{
	x->out->status = 200;
	x->out->type = "text/plain; version=0.0.4; charset=utf-8";
	c4_planner_metrics_write(x->p, &x->out->body);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static const struct route {
	const char *method, *path;
	void (*handle)(struct call *);
} routes[] = {
	{"GET", "/api/v1/plan", get_plan},    {"GET", "/api/v1/links", get_links},
	{"POST", "/api/v1/links", post_link}, {"POST", "/api/v1/reload", post_reload},
	{"GET", "/healthz", get_health},      {"GET", "/metrics", get_metrics},
	{"POST", "/v1/routes", post_routes},  {"GET", "/api/v1/live", get_live},
};

static uint32_t body_max(const struct c4_request *q)
{
	return strcmp(q->path, "/v1/routes") != 0 ? C4_PLANNER_BODY_MAX : C4_ROUTES_BODY_MAX;
}

/* A path of another version of the wire. */
static bool other_version(const char *path)
{
	size_t n;

	if (path[0] != '/' || path[1] != 'v')
		return false;
	n = strspn(path + 2, "0123456789");
	return n && !strcmp(path + 2 + n, "/routes");
}

static bool method_fits(const char *method, const char *want)
{
	return !strcmp(method, want) || (!strcmp(method, "HEAD") && !strcmp(want, "GET"));
}

void c4_planner_api_handle(struct c4_planner *p, const struct c4_request *q, uint64_t now_ns,
			   struct c4_response *out)
{
	struct call x = {.p = p, .q = q, .now_ns = now_ns, .out = out};
	const char *other = NULL;

	if (q->bytes > body_max(q)) {
		c4_planner_api_error(out, 413, "larger than %u bytes", body_max(q));
		return;
	}
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (strcmp(q->path, routes[i].path) != 0)
			continue;
		if (method_fits(q->method, routes[i].method)) {
			routes[i].handle(&x);
			return;
		}
		other = routes[i].method;
	}
	if (other)
		c4_planner_api_error(out, 405, "use %s", other);
	else if (other_version(q->path))
		c4_planner_api_error(out, 404, "this planner speaks /v1/routes only");
	else
		c4_planner_api_error(out, 404, "no such path");
	out->allow = other;
}
