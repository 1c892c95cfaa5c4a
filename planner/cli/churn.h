/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * churn.h - jobs that come and go while others run: which ways of routing stay good, and how many
 * running QPs they move for it.
 *
 * 32 leaves of 32 hosts with one NIC, 32 spines; jobs are rings of 8 to 32 hosts in random places;
 * a job comes when it fits under 90 % of the hosts, else one ends. Every way sees the same events
 * and is judged after each of them (trial.h). One thread.
 */
#ifndef C4_PLANNER_CLI_CHURN_H
#define C4_PLANNER_CLI_CHURN_H

#include "planner/cli/rows.h"

int c4_churn_run(uint32_t seeds, struct c4_rows *ret, struct c4_fault *fault);

#endif
