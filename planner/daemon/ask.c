// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http.h"

#define TIMEOUT_MS 5000

struct c4_asking {
	const char *collector;
	struct c4_http *http;
};

struct c4_asking *c4_asking_new(const char *collector)
{
	struct c4_asking *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->collector = collector;
	a->http = c4_http_new(collector, TIMEOUT_MS);
	if (a->http)
		return a;
	free(a);
	return NULL;
}

void c4_asking_free(struct c4_asking *a)
{
	if (!a)
		return;
	c4_http_free(a->http);
	free(a);
}

json_t *c4_ask(struct c4_asking *a, const char *path, int *ret_status, char *why, size_t n)
{
	struct c4_buf b = {0};
	json_error_t error;
	json_t *j = NULL;

	*ret_status = c4_http_get(a->http, path, &b);
	if (*ret_status < 0)
		snprintf(why, n, "collector %s: %s", a->collector, c4_http_error(a->http));
	else if (!(j = json_loadb(c4_buf_str(&b), b.len, 0, &error)))
		snprintf(why, n, "collector %s: %s: status %d: %s", a->collector, path, *ret_status,
			 error.text);
	c4_buf_release(&b);
	return j;
}

int c4_ask_good(struct c4_asking *a, const char *path, json_t **ret, char *why, size_t n)
{
	int status;

	*ret = c4_ask(a, path, &status, why, n);
	if (!*ret)
		return status < 0 ? -EHOSTUNREACH : -EPROTO;
	if (status == 200)
		return 0;
	json_decref(*ret);
	*ret = NULL;
	snprintf(why, n, "collector %s: %s: status %d", a->collector, path, status);
	return -EPROTO;
}
