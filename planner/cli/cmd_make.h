/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_make.h - `c4plan make`: a plan for a demand on a fabric. */
#ifndef C4_PLANNER_CLI_CMD_MAKE_H
#define C4_PLANNER_CLI_CMD_MAKE_H

/* argv[0] is "make". The exit status: 0, also when the plan names QPs it cannot place; 1 when an
 * input is of no use; 2 after misuse. */
int c4_cmd_make(int argc, char **argv);

#endif
