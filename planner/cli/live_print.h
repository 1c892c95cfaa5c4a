/* SPDX-License-Identifier: BSD-3-Clause */
/* live_print.h - what a running planner sees (GET /api/v1/live), for people. */
#ifndef C4_PLANNER_LIVE_PRINT_H
#define C4_PLANNER_LIVE_PRINT_H

#include <stdio.h>

#include "common/buf.h"

/* text: the answer. 0, or -EINVAL if it is not of the expected form and nothing was written. */
int c4_live_print(const struct c4_buf *text, FILE *out);

#endif
