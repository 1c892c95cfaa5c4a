// SPDX-License-Identifier: BSD-3-Clause
#include "collector/api.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "c4/version.h"
#include "collector/incident_json.h"
#include "collector/json.h"
#include "collector/metrics.h"
#include "collector/rank_list.h"
#include "collector/view.h"
#include "collector/view_matrix.h"

#define JSON_TYPE     "application/json"
#define PROTOBUF_TYPE "application/x-protobuf"

struct call {
	struct c4_collector *c;
	const struct c4_request *q;
	const char *tail; /* of the path, for prefix routes */
	uint64_t mono_ns, now_ns, wall_ns;
	struct c4_response *out;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_json(struct c4_response *out, int status, json_t *j)
{
	char *text = j ? json_dumps(j, C4_JSON_FLAGS) : NULL;

	json_decref(j);
	out->type = JSON_TYPE;
	out->status = text ? status : 500;
	if (text)
		c4_buf_add(&out->body, text, strlen(text));
	else
		c4_buf_printf(&out->body, "{\"error\":\"out of memory\"}");
	free(text);
}

void c4_api_error(struct c4_response *out, int status, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	answer_json(out, status, json_pack("{s:s}", "error", text));
}

/* {"name": list} */
static void answer_list(struct call *x, const char *name, json_t *list)
{
	answer_json(x->out, 200, json_pack("{s:o}", name, list));
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* True if ?job= is absent or names this job. */
static bool wanted(const struct call *x, const char *job)
{
	const char *only = c4_request_param(x->q, "job");

	return !only || !strcmp(only, job);
}

static void get_jobs(struct call *x)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < x->c->model.njobs; i++) {
		const struct c4_job *j = x->c->model.jobs[i];

		if (wanted(x, j->name))
			json_array_append_new(list, c4_view_job(j, &x->c->incidents));
	}
	answer_list(x, "jobs", list);
}

/* Long for a large job: told piece by piece. */
static void get_ranks(struct call *x)
{
	x->out->stream = c4_rank_list_new(&x->c->model, c4_request_param(x->q, "job"), x->now_ns);
	if (!x->out->stream) {
		c4_api_error(x->out, 503, "out of memory");
		return;
	}
	x->out->status = 200;
	x->out->type = JSON_TYPE;
}

static void get_comms(struct call *x)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < x->c->model.njobs; i++) {
		const struct c4_job *j = x->c->model.jobs[i];

		for (uint32_t k = 0; wanted(x, j->name) && k < j->ncomms; k++)
			if (j->comms[k])
				json_array_append_new(list, c4_view_comm(j, j->comms[k]));
	}
	answer_list(x, "comms", list);
}

/* Communicators with connections, ?comm= (name or id) one of them. */
static void get_matrix(struct call *x)
{
	const char *which = c4_request_param(x->q, "comm");
	json_t *list = json_array();
	uint32_t left = C4_VIEW_CELLS;

	for (uint32_t i = 0; i < x->c->model.njobs; i++) {
		const struct c4_job *j = x->c->model.jobs[i];

		for (uint32_t k = 0; wanted(x, j->name) && left && k < j->ncomms; k++) {
			const struct c4_comm *c = j->comms[k];

			if (c && c->conns.n && (!which || c4_view_is_comm(c, which)))
				json_array_append_new(list, c4_view_matrix(j, c, &left));
		}
	}
	answer_json(x->out, 200, json_pack("{s:o, s:b}", "matrices", list, "truncated", !left));
}

static void get_incidents(struct call *x)
{
	const char *state = c4_request_param(x->q, "state"), *kind = c4_request_param(x->q, "kind");
	json_t *list = json_array();

	for (uint32_t i = 0; i < x->c->incidents.n; i++) {
		const struct c4_incident *in = x->c->incidents.v[i];

		if (!wanted(x, in->job) || (kind && strcmp(kind, c4_incident_kind_name(in->kind))))
			continue;
		if (state ? strcmp(state, c4_incident_state_name(in->state)) != 0
			  : !c4_incident_public(in))
			continue;
		json_array_append_new(list, c4_incident_to_json(in));
	}
	answer_list(x, "incidents", list);
}

static void get_incident(struct call *x)
{
	const struct c4_incident *in = c4_incidents_by_id(&x->c->incidents, x->tail);

	if (in)
		answer_json(x->out, 200, c4_incident_to_json(in));
	else
		c4_api_error(x->out, 404, "no incident '%.64s'", x->tail);
}

static void get_report(struct call *x)
{
	const char *name = c4_request_param(x->q, "job");
	const struct c4_model *m = &x->c->model;
	struct c4_job *j = NULL;

	if (name)
		j = c4_model_job_by_name(m, name);
	else if (m->njobs)
		j = m->jobs[m->njobs - 1];
	if (!j) {
		c4_api_error(x->out, 404, name ? "no job '%.64s'" : "no job yet", name);
		return;
	}
	if (j->memory && j->changed_ns > j->judged_ns)
		c4_collector_look(x->c, j, x->now_ns, x->wall_ns);
	answer_json(x->out, 200, c4_view_report(j, &x->c->incidents, x->now_ns));
}

/* ---- health and metrics -----------------------------------------------------------------------
 */

static void get_health(struct call *x)
{
	const char *problem = c4_keeper_problem(x->c->keeper);
	double up = (double)c4_vclock_since(x->now_ns, x->c->started_ns) / 1e9;
	json_t *j = json_pack("{s:s, s:s, s:o}", "status", problem ? "degraded" : "ok", "version",
			      C4_VERSION, "uptime_s", c4_json_real(up));

	if (j && problem)
		json_object_set_new(j, "reason", json_string(problem));
	answer_json(x->out, problem ? 503 : 200, j);
}

static void get_metrics(struct call *x)
{
	x->out->status = 200;
	x->out->type = "text/plain; version=0.0.4; charset=utf-8";
	c4_metrics_write(x->c, &x->out->body);
}

/* ---- posts ----------------------------------------------------------------------------------- */

static const struct {
	int status;
	const char *label;
} refusals[] = {[C4_POST_OK] = {200, "ok"},
#define C4_X(sym, label, status) [C4_POST_##sym] = {status, label},
		C4_POST_REFUSALS(C4_X)
#undef C4_X
};

static bool is_protobuf(const char *type)
{
	size_t n = strlen(PROTOBUF_TYPE);

	return !strncasecmp(type, PROTOBUF_TYPE, n) && (!type[n] || strchr("; \t", type[n]));
}

static void post_post(struct call *x)
{
	struct c4_ingest_answer answer;
	uint8_t buf[C4_ANSWER_BYTES];
	enum c4_post_refusal why;

	if (!is_protobuf(x->q->type)) {
		x->c->stats.posts_refused[C4_POST_TYPE]++;
		c4_api_error(x->out, 415, "posts are %s", PROTOBUF_TYPE);
		return;
	}
	why = c4_collector_post(x->c, x->q->body, x->q->bytes, x->mono_ns, x->wall_ns, &answer);
	if (refusals[why].status != 200) {
		c4_api_error(x->out, refusals[why].status, "post refused: %s", refusals[why].label);
		return;
	}
	x->out->status = 200;
	x->out->type = PROTOBUF_TYPE;
	c4_buf_add(&x->out->body, buf, c4_answer_encode(&answer, buf));
}

static void post_links(struct call *x)
{
	char why[256];
	int rc = c4_linktab_post(&x->c->links, x->q->body, x->q->bytes, x->now_ns, why, sizeof why);

	if (rc)
		c4_api_error(x->out, rc == -EINVAL ? 400 : 503, "%s", why);
	else
		answer_json(x->out, 202, json_pack("{s:b}", "accepted", 1));
}

/* ---- routes ---------------------------------------------------------------------------------- */

static const struct route {
	const char *method, *path;
	bool prefix; /* the rest of the path is an argument */
	void (*handle)(struct call *);
} routes[] = {
	{"POST", "/v1/post", false, post_post},
	{"POST", "/v1/links", false, post_links},
	{"GET", "/healthz", false, get_health},
	{"GET", "/metrics", false, get_metrics},
	{"GET", "/api/v1/jobs", false, get_jobs},
	{"GET", "/api/v1/ranks", false, get_ranks},
	{"GET", "/api/v1/comms", false, get_comms},
	{"GET", "/api/v1/matrix", false, get_matrix},
	{"GET", "/api/v1/incidents", false, get_incidents},
	{"GET", "/api/v1/incidents/", true, get_incident},
	{"GET", "/api/v1/report", false, get_report},
};

static const struct route *route_of(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		const struct route *r = &routes[i];

		if (r->prefix ? !strncmp(path, r->path, strlen(r->path)) : !strcmp(path, r->path))
			return r;
	}
	return NULL;
}

/* "/v2/post": an agent of another age, which should learn what is spoken here. */
static bool other_wire(const char *path)
{
	char *end;

	if (strncmp(path, "/v", 2) != 0)
		return false;
	(void)strtoul(path + 2, &end, 10);
	return end > path + 2 && !strcmp(end, "/post");
}

static void no_route(struct call *x)
{
	if (!other_wire(x->q->path)) {
		c4_api_error(x->out, 404, "no such path");
		return;
	}
	x->c->stats.posts_refused[C4_POST_VERSION]++;
	answer_json(x->out, 404,
		    json_pack("{s:s, s:[s]}", "error", "unknown wire version", "versions", "v1"));
}

static bool method_fits(const char *method, const char *want)
{
	return !strcmp(method, want) || (!strcmp(method, "HEAD") && !strcmp(want, "GET"));
}

void c4_api_handle(struct c4_collector *c, const struct c4_request *q, uint64_t mono_ns,
		   uint64_t wall_ns, struct c4_response *out)
{
	const struct route *r = route_of(q->path);
	struct call x = {
		.c = c,
		.q = q,
		.mono_ns = mono_ns,
		.now_ns = c4_vclock_now(&c->clock, mono_ns),
		.wall_ns = wall_ns,
		.out = out,
	};

	if (!r) {
		no_route(&x);
	} else if (!method_fits(q->method, r->method)) {
		c4_api_error(out, 405, "use %s", r->method);
		out->allow = r->method;
	} else {
		x.tail = q->path + strlen(r->path);
		r->handle(&x);
	}
}
