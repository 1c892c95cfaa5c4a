// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/poster.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/daemon/backlog.h"
#include "c4.pb-c.h"
#include "common/base/clock.h"
#include "common/buf.h"
#include "common/http.h"
#include "common/log.h"

#define TIMEOUT_MS  5000
#define BACKOFF_MIN 100000000ull
#define BACKOFF_MAX 5000000000ull
#define TAG_QUEUED  (9u << 3) /* Post.queued_ns, a varint */

struct c4_poster {
	struct c4_poster_config config;
	struct c4_http *http;
	pthread_t thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t wake;   /* for the thread: a post, or the end */
	pthread_cond_t gone;   /* from the thread: `ended` */
	bool stop, ended;
	struct c4_backlog backlog;
	uint64_t in_flight; /* seq, 0: none */
	uint64_t last_seq;
	uint64_t refused; /* posts answered with 4xx */
	bool resync, detail;
	uint32_t interval_ms;
};

/* The thread's own memory of how the collector is. */
struct link_state {
	uint64_t backoff_ns; /* 0: well */
	uint64_t lost_ns;
	int refusal; /* the status logged last */
};

/* ---- the loop's side ------------------------------------------------------------------------ */

void c4_poster_send(struct c4_poster *p, uint64_t seq, uint64_t made_ns, void *data, size_t len)
{
	struct c4_backlog_item item = {.seq = seq, .made_ns = made_ns, .data = data, .len = len};

	pthread_mutex_lock(&p->mutex);
	c4_backlog_push(&p->backlog, &item);
	p->last_seq = seq;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->mutex);
}

static uint64_t settled(const struct c4_poster *p)
{
	uint64_t oldest = c4_backlog_oldest(&p->backlog);

	if (p->in_flight)
		return p->in_flight - 1;
	return oldest ? oldest - 1 : p->last_seq;
}

void c4_poster_news(struct c4_poster *p, struct c4_poster_news *ret)
{
	pthread_mutex_lock(&p->mutex);
	ret->settled = settled(p);
	ret->pushed_out = p->backlog.dropped;
	ret->dropped = p->backlog.dropped + p->refused;
	ret->resync = p->resync;
	ret->interval_ms = p->interval_ms;
	ret->detail = p->detail;
	p->resync = p->detail = false;
	p->interval_ms = 0;
	pthread_mutex_unlock(&p->mutex);
}

uint64_t c4_poster_settled(struct c4_poster *p)
{
	uint64_t seq;

	pthread_mutex_lock(&p->mutex);
	seq = settled(p);
	pthread_mutex_unlock(&p->mutex);
	return seq;
}

/* ---- the thread's side ---------------------------------------------------------------------- */

/* Waits for a post and takes it. False: time to stop. */
static bool next_item(struct c4_poster *p, struct c4_backlog_item *item)
{
	bool got;

	pthread_mutex_lock(&p->mutex);
	while (!p->stop && !p->backlog.n)
		pthread_cond_wait(&p->wake, &p->mutex);
	got = !p->stop && c4_backlog_take(&p->backlog, item);
	p->in_flight = got ? item->seq : 0;
	pthread_mutex_unlock(&p->mutex);
	return got;
}

static struct timespec instant(uint64_t mono_ns)
{
	return (struct timespec){(time_t)(mono_ns / 1000000000u), (long)(mono_ns % 1000000000u)};
}

/* False: time to stop. New posts do not end the pause. */
static bool pause_for(struct c4_poster *p, uint64_t ns)
{
	struct timespec until = instant(c4_mono_ns() + ns);
	bool go_on;

	pthread_mutex_lock(&p->mutex);
	while (!p->stop && pthread_cond_timedwait(&p->wake, &p->mutex, &until) == 0)
		;
	go_on = !p->stop;
	pthread_mutex_unlock(&p->mutex);
	return go_on;
}

static void settle(struct c4_poster *p, const C4__V1__Answer *answer, bool refused)
{
	pthread_mutex_lock(&p->mutex);
	p->in_flight = 0;
	p->refused += refused;
	if (answer) {
		p->resync |= answer->resync;
		p->detail = answer->detail;
		if (answer->interval_ms)
			p->interval_ms = answer->interval_ms;
	}
	pthread_mutex_unlock(&p->mutex);
	p->config.notify(p->config.arg);
}

/* Returns the length with Post.queued_ns appended. */
static size_t append_queued(uint8_t *data, size_t len, uint64_t ns)
{
	data[len++] = TAG_QUEUED;
	for (; ns >= 0x80; ns >>= 7)
		data[len++] = (uint8_t)(ns | 0x80);
	data[len++] = (uint8_t)ns;
	return len;
}

static void log_lost(const struct c4_poster *p, struct link_state *link, const char *why)
{
	if (link->backoff_ns)
		return;
	link->lost_ns = c4_mono_ns();
	c4_warn("collector %s: %s: keeping up to %u posts until it is back", p->config.collector,
		why, C4_BACKLOG_POSTS);
}

static void log_back(struct c4_poster *p, const struct link_state *link)
{
	uint64_t dropped;

	if (!link->backoff_ns)
		return;
	pthread_mutex_lock(&p->mutex);
	dropped = p->backlog.dropped;
	pthread_mutex_unlock(&p->mutex);
	c4_info("collector %s: back after %.1f s: %llu posts dropped so far", p->config.collector,
		(double)(c4_mono_ns() - link->lost_ns) / 1e9, (unsigned long long)dropped);
}

static void accept_answer(struct c4_poster *p, const struct c4_buf *body)
{
	C4__V1__Answer *answer = c4__v1__answer__unpack(NULL, body->len, (uint8_t *)body->data);

	if (!answer)
		c4_debug("collector %s: answer not decodable: ignored", p->config.collector);
	settle(p, answer, false);
	if (answer)
		c4__v1__answer__free_unpacked(answer, NULL);
}

static void accept_refusal(struct c4_poster *p, struct link_state *link, int status,
			   const struct c4_buf *body)
{
	if (link->refusal != status)
		c4_error("collector %s: refuses posts: HTTP %d %.200s: dropped",
			 p->config.collector, status, c4_buf_str(body));
	link->refusal = status;
	settle(p, NULL, true);
}

/* One attempt; true: settled. */
static bool attempt(struct c4_poster *p, struct link_state *link, struct c4_backlog_item *item)
{
	size_t len = append_queued(item->data, item->len, c4_mono_ns() - item->made_ns);
	struct c4_buf body = {0};
	char why[32];
	int status =
		c4_http_post(p->http, "/v1/post", "application/x-protobuf", item->data, len, &body);
	bool done = status >= 200 && status < 500;

	if (done)
		log_back(p, link);
	if (status >= 200 && status < 300) {
		link->refusal = 0;
		accept_answer(p, &body);
	} else if (done) {
		accept_refusal(p, link, status, &body);
	} else {
		snprintf(why, sizeof why, "HTTP %d", status);
		log_lost(p, link, status < 0 ? c4_http_error(p->http) : why);
	}
	c4_buf_release(&body);
	return done;
}

static void deliver(struct c4_poster *p, struct link_state *link, struct c4_backlog_item *item)
{
	while (!attempt(p, link, item)) {
		link->backoff_ns = link->backoff_ns ? link->backoff_ns * 2 : BACKOFF_MIN;
		if (link->backoff_ns > BACKOFF_MAX)
			link->backoff_ns = BACKOFF_MAX;
		if (!pause_for(p, link->backoff_ns))
			return;
	}
	link->backoff_ns = 0;
}

static void *run(void *arg)
{
	struct link_state link = {0};
	struct c4_backlog_item item;
	struct c4_poster *p = arg;

	while (next_item(p, &item)) {
		deliver(p, &link, &item);
		free(item.data);
	}
	pthread_mutex_lock(&p->mutex);
	p->ended = true;
	pthread_cond_signal(&p->gone);
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int init_sync(struct c4_poster *p)
{
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr))
		return -1;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_cond_init(&p->gone, &attr);
	pthread_condattr_destroy(&attr);
	return pthread_mutex_init(&p->mutex, NULL);
}

struct c4_poster *c4_poster_start(const struct c4_poster_config *config)
{
	struct c4_poster *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->config = *config;
	p->http = c4_http_new(config->collector, TIMEOUT_MS);
	if (!p->http || init_sync(p) || pthread_create(&p->thread, NULL, run, p)) {
		c4_http_free(p->http);
		free(p);
		return NULL;
	}
	return p;
}

bool c4_poster_stop(struct c4_poster *p, uint64_t patience_ns)
{
	struct timespec until = instant(c4_mono_ns() + patience_ns);
	bool ended;

	pthread_mutex_lock(&p->mutex);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	while (!p->ended && pthread_cond_timedwait(&p->gone, &p->mutex, &until) == 0)
		;
	ended = p->ended;
	pthread_mutex_unlock(&p->mutex);
	if (!ended)
		return false;
	pthread_join(p->thread, NULL);
	c4_backlog_release(&p->backlog);
	c4_http_free(p->http);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->gone);
	pthread_mutex_destroy(&p->mutex);
	free(p);
	return true;
}
