// SPDX-License-Identifier: BSD-3-Clause
/*
 * broken.c - hang-comm: NCCL itself reports an error of a communicator (ncclCommGetAsyncError).
 * Nothing will finish on it any more, whether the program asks for the error or not.
 *
 * The rank where it broke reports what happened to itself; its peers report that a peer was lost
 * (ncclRemoteError). So those that report the former are named, if they are the minority. Where
 * all have lost a peer, it is whose program gave the communicator up without an error that anybody
 * saw: who gives it up after an error did not begin. No clock tells which came first. A death
 * that was seen explains everything: then nothing is said here.
 */
#include <math.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define MAX_BROKEN 4u /* communicators; more are the same fault */
#define MAX_NAMED  16u

/* ncclResult_t */
static const char *const results[] = {
	"no error",
	"a CUDA call failed",
	"a system call or the network failed",
	"an internal check failed",
	"an invalid argument",
	"invalid usage",
	"a peer was lost, or the network to it",
};
#define REMOTE 6u

static const char *result_text(uint64_t code)
{
	return code < sizeof results / sizeof *results ? results[code] : "an unknown error";
}

struct broken {
	uint32_t first; /* member to quote */
	uint32_t reporting, aborted, n;
	bool by_abort;		  /* those named gave it up, no error says so */
	int32_t ranks[MAX_NAMED]; /* where it broke */
};

static void name(struct broken *b, int32_t rank)
{
	if (b->n < MAX_NAMED)
		b->ranks[b->n] = rank;
	b->n++;
}

/* Nobody reports what happened to itself: who gave it up, unlike the others, unasked? */
static void name_aborters(const struct c4_diag_comm *c, struct broken *b)
{
	for (uint32_t m = 0; m < c->size; m++)
		if (c->state[m].known && c->state[m].aborted && !c4_diag_broken(&c->state[m]))
			name(b, c->members[m]);
	b->by_abort = b->n > 0;
}

static bool examine(const struct c4_diag_comm *c, struct broken *b)
{
	*b = (struct broken){.first = UINT32_MAX};
	for (uint32_t m = 0; m < c->size; m++) {
		b->aborted += c->state[m].aborted;
		if (!c4_diag_broken(&c->state[m]))
			continue;
		if (b->first == UINT32_MAX || c->state[b->first].async_error == REMOTE)
			b->first = m;
		b->reporting++;
		if (c->state[m].async_error == REMOTE)
			continue;
		name(b, c->members[m]);
	}
	if (b->reporting && !b->n)
		name_aborters(c, b);
	if (b->n > MAX_NAMED || b->n * 2 > c->size)
		b->n = 0;
	return b->reporting > 0;
}

static void report(struct c4_look *l, uint32_t comm, const struct broken *b)
{
	const struct c4_diag_comm *c = &l->job->comms[comm];
	uint64_t code = c->state[b->first].async_error;
	struct c4_verdict *v =
		c4_verdict_add(l->out, l->job, C4_INC_HANG_COMM, c->id, b->ranks, b->n);

	if (!v)
		return;
	v->confirmed = true;
	v->confidence = b->n && !b->by_abort ? 0.9 : 0.75;
	v->nwaiting = c->size - b->n;
	c4_verdict_say(v,
		       "comm %s is broken: rank %d reports NCCL error %llu (%s), %u of %u ranks "
		       "report one",
		       c4_diag_comm_name(l->job, comm), c->members[b->first],
		       (unsigned long long)code, result_text(code), b->reporting, c->size);
	c4_verdict_evidence(v, "async_error", (double)code, NAN, 0, "rank %d: %s",
			    c->members[b->first], result_text(code));
	if (b->aborted)
		c4_verdict_evidence(v, "aborted", b->aborted, NAN, 0,
				    b->by_abort && b->n ? "its program gave it up, no error seen"
							: "ranks whose program gave it up");
	l->waits->comms[comm].transport = true;
}

static bool crash_seen(const struct c4_verdicts *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].kind == C4_INC_CRASH || list->v[i].kind == C4_INC_NODE_LOST)
			return true;
	return false;
}

void c4_judge_broken(struct c4_look *l)
{
	struct broken b;
	uint32_t n = 0;

	if (l->job->ending || crash_seen(l->out))
		return;
	for (uint32_t i = 0; i < l->job->ncomms && n < MAX_BROKEN; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];

		if (!c->gpu || !c->judged || !c->members || !examine(c, &b))
			continue;
		report(l, i, &b);
		n++;
	}
}
