/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * summary.h - the job in words: the final summary of a c4.report/v1, and the status line from the
 * API's answers. Pure; trusts no field to be there.
 */
#ifndef C4_RUN_SUMMARY_H
#define C4_RUN_SUMMARY_H

#include <jansson.h>
#include <stdint.h>

#include "common/buf.h"

/* outcome: how the job ended, in words. Lines end with newlines, each begins with "c4:". */
void c4_summary_render(struct c4_buf *out, const json_t *report, const char *outcome);

/*
 * "c4  00:41  8 ranks on 4 nodes · 1.2k ops · step 20 ms · world busbw 2.1 Gb/s · 1 incident: …".
 * job: an element of /api/v1/jobs, comms: of /api/v1/comms; each may be NULL. trouble: what keeps
 * us from knowing more, or NULL.
 */
void c4_status_render(struct c4_buf *out, const json_t *job, const json_t *comms, uint64_t at_ns,
		      unsigned int incidents, const char *newest, const char *trouble);

#endif
