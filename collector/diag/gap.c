// SPDX-License-Identifier: BSD-3-Clause
/*
 * gap.c - data-gap: what we cannot see, said aloud. Never names a rank or a node as culprit:
 * silence is our fault until something else proves the contrary.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#include "common/base/hash.h"

/* Ranks that have not reported so long after the first look are not just late starters. */
#define MISSING_NS 10000000000u

static bool first_of_node(const struct c4_diag_job *job, uint32_t r)
{
	for (uint32_t i = 0; i < r; i++)
		if (job->ranks[i].silent && job->ranks[i].node && job->ranks[r].node &&
		    !strcmp(job->ranks[i].node, job->ranks[r].node))
			return false;
	return true;
}

static void report_silent(struct c4_look *l, uint32_t r)
{
	const char *node = l->job->ranks[r].node ? l->job->ranks[r].node : "?";
	uint64_t about = c4_hash_bytes(1, node, strlen(node));
	struct c4_verdict *v;
	uint32_t n = 0;

	for (uint32_t i = r; i < l->job->nranks; i++)
		n += l->job->ranks[i].silent && l->job->ranks[i].node &&
		     !strcmp(l->job->ranks[i].node, node);
	v = c4_verdict_add(l->out, l->job, C4_INC_DATA_GAP, about, NULL, 0);
	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 1.0;
	c4_verdict_say(v, "no data from the agent of node %s: its %u rank%s not judged", node, n,
		       n == 1 ? " is" : "s are");
	c4_verdict_evidence(v, "silent_ranks", n, NAN, 0, "node %s", node);
}

static void report_missing(struct c4_look *l, uint32_t missing)
{
	struct c4_verdict *v = c4_verdict_add(l->out, l->job, C4_INC_DATA_GAP, 2, NULL, 0);

	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 1.0;
	c4_verdict_say(
		v,
		"%u of %u ranks never reported: not started under c4, or on nodes without an agent",
		missing, l->job->nranks);
	c4_verdict_evidence(v, "missing_ranks", missing, NAN, 0, "of %u", l->job->nranks);
}

void c4_judge_gap(struct c4_look *l)
{
	const struct c4_diag_job *job = l->job;
	uint32_t missing = 0;

	for (uint32_t r = 0; r < job->nranks; r++) {
		missing += !job->ranks[r].seen;
		if (job->ranks[r].silent && first_of_node(job, r))
			report_silent(l, r);
	}
	if (missing && job->now_ns - l->memory->started_ns >= MISSING_NS)
		report_missing(l, missing);
}
