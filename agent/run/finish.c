// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/finish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/run/monitor.h"
#include "agent/run/report.h"
#include "agent/run/summary.h"
#include "agent/run/text.h"
#include "common/base/clock.h"
#include "common/log.h"

#define LINGER_MS	   20000
#define AGENT_GRACE_MS	   4000
#define COLLECTOR_GRACE_MS 2000
#define HURRY_GRACE_MS	   300
#define SETTLE_MS	   2500
#define SETTLE_LOOK_MS	   100

static void set_deadline(struct c4_session *s, uint64_t ms)
{
	s->deadline_ns = c4_mono_ns() + ms * 1000000u;
}

static bool overdue(const struct c4_session *s)
{
	return s->hurry || c4_mono_ns() >= s->deadline_ns;
}

static void on_timer(uv_timer_t *timer)
{
	c4_finish_advance(timer->data);
}

static void look_again(struct c4_session *s, uint64_t ms)
{
	uv_timer_start(&s->timer, on_timer, ms, 0);
}

/* ---- the report ----------------------------------------------------------------------------- */

static void write_report(struct c4_session *s, const json_t *report)
{
	const char *path = s->plan->opts->report;
	int rc = path ? c4_report_write(path, report) : 0;

	if (rc)
		c4_error("report %s: %s: not written", path, strerror(-rc));
}

static bool wants_report(const struct c4_session *s)
{
	return s->voice && (s->plan->opts->report || !s->plan->opts->quiet);
}

static void ask_report(struct c4_session *s, enum c4_api_patience patience, c4_api_cb cb)
{
	char job[200], path[256];

	c4_api_quote(job, sizeof job, s->plan->job);
	snprintf(path, sizeof path, "/api/v1/report?job=%s", job);
	if (c4_api_get(s->api, patience, path, cb, s))
		cb(s, -1, NULL, "too many questions under way");
}

/* Takes an answer over; 404 is an answer, too: no rank of this job was ever seen. */
static void keep(struct c4_session *s, int status, json_t *answer, const char *error)
{
	json_t *report = answer ? json_incref(answer)
				: c4_report_blank(s->plan->job, status == 404 ? s->trouble : error);

	/* an older answer says more than a failure */
	if (!answer && s->report) {
		json_object_set(s->report, "error", json_object_get(report, "error"));
		json_decref(report);
		return;
	}
	json_decref(s->report);
	s->report = report;
}

static void on_early_report(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_session *s = arg;

	keep(s, status, answer, error);
	if (s->report)
		write_report(s, s->report);
}

void c4_finish_report_now(struct c4_session *s)
{
	if (!s->voice || !s->plan->opts->report)
		return;
	if (s->api)
		ask_report(s, C4_API_QUICK, on_early_report);
	else
		on_early_report(s, -1, NULL, s->trouble ? s->trouble : "no collector");
}

/*
 * The collector judges a little after the last post came in; until then the job still counts as
 * running. With another's agent on this node even the first post may be under way.
 */
static bool settled(const struct c4_session *s, int status, const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));

	if (status == 404)
		return s->plan->embedded || s->agent.stopping;
	return !answer || !state || strcmp(state, "running") != 0;
}

static void on_report(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_session *s = arg;

	s->asking = false;
	keep(s, status, answer, error);
	if (!settled(s, status, answer) && !overdue(s)) {
		look_again(s, SETTLE_LOOK_MS);
		return;
	}
	s->stage = C4_STAGE_COLLECTOR;
	c4_finish_advance(s);
}

static void print_summary(struct c4_session *s)
{
	char job[64], state[64];
	struct c4_buf text = {0};

	/* blind: a warning has said so already */
	if (s->plan->opts->quiet || s->start_error || s->plan->blind)
		return;
	/* a monitor knows no exit status, only what the collector makes of the ranks' ends */
	c4_summary_render(&text, s->report,
			  s->monitor ? c4_text_of(s->report, "state", state, sizeof state)
				     : c4_job_outcome(&s->job, job, sizeof job));
	if (text.len) {
		text.data[text.len - 1] = '\0'; /* the line brings its own newline */
		c4_live_line(&s->live, text.data);
	}
	c4_buf_release(&text);
}

/* Ranks on several nodes without a common collector: only rank 0's node owns the file. */
static bool may_write(const struct c4_session *s)
{
	return !s->joined || !s->plan->embedded || c4_node_has_rank0(&s->node);
}

static void conclude(struct c4_session *s)
{
	const char *trouble = s->start_error ? strerror(-s->start_error) : s->trouble;

	if (!wants_report(s))
		return;
	if (!s->report)
		s->report = c4_report_blank(s->plan->job, trouble);
	if (!s->report)
		return;
	if (s->watch.api)
		c4_watch_tell(&s->watch, json_object_get(s->report, "incidents"));
	print_summary(s);
	if (may_write(s))
		write_report(s, s->report);
}

/* ---- the stages ----------------------------------------------------------------------------- */

/* Each returns true when the next stage may begin now. */
static bool linger(struct c4_session *s)
{
	return c4_monitor_may_leave(s) || overdue(s);
}

static bool stop(struct c4_session *s, struct c4_sidecar *sidecar, unsigned int grace_ms)
{
	if (!sidecar->stopping)
		c4_sidecar_stop(sidecar, s->hurry ? HURRY_GRACE_MS : grace_ms);
	return sidecar->told || !c4_sidecar_running(sidecar);
}

/* A collector that cannot be reached takes no last post and gives no report: do not wait. */
static void on_health(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_session *s = arg;

	s->probing = false;
	s->mute = status < 0;
	if (s->mute) {
		keep(s, status, answer, error);
		if (s->stage == C4_STAGE_AGENT)
			c4_sidecar_stop(&s->agent, HURRY_GRACE_MS);
	}
	c4_finish_advance(s);
}

static void leave_running(struct c4_session *s)
{
	c4_watch_stop(&s->watch);
	s->probing = s->api && !c4_api_get(s->api, C4_API_QUICK, "/healthz", on_health, s);
	s->stage = C4_STAGE_AGENT;
}

/* A silent collector shows at the quick probe; only one that answers gets our patience. */
static bool fetch_report(struct c4_session *s)
{
	if (!s->api || s->mute || !wants_report(s) || s->start_error)
		return true;
	if (!s->asking && !s->probing) {
		s->asking = true;
		ask_report(s, C4_API_PATIENT, on_report);
	}
	return false;
}

static bool stop_collector(struct c4_session *s)
{
	if (!s->concluded)
		conclude(s);
	s->concluded = true;
	return stop(s, &s->collector, COLLECTOR_GRACE_MS);
}

void c4_finish_advance(struct c4_session *s)
{
	if (s->stage == C4_STAGE_LINGER && linger(s))
		leave_running(s);
	if (s->stage == C4_STAGE_AGENT && stop(s, &s->agent, AGENT_GRACE_MS)) {
		s->stage = C4_STAGE_REPORT;
		set_deadline(s, SETTLE_MS);
	}
	if (s->stage == C4_STAGE_REPORT && fetch_report(s))
		s->stage = C4_STAGE_COLLECTOR;
	if (s->stage == C4_STAGE_COLLECTOR && stop_collector(s)) {
		s->stage = C4_STAGE_DONE;
		uv_stop(&s->loop);
	}
}

void c4_finish_begin(struct c4_session *s)
{
	c4_live_clear(&s->live);
	s->stage = C4_STAGE_LINGER;
	set_deadline(s, LINGER_MS);
	look_again(s, LINGER_MS);
	c4_finish_advance(s);
}

void c4_finish_hurry(struct c4_session *s)
{
	s->hurry = true;
	if (s->stage == C4_STAGE_AGENT && c4_sidecar_running(&s->agent))
		c4_sidecar_stop(&s->agent, HURRY_GRACE_MS);
	else if (s->stage == C4_STAGE_COLLECTOR && c4_sidecar_running(&s->collector))
		c4_sidecar_stop(&s->collector, HURRY_GRACE_MS);
	else if (s->stage == C4_STAGE_LINGER)
		c4_finish_advance(s);
}
