/* SPDX-License-Identifier: BSD-3-Clause */
/* api.h - the HTTP interface of planner/API.md: one table of routes. No sockets here. */
#ifndef C4_PLANNER_API_H
#define C4_PLANNER_API_H

#include <stdint.h>

#include "common/request.h"
#include "planner/daemon/planner.h"

#define C4_PLANNER_BODY_MAX 65536u

/* Answers one request; *out must be zero and is always filled in. */
void c4_planner_api_handle(struct c4_planner *p, const struct c4_request *q, uint64_t now_ns,
			   struct c4_response *out);

/* {"error": "…"} */
void c4_planner_api_error(struct c4_response *out, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
