/* SPDX-License-Identifier: BSD-3-Clause */
/* slurp.h - a whole file, or pipe, in memory. Blocking, one thread. */
#ifndef C4_PLANNER_SLURP_H
#define C4_PLANNER_SLURP_H

#include <stddef.h>

#include "common/buf.h"
#include "planner/model/fabric/fabric.h"

#define C4_SLURP_MAX ((size_t)1 << 30)

/* Appends the file at path ("-": standard input) to *ret. 0, or a negative errno with the reason in
 * *fault; -EFBIG beyond C4_SLURP_MAX. */
int c4_slurp(const char *path, struct c4_buf *ret, struct c4_fault *fault);

#endif
