/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * demand_json.h - reads c4.demand/v1 (planner/FORMATS.md): connections, jobs with a pattern, or
 * both. Connections are read one by one: a million of them need little more than their text.
 * One thread.
 */
#ifndef C4_PLANNER_DEMAND_JSON_H
#define C4_PLANNER_DEMAND_JSON_H

#include <stddef.h>

#include "common/buf.h"
#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

#define C4_DEMAND_SCHEMA   "c4.demand/v1"
#define C4_DEMAND_NAME_MAX 255u /* bytes of an id or a job's name */

/*
 * Initialises and fills *d. 0, or a negative errno with *d as it was and one line per mistake in
 * *errors: "NAME:LINE: which connection: what, expected what" (complaint.h). Wrong syntax ends the
 * reading.
 */
int c4_demand_json_read(struct c4_demand *d, const struct c4_fabric *f, const char *name,
			const char *text, size_t n, struct c4_buf *errors);

/* The same from a file; "-": standard input. */
int c4_demand_json_load(struct c4_demand *d, const struct c4_fabric *f, const char *path,
			struct c4_buf *errors);

#endif
