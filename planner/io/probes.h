/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * probes.h - reads c4.probes/v1 (planner/FORMATS.md): which path a source port was seen to take
 * between two NICs. One thread.
 */
#ifndef C4_PLANNER_PROBES_H
#define C4_PLANNER_PROBES_H

#include "common/buf.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/oracle/oracle.h"

#define C4_PROBES_SCHEMA "c4.probes/v1"

/*
 * Teaches the oracle what the file says, in order. What the fabric does not have is a mistake, too.
 * 0; -EINVAL, -EOPNOTSUPP for an oracle that learns nothing, or what reading says, with lines
 * "FILE:LINE: what, expected what" in *errors, the oracle then knows a part; -ENOMEM.
 */
int c4_probes_load(struct c4_oracle *o, const struct c4_fabric *f, const char *path,
		   struct c4_buf *errors);

/* The same from memory. */
int c4_probes_read(struct c4_oracle *o, const struct c4_fabric *f, const char *name,
		   const char *text, size_t n, struct c4_buf *errors);

#endif
