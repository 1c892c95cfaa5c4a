/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - what the planner found out about links of the fabric, as verdicts.
 *
 * The planner sees connections on known paths and did the judging (planner/model/sense); here its
 * words become verdicts that live like all others. Pure.
 */
#ifndef C4_COLLECTOR_DIAG_LINK_H
#define C4_COLLECTOR_DIAG_LINK_H

#include "collector/diag/diag.h"

#define C4_LINK_END 128u

struct c4_link_found {
	char a[C4_LINK_END], b[C4_LINK_END]; /* switches, the lower tier first */
	uint32_t parallel;		     /* which of parallel links */
	bool toward_b;			     /* the direction that shows it */
	bool congested;			     /* full, not slow */
	bool confirmed;
	bool probation; /* it is tried again, with less than its rate */
	bool dead;	/* no port leads over it: flows are the ports that should have */
	double nominal_gbps, measured_gbps;
	double speed, peers; /* of connections on it and elsewhere; what they could expect is 1 */
	uint32_t flows, windows;
	uint64_t since_ns; /* ago: the first window that showed it */
	char pairs[64];	   /* some of who talks over it, for people: "h1>h5 h0>h4" */
};

/* Appends a verdict each; on failure out->failed is set. */
void c4_diag_links(const struct c4_link_found *v, uint32_t n, struct c4_verdicts *out);

#endif
