/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - c4.report/v1 as a file. Blocking; small.
 */
#ifndef C4_RUN_REPORT_H
#define C4_RUN_REPORT_H

#include <jansson.h>

/* What can be said when the collector had nothing to say; error: why, NULL if that is not one
 * (it answered that it saw no rank). The caller owns it. NULL: no memory. */
json_t *c4_report_blank(const char *job, const char *error);

/*
 * Writes it so that a reader sees the old file or the new one, never half (a device or pipe is
 * simply written to). 0 or a negative errno; a regular file keeps its old content then.
 */
int c4_report_write(const char *path, const json_t *report);

#endif
