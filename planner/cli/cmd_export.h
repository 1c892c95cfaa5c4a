/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_export.h - `c4plan export`: a plan as input for a packet simulator. */
#ifndef C4_PLANNER_CLI_CMD_EXPORT_H
#define C4_PLANNER_CLI_CMD_EXPORT_H

/* argv[0] is "export". The exit status: 0; 1 when something cannot be read or written; 2 after
 * misuse. */
int c4_cmd_export(int argc, char **argv);

#endif
