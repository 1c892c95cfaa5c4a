// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/api.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"

#define QUEUE 8

static const long timeout_ms[] = {[C4_API_QUICK] = 1500, [C4_API_PATIENT] = 10000};

#define CLIENTS (sizeof timeout_ms / sizeof *timeout_ms)

struct request {
	char path[512];
	enum c4_api_patience patience;
	c4_api_cb cb;
	void *arg;
};

struct c4_api {
	uv_loop_t *loop;
	struct c4_http *http[CLIENTS]; /* belong to the worker while busy */
	struct request queue[QUEUE];
	unsigned int first, count; /* queue[first] is the one in flight while busy */
	bool busy;
	uv_work_t work;
	/* the worker's answer */
	int status;
	json_t *answer;
	char error[256];
};

static void start_next(struct c4_api *api);

void c4_api_free(struct c4_api *api)
{
	if (!api)
		return;
	for (size_t i = 0; i < CLIENTS; i++)
		c4_http_free(api->http[i]);
	free(api);
}

struct c4_api *c4_api_new(uv_loop_t *loop, const char *base)
{
	struct c4_api *api = calloc(1, sizeof *api);

	if (!api)
		return NULL;
	api->loop = loop;
	api->work.data = api;
	for (size_t i = 0; i < CLIENTS; i++) {
		api->http[i] = c4_http_new(base, timeout_ms[i]);
		if (api->http[i])
			continue;
		c4_api_free(api);
		return NULL;
	}
	return api;
}

int c4_api_idle(const struct c4_api *api)
{
	return !api || !api->busy;
}

static void parse(struct c4_api *api, const struct c4_buf *body)
{
	json_error_t why;

	api->answer = json_loadb(c4_buf_str(body), body->len, 0, &why);
	if (json_is_object(api->answer))
		return;
	snprintf(api->error, sizeof api->error, "the answer is not JSON (%s)", why.text);
	json_decref(api->answer);
	api->answer = NULL;
}

static void run(uv_work_t *work)
{
	struct c4_api *api = work->data;
	const struct request *r = &api->queue[api->first];
	struct c4_http *http = api->http[r->patience];
	struct c4_buf body = {0};

	api->error[0] = '\0';
	api->answer = NULL;
	api->status = c4_http_get(http, r->path, &body);
	if (api->status < 0)
		snprintf(api->error, sizeof api->error, "%s", c4_http_error(http));
	else if (api->status != 200)
		snprintf(api->error, sizeof api->error, "HTTP status %d", api->status);
	else
		parse(api, &body);
	c4_buf_release(&body);
}

static void finished(uv_work_t *work, int cancelled)
{
	struct c4_api *api = work->data;
	struct request done = api->queue[api->first];
	json_t *answer = api->answer;

	(void)cancelled;
	api->first = (api->first + 1) % QUEUE;
	api->count--;
	api->busy = false;
	api->answer = NULL;
	done.cb(done.arg, api->status, answer, api->error);
	json_decref(answer);
	start_next(api);
}

static void start_next(struct c4_api *api)
{
	if (api->busy || !api->count)
		return;
	api->busy = true;
	uv_queue_work(api->loop, &api->work, run, finished);
}

int c4_api_get(struct c4_api *api, enum c4_api_patience patience, const char *path, c4_api_cb cb,
	       void *arg)
{
	struct request *r;

	if (api->count == QUEUE)
		return -EBUSY;
	r = &api->queue[(api->first + api->count) % QUEUE];
	if ((size_t)snprintf(r->path, sizeof r->path, "%s", path) >= sizeof r->path)
		return -ENAMETOOLONG;
	r->patience = patience;
	r->cb = cb;
	r->arg = arg;
	api->count++;
	start_next(api);
	return 0;
}

void c4_api_quote(char *buf, size_t n, const char *s)
{
	size_t len = 0;

	for (; *s && len + 4 <= n; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c))
			buf[len++] = *s;
		else
			len += (size_t)snprintf(buf + len, n - len, "%%%02X", c);
	}
	buf[len] = '\0';
}
