// SPDX-License-Identifier: BSD-3-Clause
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

/* Reports of other nodes' deaths may still be under way: wait before naming the first. */
#define SETTLE_NS 150000000u
/* Who was told to end is a casualty only if the others live on: the operator meant the job, not it.
 */
#define TOLD_NS 4000000000u

static bool crashed(const struct c4_diag_rank *r)
{
	return r->seen && r->run == C4_RUN_GONE && !r->finalized;
}

/* Ended by the launcher or the operator rather than by its own fault. */
static bool told_to_end(const struct c4_diag_rank *r)
{
	return r->status_known && WIFSIGNALED(r->wait_status) &&
	       (WTERMSIG(r->wait_status) == SIGTERM || WTERMSIG(r->wait_status) == SIGINT ||
		WTERMSIG(r->wait_status) == SIGHUP);
}

/* The one that pulled the others down: who called MPI_Abort, else who went first. A rank that was
 * told to end is never the first cause while another one was not. */
static int rank_order(const struct c4_diag_rank *r)
{
	return r->aborted ? 2 : !told_to_end(r);
}

static bool earlier(const struct c4_diag_rank *a, const struct c4_diag_rank *b)
{
	if (rank_order(a) != rank_order(b))
		return rank_order(a) > rank_order(b);
	return a->gone_for_ns > b->gone_for_ns;
}

static const char *how(const struct c4_diag_rank *r, char *buf, size_t n)
{
	if (r->aborted)
		snprintf(buf, n, "called MPI_Abort(%d)", (int)r->abort_code);
	else if (!r->status_known)
		snprintf(buf, n, "died without %s", r->mpi ? "MPI_Finalize" : "a farewell");
	else if (WIFSIGNALED(r->wait_status))
		snprintf(buf, n, "was killed by signal %d (%s)", WTERMSIG(r->wait_status),
			 strsignal(WTERMSIG(r->wait_status)));
	else
		snprintf(buf, n, "exited with status %d%s", WEXITSTATUS(r->wait_status),
			 r->mpi ? " without MPI_Finalize" : "");
	return buf;
}

struct casualties {
	int32_t first;	 /* -1: none */
	uint32_t dead;	 /* crashed in all */
	uint32_t living; /* ranks that are still there */
};

static struct casualties count(const struct c4_diag_job *job)
{
	struct casualties c = {.first = -1};

	for (uint32_t r = 0; r < job->nranks; r++) {
		const struct c4_diag_rank *rank = &job->ranks[r];

		c.living += rank->seen && rank->run != C4_RUN_GONE;
		if (!crashed(rank))
			continue;
		c.dead++;
		if (c.first < 0 || earlier(rank, &job->ranks[c.first]))
			c.first = (int32_t)r;
	}
	return c;
}

void c4_judge_crash(struct c4_look *l)
{
	struct casualties c = count(l->job);
	const struct c4_diag_rank *rank;
	char who[96], what[96];
	struct c4_verdict *v;

	if (c.first < 0 || l->job->ending)
		return;
	rank = &l->job->ranks[c.first];
	if (told_to_end(rank) && (c.living == 0 || rank->gone_for_ns < TOLD_NS))
		return;
	v = c4_verdict_add(l->out, l->job, C4_INC_CRASH, 0, &c.first, 1);
	if (!v)
		return;
	v->confirmed = rank->gone_for_ns >= SETTLE_NS || c.living == 0;
	v->confidence = rank->status_known || rank->aborted || c.dead == 1 ? 0.99 : 0.8;
	v->since_ns = rank->gone_for_ns;
	v->nwaiting = c.living;
	c4_verdict_say(v, "%s %s; %u other ranks %s", c4_verdict_who(v, who, sizeof who),
		       how(rank, what, sizeof what), c.dead > 1 ? c.dead - 1 : c.living,
		       c.dead > 1 ? "went down after it" : "are left without it");
	c4_verdict_evidence(v, "gone_s", (double)rank->gone_for_ns / 1e9, NAN, 0, "%s", what);
	if (c.dead > 1)
		c4_verdict_evidence(v, "died_later", c.dead - 1, NAN, 0,
				    "the launcher ends the other ranks after the first death");
}
