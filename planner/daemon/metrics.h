/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.h - what the planner counts, as Prometheus text: one table. */
#ifndef C4_PLANNER_METRICS_H
#define C4_PLANNER_METRICS_H

#include "common/buf.h"
#include "planner/daemon/planner.h"

void c4_planner_metrics_write(const struct c4_planner *p, struct c4_buf *out);

#endif
