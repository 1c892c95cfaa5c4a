/* SPDX-License-Identifier: BSD-3-Clause */
/* fabric_summary.h - a fabric in a few lines, for people. */
#ifndef C4_PLANNER_CLI_FABRIC_SUMMARY_H
#define C4_PLANNER_CLI_FABRIC_SUMMARY_H

#include <stdio.h>

#include "planner/model/fabric/fabric.h"

/* Sizes and rates of the whole, then a line per network. 0 or -ENOMEM. */
int c4_fabric_summary(const struct c4_fabric *f, FILE *out);

#endif
