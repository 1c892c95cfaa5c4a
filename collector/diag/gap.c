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

/* More silent nodes than this are said in one sentence. */
#define MAX_NODES 64

struct silence {
	uint32_t nnodes, nranks; /* nnodes may exceed MAX_NODES */
	const char *node[MAX_NODES];
	uint32_t ranks[MAX_NODES];
};

static void add_silent(struct silence *s, const char *node)
{
	uint32_t known = s->nnodes < MAX_NODES ? s->nnodes : MAX_NODES;

	s->nranks++;
	for (uint32_t i = 0; i < known; i++)
		if (!strcmp(s->node[i], node)) {
			s->ranks[i]++;
			return;
		}
	if (s->nnodes < MAX_NODES) {
		s->node[s->nnodes] = node;
		s->ranks[s->nnodes] = 1;
	}
	s->nnodes++;
}

static void report_node(struct c4_look *l, const char *node, uint32_t n)
{
	uint64_t about = c4_hash_bytes(1, node, strlen(node));
	struct c4_verdict *v = c4_verdict_add(l->out, l->job, C4_INC_DATA_GAP, about, NULL, 0);

	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 1.0;
	c4_verdict_say(v, "no data from the agent of node %s: its %u rank%s not judged", node, n,
		       n == 1 ? " is" : "s are");
	c4_verdict_evidence(v, "silent_ranks", n, NAN, 0, "node %s", node);
}

static void report_many(struct c4_look *l, const struct silence *s)
{
	struct c4_verdict *v = c4_verdict_add(l->out, l->job, C4_INC_DATA_GAP, 3, NULL, 0);

	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 1.0;
	c4_verdict_say(
		v, "no data from many nodes, %s and %s among them: their %u ranks are not judged",
		s->node[0], s->node[1], s->nranks);
	c4_verdict_evidence(v, "silent_ranks", s->nranks, NAN, 0,
			    "the monitor's own fault, likely");
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
	struct silence silence = {0};
	uint32_t missing = 0;

	for (uint32_t r = 0; r < job->nranks; r++) {
		missing += !job->ranks[r].seen;
		if (job->ranks[r].silent)
			add_silent(&silence, job->ranks[r].node ? job->ranks[r].node : "?");
	}
	if (silence.nnodes > MAX_NODES)
		report_many(l, &silence);
	else
		for (uint32_t i = 0; i < silence.nnodes; i++)
			report_node(l, silence.node[i], silence.ranks[i]);
	if (missing && job->now_ns - l->memory->started_ns >= MISSING_NS)
		report_missing(l, missing);
}
