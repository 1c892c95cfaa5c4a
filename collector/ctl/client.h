/* SPDX-License-Identifier: BSD-3-Clause */
/* client.h - asking the collector: one GET, one JSON object. Blocking, one thread. */
#ifndef C4_CTL_CLIENT_H
#define C4_CTL_CLIENT_H

#include <jansson.h>

struct c4_client;

/* base: HOST:PORT. NULL: malformed or out of memory. */
struct c4_client *c4_client_new(const char *base);
void c4_client_free(struct c4_client *c);

/* Parameters of a request; those without value are left out. The last one has no key. */
struct c4_query {
	const char *key, *value;
};

/*
 * GET path with the parameters, of which there may be none (NULL). The answer's object (a new
 * reference), or NULL with the reason in c4_client_error(); *ret_status is the HTTP status, -1
 * without an answer.
 */
json_t *c4_client_get(struct c4_client *c, const char *path, const struct c4_query *query,
		      int *ret_status);
const char *c4_client_error(const struct c4_client *c);

#endif
