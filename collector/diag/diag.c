// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/diag.h"

#include <errno.h>

#include "collector/diag/judge.h"

int c4_diagnose(const struct c4_diag_job *job, struct c4_diag_memory *memory,
		struct c4_verdicts *out)
{
	struct c4_waits waits;
	struct c4_look look = {.job = job, .memory = memory, .waits = &waits, .out = out};

	if (!memory->started_ns)
		memory->started_ns = job->now_ns;
	if (c4_waits_init(&waits, job, memory)) {
		c4_waits_release(&waits);
		return -ENOMEM;
	}
	c4_judge_crash(&look);
	if (!waits.suspended) {
		c4_judge_mismatch(&look);
		c4_judge_broken(&look);
		c4_judge_transport(&look);
		c4_judge_hang(&look);
		c4_judge_stall(&look);
		c4_judge_slow(&look);
		c4_judge_matrix(&look);
	}
	c4_judge_health(&look);
	c4_judge_gap(&look);
	c4_waits_release(&waits);
	return out->failed ? -ENOMEM : 0;
}
