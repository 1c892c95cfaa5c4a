/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * findings.h - what probes showed and the planner has not been told: a bounded queue, the oldest
 * give way and are counted. Pure.
 */
#ifndef C4_AGENT_ROUTES_FINDINGS_H
#define C4_AGENT_ROUTES_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/daemon/routes/probe.h"

#define C4_FINDINGS_MAX	   4096u
#define C4_FINDING_HOPS	   6u
#define C4_FINDINGS_DOUBTS 64u

struct c4_finding {
	struct c4_probe flow;		    /* its ttl: of the last hop */
	struct c4_hop hop[C4_FINDING_HOPS]; /* by TTL - 1 */
	uint8_t nhops;
	bool live;
	bool drawn; /* nothing was known of the port */
	uint64_t at_ns;
};

struct c4_finding_doubt {
	uint32_t src, dst, wrong, tried;
};

struct c4_findings {
	struct c4_finding *ring;
	uint64_t begin; /* number of the oldest one */
	uint32_t n;
	struct c4_finding_doubt doubt[C4_FINDINGS_DOUBTS];
	uint32_t ndoubts;
	uint64_t lost;
};

int c4_findings_init(struct c4_findings *f);
void c4_findings_release(struct c4_findings *f);

void c4_findings_add(struct c4_findings *f, const struct c4_finding *x);
void c4_findings_doubt(struct c4_findings *f, const struct c4_finding_doubt *x);

/* The i-th oldest, i < n. */
const struct c4_finding *c4_findings_get(const struct c4_findings *f, uint32_t i);

/* What there is now, to be told; and that it was, whatever has come since. */
struct c4_findings_mark {
	uint64_t end;
	uint32_t ndoubts;
};
struct c4_findings_mark c4_findings_mark(const struct c4_findings *f);
void c4_findings_told(struct c4_findings *f, struct c4_findings_mark mark);

#endif
