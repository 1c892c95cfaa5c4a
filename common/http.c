// SPDX-License-Identifier: BSD-3-Clause
#include "common/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (64u << 20)

struct c4_http {
	CURL *curl;
	char base[512];
	char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct c4_buf *b = arg;

	(void)one; /* always 1 */
	if (b->len + n > ANSWER_MAX)
		return 0;
	c4_buf_add(b, data, n);
	return b->failed ? 0 : n;
}

struct c4_http *c4_http_new(const char *base, long timeout_ms)
{
	struct c4_http *h = calloc(1, sizeof *h);
	const char *scheme = strstr(base, "://") ? "" : "http://";
	int n;

	if (!h)
		return NULL;
	n = snprintf(h->base, sizeof h->base, "%s%s", scheme, base);
	h->curl = n > 0 && (size_t)n < sizeof h->base && *base ? curl_easy_init() : NULL;
	if (!h->curl) {
		free(h);
		return NULL;
	}
	curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(h->curl, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
	curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
	/* a proxy meant for the outside world must not see cluster traffic */
	curl_easy_setopt(h->curl, CURLOPT_NOPROXY, "*");
	return h;
}

void c4_http_free(struct c4_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

static int perform(struct c4_http *h, const char *path, struct c4_buf *ret)
{
	char url[1024];
	long status = 0;
	CURLcode rc;
	int n = snprintf(url, sizeof url, "%s%s", h->base, path);

	if (n < 0 || (size_t)n >= sizeof url) {
		snprintf(h->error, sizeof h->error, "URL too long");
		return -1;
	}
	h->error[0] = '\0';
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, ret);
	rc = curl_easy_perform(h->curl);
	if (rc != CURLE_OK) {
		if (!h->error[0])
			snprintf(h->error, sizeof h->error, "%s", curl_easy_strerror(rc));
		return -1;
	}
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

int c4_http_get(struct c4_http *h, const char *path, struct c4_buf *ret)
{
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
	return perform(h, path, ret);
}

int c4_http_post(struct c4_http *h, const char *path, const char *type, const void *body, size_t n,
		 struct c4_buf *ret)
{
	struct curl_slist *headers;
	char line[128];
	int status;

	snprintf(line, sizeof line, "Content-Type: %s", type);
	headers = curl_slist_append(NULL, line);
	headers = headers ? curl_slist_append(headers, "Expect:") : NULL;
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
	curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
	status = perform(h, path, ret);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return status;
}

const char *c4_http_error(const struct c4_http *h)
{
	return h->error;
}

void c4_http_quote(struct c4_buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (isalnum(ch) || strchr("-._~", ch))
			c4_buf_add(b, s, 1);
		else
			c4_buf_printf(b, "%%%02X", ch);
	}
}
