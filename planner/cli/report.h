/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - comparisons of many scenes as one document: planner/RESULTS.md, or JSON
 * (c4.compare/v1). One thread.
 */
#ifndef C4_PLANNER_CLI_REPORT_H
#define C4_PLANNER_CLI_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "planner/cli/compare.h"

#define C4_COMPARE_SCHEMA "c4.compare/v1"

/* One scene's results; what stands under a name the reader gave. */
struct c4_report_part {
	const char *name, *about;
	const char *published; /* or NULL */
	uint32_t seeds;
	struct c4_rows rows;
};

/* The whole document. command: what made it. */
void c4_report_markdown(const struct c4_report_part *parts, uint32_t n, const char *command,
			FILE *f);

/* NULL when out of memory. */
json_t *c4_report_json(const struct c4_report_part *parts, uint32_t n);

#endif
