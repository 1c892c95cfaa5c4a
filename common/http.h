/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * http.h - a blocking HTTP client with keep-alive (libcurl), for CLIs and for worker threads.
 * Never call it on an event loop. One client per thread.
 */
#ifndef C4_COMMON_HTTP_H
#define C4_COMMON_HTTP_H

#include <stddef.h>

#include "common/buf.h"

struct c4_http;

/* base: "HOST:PORT" or "http://HOST:PORT". NULL when out of memory or base is malformed. */
struct c4_http *c4_http_new(const char *base, long timeout_ms);
void c4_http_free(struct c4_http *h);

/*
 * GET base+path, or POST body. On success returns the HTTP status (>= 100) and the answer in *ret
 * (appended; the caller releases it). On failure -1; c4_http_error() says why in words. An answer
 * over 64 MiB is a failure.
 */
int c4_http_get(struct c4_http *h, const char *path, struct c4_buf *ret);
int c4_http_post(struct c4_http *h, const char *path, const char *type, const void *body, size_t n,
		 struct c4_buf *ret);
const char *c4_http_error(const struct c4_http *h);

/* Appends s as a part of a path or a query: all but unreserved characters percent-encoded. */
void c4_http_quote(struct c4_buf *b, const char *s);

#endif
