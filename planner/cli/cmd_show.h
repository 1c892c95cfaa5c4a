/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_show.h - `c4plan show`: a plan from a file or from a running planner. */
#ifndef C4_PLANNER_CLI_CMD_SHOW_H
#define C4_PLANNER_CLI_CMD_SHOW_H

/* argv[0] is "show". The exit status: 0; 1 when there is no plan to be had; 2 after misuse. */
int c4_cmd_show(int argc, char **argv);

#endif
