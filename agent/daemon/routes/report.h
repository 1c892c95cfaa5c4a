/* SPDX-License-Identifier: BSD-3-Clause */
/* report.h - what this node tells the planner → encoded message RouteReport (route.proto). */
#ifndef C4_AGENT_ROUTES_REPORT_H
#define C4_AGENT_ROUTES_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/routes/findings.h"
#include "agent/daemon/routes/flow.h"
#include "agent/daemon/routes/plan.h"

struct c4_report {
	const char *node;
	uint64_t instance;
	const struct c4_plan *plan; /* followed; NULL: none */
	const uint32_t *addresses;
	uint32_t naddresses;
	const struct c4_findings *findings;
	const struct c4_flow *flows;
	uint32_t nflows;
	uint16_t helper_port;
	bool raw, last;
	uint64_t probes_sent;
	uint64_t now_ns;
};

/* malloc'd; NULL: out of memory. */
void *c4_report_encode(const struct c4_report *r, size_t *ret_len);

#endif
