/* SPDX-License-Identifier: BSD-3-Clause */
/* live.h - what agents see now, as JSON: for people (GET /api/v1/live), for the collector. */
#ifndef C4_PLANNER_LIVE_H
#define C4_PLANNER_LIVE_H

#include <jansson.h>

#include "planner/daemon/routes/routes.h"

#define C4_LIVE_FLOWS_MAX 1024u /* the fastest; the rest is counted */

/* NULL: out of memory. */
json_t *c4_live_json(const struct c4_routes *r, uint64_t now_ns);

/* c4.links/v1 (collector/API.md): what the collector is to know. *ret_n: how many links. */
json_t *c4_live_links(const struct c4_routes *r, uint64_t now_ns, uint32_t ttl_s, uint32_t *ret_n);

#endif
