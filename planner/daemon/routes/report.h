/* SPDX-License-Identifier: BSD-3-Clause */
/* report.h - what an agent reports, checked and handed on. Loop's thread. */
#ifndef C4_PLANNER_REPORT_H
#define C4_PLANNER_REPORT_H

#include "planner/daemon/routes/routes.h"
#include "route.pb-c.h"

#define C4_REPORT_PROBES_MAX	65536u
#define C4_REPORT_FLOWS_MAX	16384u
#define C4_REPORT_DOUBTS_MAX	4096u
#define C4_REPORT_ADDRESSES_MAX 256u

/* 0, or -EINVAL with the reason in *fault: what no agent says. Looks at counts and texts only. */
int c4_report_check(const C4__V1__RouteReport *m, struct c4_fault *fault);

/* The way an observation tells, between NICs of the fabric; false: it cannot be. */
bool c4_report_path(const struct c4_held_fabric *h, const C4__V1__Probe *p, struct c4_seen *ret);

/* Takes over what a known host reports; single items that cannot be are counted and left out. */
void c4_report_take(struct c4_routes *r, uint32_t host, const C4__V1__RouteReport *m,
		    uint64_t now_ns);

#endif
