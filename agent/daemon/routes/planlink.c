// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/planlink.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/http.h"
#include "common/log.h"

#define TIMEOUT_MS 3000

struct c4_planlink {
	struct c4_planlink_config config;
	struct c4_http *http;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;   /* for the thread: a report, or the end */
	pthread_cond_t gone;   /* from the thread: `over` */
	bool stop, over;
	bool busy;
	void *data; /* the report, until the thread takes it */
	size_t len;
	struct c4_planlink_news news;
};

/* ---- the loop's side ------------------------------------------------------------------------ */

bool c4_planlink_send(struct c4_planlink *l, void *data, size_t len)
{
	bool taken;

	pthread_mutex_lock(&l->mutex);
	taken = !l->busy && !l->stop;
	if (taken) {
		l->busy = true;
		l->data = data;
		l->len = len;
		pthread_cond_signal(&l->wake);
	}
	pthread_mutex_unlock(&l->mutex);
	return taken;
}

bool c4_planlink_busy(struct c4_planlink *l)
{
	bool busy;

	pthread_mutex_lock(&l->mutex);
	busy = l->busy;
	pthread_mutex_unlock(&l->mutex);
	return busy;
}

void c4_planlink_news(struct c4_planlink *l, struct c4_planlink_news *ret)
{
	pthread_mutex_lock(&l->mutex);
	*ret = l->news;
	l->news = (struct c4_planlink_news){0};
	pthread_mutex_unlock(&l->mutex);
}

/* ---- the thread's side ---------------------------------------------------------------------- */

static bool next_report(struct c4_planlink *l, void **data, size_t *len)
{
	bool got;

	pthread_mutex_lock(&l->mutex);
	while (!l->stop && !l->data)
		pthread_cond_wait(&l->wake, &l->mutex);
	got = l->data != NULL;
	*data = l->data;
	*len = l->len;
	l->data = NULL;
	pthread_mutex_unlock(&l->mutex);
	return got;
}

static void settle(struct c4_planlink *l, bool delivered, struct c4_plan *plan)
{
	pthread_mutex_lock(&l->mutex);
	l->busy = false;
	c4_plan_free(l->news.plan); /* the loop was slower than two exchanges */
	l->news = (struct c4_planlink_news){true, delivered, plan};
	pthread_mutex_unlock(&l->mutex);
	l->config.notify(l->config.arg);
}

static void log_state(const struct c4_planlink *l, bool *down, const char *why)
{
	if (why && !*down)
		c4_warn("planner %s: %s: the last plan stays", l->config.planner, why);
	if (!why && *down)
		c4_info("planner %s: back", l->config.planner);
	*down = why != NULL;
}

/* NULL: it arrived; otherwise why not. */
static const char *exchange(struct c4_planlink *l, const void *data, size_t len,
			    struct c4_plan **plan)
{
	struct c4_buf body = {0};
	int status =
		c4_http_post(l->http, "/v1/routes", "application/x-protobuf", data, len, &body);
	const char *why = NULL;
	int rc;

	if (status < 0) {
		why = c4_http_error(l->http);
	} else if (status < 200 || status >= 300) {
		why = "refuses reports";
	} else {
		rc = c4_plan_decode(body.data ? body.data : "", body.len, plan);
		why = rc ? "answers what we cannot read" : NULL;
	}
	c4_buf_release(&body);
	return why;
}

static void *run(void *arg)
{
	struct c4_planlink *l = arg;
	bool down = false;
	size_t len;
	void *data;

	while (next_report(l, &data, &len)) {
		struct c4_plan *plan = NULL;
		const char *why = exchange(l, data, len, &plan);

		log_state(l, &down, why);
		free(data);
		settle(l, !why, plan);
	}
	pthread_mutex_lock(&l->mutex);
	l->over = true;
	pthread_cond_signal(&l->gone);
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int init_sync(struct c4_planlink *l)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr))
		return -1;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->wake, &attr);
	pthread_cond_init(&l->gone, &attr);
	pthread_condattr_destroy(&attr);
	return pthread_mutex_init(&l->mutex, NULL);
}

struct c4_planlink *c4_planlink_start(const struct c4_planlink_config *config)
{
	struct c4_planlink *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->config = *config;
	l->http = c4_http_new(config->planner, TIMEOUT_MS);
	if (!l->http || init_sync(l) || pthread_create(&l->thread, NULL, run, l)) {
		c4_http_free(l->http);
		free(l);
		return NULL;
	}
	return l;
}

bool c4_planlink_stop(struct c4_planlink *l, uint64_t patience_ns)
{
	uint64_t until_ns = c4_mono_ns() + patience_ns;
	struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
	bool over;

	pthread_mutex_lock(&l->mutex);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	while (!l->over && pthread_cond_timedwait(&l->gone, &l->mutex, &until) == 0)
		;
	over = l->over;
	pthread_mutex_unlock(&l->mutex);
	if (!over)
		return false;
	pthread_join(l->thread, NULL);
	c4_plan_free(l->news.plan);
	c4_http_free(l->http);
	pthread_cond_destroy(&l->wake);
	pthread_cond_destroy(&l->gone);
	pthread_mutex_destroy(&l->mutex);
	free(l);
	return true;
}
