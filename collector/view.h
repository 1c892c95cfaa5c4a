/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * view.h - model → JSON, the pieces that lists and report share. Each returns a new reference,
 * NULL when out of memory.
 */
#ifndef C4_COLLECTOR_VIEW_H
#define C4_COLLECTOR_VIEW_H

#include <jansson.h>
#include <stdint.h>

#include "collector/incident.h"
#include "collector/model.h"

json_t *c4_view_job(const struct c4_job *j, const struct c4_incidents *incidents);
json_t *c4_view_rank(const struct c4_job *j, uint32_t rank, uint64_t now_ns);
json_t *c4_view_comm(const struct c4_job *j, const struct c4_comm *c);
json_t *c4_view_node_list(const struct c4_job *j);

/* c4.report/v1 */
json_t *c4_view_report(const struct c4_job *j, const struct c4_incidents *incidents,
		       uint64_t now_ns);

/* What a rank did with its time: shares of 1, NaN if not known yet. */
struct c4_shares {
	double own, wait;
	double lateness_ms;
};
struct c4_shares c4_view_shares(const struct c4_rank *r);

#endif
