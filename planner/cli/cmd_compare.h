/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_compare.h - `c4plan compare`: the planner beside ECMP and heuristics. */
#ifndef C4_PLANNER_CLI_CMD_COMPARE_H
#define C4_PLANNER_CLI_CMD_COMPARE_H

/* argv[0] is "compare". The exit status: 0; 1 when something cannot be read or written; 2 after
 * misuse. */
int c4_cmd_compare(int argc, char **argv);

#endif
