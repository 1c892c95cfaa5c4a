/* SPDX-License-Identifier: BSD-3-Clause */
/* api.h - the HTTP interface of collector/API.md: one table of routes. No sockets here. */
#ifndef C4_COLLECTOR_API_H
#define C4_COLLECTOR_API_H

#include <stdint.h>

#include "collector/collector.h"
#include "common/request.h"

/* Answers one request; *out must be zero and is always filled in. */
void c4_api_handle(struct c4_collector *c, const struct c4_request *q, uint64_t mono_ns,
		   uint64_t wall_ns, struct c4_response *out);

/* {"error": "…"} */
void c4_api_error(struct c4_response *out, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
