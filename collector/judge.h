/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * judge.h - one look at a job: brings the tables of the diagnosis up to date and calls it.
 */
#ifndef C4_COLLECTOR_JUDGE_H
#define C4_COLLECTOR_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/diag/diag.h"
#include "collector/model.h"

/* Ages, silence, states and windows of the job as of now; its state follows. Cheap enough for each
 * look: O(ranks + members). */
void c4_judge_refresh(struct c4_job *j, uint64_t now_ns);

/* True when it is time to look again: large jobs are looked at less often, and no job takes more
 * than a tenth of the thread. */
bool c4_judge_due(const struct c4_job *j, uint64_t now_ns);

/* Refreshes and diagnoses. 0, or -ENOMEM with *out untouched. The verdicts point into the job. */
int c4_judge(struct c4_job *j, uint64_t now_ns, struct c4_verdicts *out);

/* The job will not change any more: frees what only judging needs. */
void c4_judge_close(struct c4_job *j);

#endif
