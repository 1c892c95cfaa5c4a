/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api.h - asking the collector from the event loop: GETs queue up, one at a time runs in a worker
 * thread (the HTTP client blocks, JSON of a large job takes time), answers come back on the loop
 * in order. The queue is bounded; a full one refuses, which a poller takes as "skip this round".
 */
#ifndef C4_RUN_API_H
#define C4_RUN_API_H

#include <jansson.h>
#include <uv.h>

struct c4_api;

/*
 * On the loop. answer: the JSON object, borrowed, when the status was 200; else NULL and error
 * says why in words ("" never). status: HTTP status, or -1 when there was no answer at all.
 */
typedef void (*c4_api_cb)(void *arg, int status, json_t *answer, const char *error);

/* base: HOST:PORT. NULL when out of memory or base is malformed. */
struct c4_api *c4_api_new(uv_loop_t *loop, const char *base);

/* Nothing may be in flight; see c4_api_idle(). NULL is fine. */
void c4_api_free(struct c4_api *api);
int c4_api_idle(const struct c4_api *api);

enum c4_api_patience {
	C4_API_QUICK,	/* something asked again and again: 1.5 s */
	C4_API_PATIENT, /* asked once, may be large: 10 s */
};

/* path may carry a job: "/api/v1/report?job=" + what c4_api_quote() gives. 0, -EBUSY or
 * -ENAMETOOLONG. */
int c4_api_get(struct c4_api *api, enum c4_api_patience patience, const char *path, c4_api_cb cb,
	       void *arg);

/* Percent-encodes s for a query; cut at n. */
void c4_api_quote(char *buf, size_t n, const char *s);

#endif
