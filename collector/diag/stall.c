// SPDX-License-Identifier: BSD-3-Clause
/*
 * stall.c - nobody is away, and yet nothing moves.
 *
 * deadlock: waiting ranks whose chains never reach a rank that does not wait: they wait for each
 * other. In a wait-for graph of "all of these must come" edges a circle never resolves by itself.
 * hang-comm: all members are inside the same operation and none gets out. Which connection stands
 * still only the transport can tell; without its counters nobody is named.
 */
#include <math.h>
#include <stdio.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define CIRCLE_NS     4000000000u
#define CIRCLE_P2P_NS 20000000000u /* messages may still be under way */
#define HANG_COMM_NS  30000000000u
#define MAX_CIRCLE    64

/* Somebody r waits for who is not explained either. */
static int32_t next_in_circle(const struct c4_waits *w, int32_t r, bool *p2p)
{
	const struct c4_diag_call *call = &w->calls[r];

	if (c4_op_info(call->kind)->cls == C4_CLASS_P2P) {
		*p2p = true;
		for (uint32_t i = 0; i < call->npeers && i < C4_DIAG_PEERS; i++)
			if (call->peers[i] >= 0 && !w->explained[call->peers[i]])
				return call->peers[i];
		return -1;
	}
	for (uint32_t k = 0; k < w->comms[call->comm].nmissing; k++) {
		int32_t m = w->missing[w->comms[call->comm].first + k];

		if (!w->explained[m])
			return m;
	}
	return -1;
}

/* Walks from r until a rank comes twice; the ranks from there on are the circle. */
static uint32_t walk(const struct c4_waits *w, int32_t r, int32_t *circle, bool *p2p)
{
	int32_t path[MAX_CIRCLE];
	uint32_t n = 0;

	while (r >= 0 && n < MAX_CIRCLE) {
		for (uint32_t i = 0; i < n; i++) {
			if (path[i] != r)
				continue;
			for (uint32_t k = i; k < n; k++)
				circle[k - i] = path[k];
			return n - i;
		}
		path[n++] = r;
		r = next_in_circle(w, r, p2p);
	}
	return 0;
}

static void sort_ranks(int32_t *ranks, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k && ranks[k] < ranks[k - 1]; k--) {
			int32_t t = ranks[k];

			ranks[k] = ranks[k - 1];
			ranks[k - 1] = t;
		}
}

static void report_circle(struct c4_look *l, int32_t *circle, uint32_t n, uint64_t age)
{
	struct c4_verdict *v;
	char who[128];

	sort_ranks(circle, n);
	v = c4_verdict_add(l->out, l->job, C4_INC_DEADLOCK, 0, circle, n);
	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 0.95;
	v->since_ns = age;
	v->nwaiting = n;
	c4_verdict_say(v, "%s wait for each other in different operations for %.1f s",
		       c4_verdict_who(v, who, sizeof who), (double)age / 1e9);
	for (uint32_t i = 0; i < n && i < C4_DIAG_EVIDENCE; i++) {
		const struct c4_diag_call *call = &l->waits->calls[circle[i]];

		c4_verdict_evidence(v, "wait_s", (double)l->waits->age_ns[circle[i]] / 1e9, NAN, 0,
				    "rank %d in %s #%llu of comm %s", circle[i],
				    c4_op_info(call->kind)->name, (unsigned long long)call->opno,
				    c4_diag_comm_name(l->job, call->comm));
	}
}

static void judge_circles(struct c4_look *l)
{
	const struct c4_waits *w = l->waits;
	int32_t circle[MAX_CIRCLE];
	uint64_t age = UINT64_MAX;
	bool p2p = false;
	uint32_t n = 0;

	for (uint32_t r = 0; r < l->job->nranks && !n; r++)
		if (!w->explained[r])
			n = walk(w, (int32_t)r, circle, &p2p);
	for (uint32_t i = 0; i < n; i++)
		if (w->age_ns[circle[i]] < age)
			age = w->age_ns[circle[i]];
	if (n && age >= (p2p ? CIRCLE_P2P_NS : CIRCLE_NS))
		report_circle(l, circle, n, age);
}

/* How long this communicator's operations are known to take at most. */
static uint64_t longest_seen(const struct c4_diag_comm *c)
{
	uint64_t longest = 0;

	for (uint32_t k = 0; k < c->nwindows; k++)
		for (uint32_t i = 0; i < c->size; i++)
			if (c->windows[k].parts[i].sync_max_ns > longest)
				longest = c->windows[k].parts[i].sync_max_ns;
	return longest;
}

static void judge_all_inside(struct c4_look *l, uint32_t comm)
{
	const struct c4_diag_comm *c = &l->job->comms[comm];
	const struct c4_wait_comm *w = &l->waits->comms[comm];
	uint64_t tolerated = longest_seen(c) * 3;
	struct c4_verdict *v;

	if (tolerated < HANG_COMM_NS)
		tolerated = HANG_COMM_NS;
	if (w->transport || w->mismatched || w->nwaiters != c->size || w->nmissing || w->nunknown ||
	    w->age_ns < tolerated)
		return;
	v = c4_verdict_add(l->out, l->job, C4_INC_HANG_COMM, c->id, NULL, 0);
	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 0.7;
	v->since_ns = w->age_ns;
	v->nwaiting = c->size;
	c4_verdict_say(v,
		       "all %u ranks are inside operation #%llu of comm %s for %.0f s and none "
		       "gets out: the network, not a rank",
		       c->size, (unsigned long long)w->op, c4_diag_comm_name(l->job, comm),
		       (double)w->age_ns / 1e9);
	c4_verdict_evidence(v, "inside_s", (double)w->age_ns / 1e9, NAN, 0,
			    "longest before: %.3f s", (double)longest_seen(c) / 1e9);
}

void c4_judge_stall(struct c4_look *l)
{
	judge_circles(l);
	for (uint32_t i = 0; i < l->job->ncomms; i++)
		if (l->waits->comms[i].nwaiters)
			judge_all_inside(l, i);
}
