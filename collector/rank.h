/* SPDX-License-Identifier: BSD-3-Clause */
/* rank.h - a rank's place in the model: who takes it, what state it is in. See model.h. */
#ifndef C4_COLLECTOR_RANK_H
#define C4_COLLECTOR_RANK_H

#include "collector/model.h"

/*
 * Gives the place to this process of agent a. C4_PART_OK, or why not: a living process has it, or
 * the agent has too many or misuses the handle. Another process than before begins from zero.
 */
enum c4_part_refusal c4_rank_bind(struct c4_rank *r, struct c4_agent *a,
				  const struct c4_process_identity *who, uint64_t now_ns);

/* Takes the rank from its agent's table; the place itself stays. */
void c4_rank_unbind(struct c4_rank *r);

enum c4_rank_state c4_rank_state(const struct c4_rank *r);
const char *c4_rank_state_name(enum c4_rank_state s);

/* The GPU the rank runs on, as its agent last told of it; NULL: none or not known. */
const struct c4_diag_gpu *c4_rank_gpu(const struct c4_rank *r);

/* Windows stop waiting for this rank, in all its communicators. */
void c4_rank_excuse(struct c4_rank *r);

/* Sums of what was lost on the way from this job. */
struct c4_losses c4_job_losses(const struct c4_job *j);

#endif
