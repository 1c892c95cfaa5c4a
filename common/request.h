/* SPDX-License-Identifier: BSD-3-Clause */
/* request.h - one HTTP exchange without the HTTP library: what a handler gets and gives. */
#ifndef C4_COMMON_REQUEST_H
#define C4_COMMON_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"

#define C4_REQUEST_PARAMS 8u /* further ones are ignored */

struct c4_param {
	const char *key, *value; /* value "" for "?key" */
};

struct c4_request {
	const char *method;
	const char *path; /* decoded, without the query */
	const char *type; /* Content-Type, "" if none */
	struct c4_param params[C4_REQUEST_PARAMS];
	unsigned int nparams;
	const void *body;
	size_t bytes;
	uint32_t peer; /* who asks: IPv4 in host byte order, 0: unknown or another family */
};

/* A body that is made while it is sent, so that a long one does not hold up the loop. */
struct c4_stream {
	/* Appends the next part (some KiB at most); false: there is no more. */
	bool (*next)(struct c4_stream *s, struct c4_buf *out);
	void (*free)(struct c4_stream *s);
};

struct c4_response {
	int status;
	const char *type;  /* static */
	const char *allow; /* static; with 405 */
	struct c4_buf body;
	struct c4_stream *stream; /* instead of body; owned. NULL: none */
};

/* NULL if the query has no such key. */
static inline const char *c4_request_param(const struct c4_request *q, const char *key)
{
	for (unsigned int i = 0; i < q->nparams; i++)
		if (!strcmp(q->params[i].key, key))
			return q->params[i].value;
	return NULL;
}

#endif
