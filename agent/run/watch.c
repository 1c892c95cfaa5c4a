// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/summary.h"
#include "common/base/clock.h"
#include "common/log.h"

#define ROUND_MS 500

static void on_line(void *arg, const char *line)
{
	struct c4_watch *w = arg;

	c4_live_line(w->live, line);
}

void c4_watch_tell(struct c4_watch *w, const json_t *incidents)
{
	c4_ledger_update(&w->ledger, incidents, c4_mono_ns() - w->start_ns, on_line, w);
}

static void note_trouble(struct c4_watch *w, const char *error)
{
	w->trouble = error != NULL;
	if (!error || w->warned)
		return;
	w->warned = true;
	c4_warn("collector %s: %s: the job runs, but unwatched until it answers", w->address,
		error);
}

static void on_incidents(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_watch *w = arg;

	(void)status;
	w->in_flight--;
	note_trouble(w, answer ? NULL : error);
	if (answer)
		c4_watch_tell(w, json_object_get(answer, "incidents"));
}

static void replace(json_t **slot, json_t *value)
{
	json_decref(*slot);
	*slot = json_incref(value);
}

static void on_jobs(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_watch *w = arg;

	(void)status;
	(void)error;
	w->in_flight--;
	if (answer)
		replace(&w->job, json_array_get(json_object_get(answer, "jobs"), 0));
}

static void on_comms(void *arg, int status, json_t *answer, const char *error)
{
	struct c4_watch *w = arg;

	(void)status;
	(void)error;
	w->in_flight--;
	if (answer)
		replace(&w->comms, json_object_get(answer, "comms"));
}

static void ask(struct c4_watch *w, const char *path, c4_api_cb cb)
{
	char full[384];

	snprintf(full, sizeof full, "%s%s", path, w->query);
	if (!c4_api_get(w->api, C4_API_QUICK, full, cb, w))
		w->in_flight++;
}

static void draw(struct c4_watch *w)
{
	struct c4_buf line = {0};

	c4_status_render(&line, w->job, w->comms, c4_mono_ns() - w->start_ns, w->ledger.open,
			 w->ledger.newest, w->trouble ? "the collector does not answer" : NULL);
	c4_live_status(w->live, c4_buf_str(&line));
	c4_buf_release(&line);
}

static void on_round(uv_timer_t *timer)
{
	struct c4_watch *w = timer->data;
	bool progress = w->live->terminal && w->round++ % 2 == 0;

	if (progress)
		draw(w);
	if (w->in_flight)
		return;
	ask(w, "/api/v1/incidents", on_incidents);
	if (!progress)
		return;
	ask(w, "/api/v1/jobs", on_jobs);
	ask(w, "/api/v1/comms", on_comms);
}

void c4_watch_start(struct c4_watch *w, uv_loop_t *loop, struct c4_api *api, struct c4_live *live,
		    const char *address, const char *job, uint64_t start_ns)
{
	char quoted[200];

	*w = (struct c4_watch){.api = api, .live = live, .address = address, .start_ns = start_ns};
	w->ledger.loud = live->terminal;
	c4_api_quote(quoted, sizeof quoted, job);
	snprintf(w->query, sizeof w->query, "?job=%s", quoted);
	uv_timer_init(loop, &w->timer);
	w->timer.data = w;
	uv_timer_start(&w->timer, on_round, 0, ROUND_MS);
}

void c4_watch_stop(struct c4_watch *w)
{
	if (w->api)
		uv_timer_stop(&w->timer);
}

void c4_watch_release(struct c4_watch *w)
{
	json_decref(w->job);
	json_decref(w->comms);
	w->job = NULL;
	w->comms = NULL;
}
