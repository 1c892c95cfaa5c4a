/* SPDX-License-Identifier: BSD-3-Clause */
/* input.h - what several commands read. Mistakes go to standard error. */
#ifndef C4_PLANNER_CLI_INPUT_H
#define C4_PLANNER_CLI_INPUT_H

#include "common/buf.h"
#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

/* Each returns 0, or 1 after saying what is wrong: nothing to release then. */
int c4_input_fabric(const char *path, struct c4_fabric *f);
int c4_input_demand(const char *path, const struct c4_fabric *f, struct c4_demand *d);
int c4_input_text(const char *path, struct c4_buf *text);

/* Prints and empties the lines; returns 1. */
int c4_input_errors(struct c4_buf *errors);

#endif
