/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_fabric.h - `c4plan fabric make|check|show`. */
#ifndef C4_PLANNER_CLI_CMD_FABRIC_H
#define C4_PLANNER_CLI_CMD_FABRIC_H

/* argv[0] is "fabric". The exit status: 0, 1 when the fabric is of no use, 2 after misuse. */
int c4_cmd_fabric(int argc, char **argv);

#endif
