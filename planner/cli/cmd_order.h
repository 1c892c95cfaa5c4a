/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_order.h - `c4plan order`: a rank order that keeps ring neighbours under one leaf. */
#ifndef C4_PLANNER_CLI_CMD_ORDER_H
#define C4_PLANNER_CLI_CMD_ORDER_H

/* argv[0] is "order". The exit status: 0, also with hosts that the fabric does not know; 1 when an
 * input is of no use; 2 after misuse. */
int c4_cmd_order(int argc, char **argv);

#endif
