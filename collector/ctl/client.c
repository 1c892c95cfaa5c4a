// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"

#define TIMEOUT_MS 10000

struct c4_client {
	struct c4_http *http;
	const char *base;
	char error[512];
};

struct c4_client *c4_client_new(const char *base)
{
	struct c4_client *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->base = base;
	c->http = c4_http_new(base, TIMEOUT_MS);
	if (!c->http) {
		free(c);
		return NULL;
	}
	return c;
}

void c4_client_free(struct c4_client *c)
{
	if (!c)
		return;
	c4_http_free(c->http);
	free(c);
}

const char *c4_client_error(const struct c4_client *c)
{
	return c->error;
}

static json_t *parse(struct c4_client *c, const struct c4_buf *body, int status)
{
	json_t *j = json_loadb(c4_buf_str(body), body->len, 0, NULL);
	const char *error = json_string_value(json_object_get(j, "error"));

	if (json_is_object(j) && (status == 200 || !error))
		return j;
	if (error)
		snprintf(c->error, sizeof c->error, "%s", error);
	else
		snprintf(c->error, sizeof c->error, "%s: not a c4 collector (HTTP status %d)",
			 c->base, status);
	json_decref(j);
	return NULL;
}

json_t *c4_client_get(struct c4_client *c, const char *path, const struct c4_query *query,
		      int *ret_status)
{
	char mark = '?';
	struct c4_buf url = {0}, body = {0};
	json_t *j = NULL;

	c4_buf_add(&url, path, strlen(path));
	for (; query && query->key; query++) {
		if (!query->value)
			continue;
		c4_buf_printf(&url, "%c%s=", mark, query->key);
		c4_http_quote(&url, query->value);
		mark = '&';
	}
	*ret_status = url.failed ? -1 : c4_http_get(c->http, url.data, &body);
	if (*ret_status < 0)
		snprintf(c->error, sizeof c->error, "cannot reach the collector at %s: %s", c->base,
			 c4_http_error(c->http));
	else
		j = parse(c, &body, *ret_status);
	c4_buf_release(&url);
	c4_buf_release(&body);
	return j;
}
