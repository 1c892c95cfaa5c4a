/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * complaint.h - what is wrong with a file, as lines "FILE:LINE: what, expected what" in the
 * caller's buffer. The first C4_COMPLAINTS_MAX are written, the rest is counted. One thread.
 */
#ifndef C4_PLANNER_IO_COMPLAINT_H
#define C4_PLANNER_IO_COMPLAINT_H

#include <stdint.h>

#include "common/buf.h"

#define C4_COMPLAINTS_MAX 20u

struct c4_complaints {
	struct c4_buf *out;
	const char *file;
	uint32_t n;
};

/* line 0: of the file as a whole. */
void c4_complain(struct c4_complaints *c, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Says how many were left out. 0, or -EINVAL if there was any complaint. */
int c4_complaints_close(struct c4_complaints *c);

#endif
