/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * metrics.h - Prometheus text of everything worth a graph, from one table. The number of series is
 * bounded whatever the jobs are: METRIC_COMMS communicators, METRIC_RANKS ranks in all.
 */
#ifndef C4_COLLECTOR_METRICS_H
#define C4_COLLECTOR_METRICS_H

#include "collector/collector.h"
#include "common/buf.h"

void c4_metrics_write(const struct c4_collector *c, struct c4_buf *out);

#endif
