// SPDX-License-Identifier: BSD-3-Clause
/*
 * mismatch.c - members of a communicator that disagree on what their operation number k is.
 *
 * Needs no waiting and no clocks: what one rank did at number k, every other must have done at k.
 * Members report their last few operations, so those that went on can still be asked. The minority
 * is named; a tie names both sides.
 * A rank inside (or past) MPI_Finalize while others wait for it left an operation out, too.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define LEFT_NS                                                                                    \
	2000000000u /* waiting for a rank that has finalised: longer than any skew of looks */

#define MAX_CULPRITS 256

static bool rooted(uint32_t kind)
{
	uint8_t cls = c4_op_info(kind)->cls;

	return cls == C4_CLASS_ROOT_IN || cls == C4_CLASS_ROOT_OUT;
}

/* What the member did at operation op; 0: not entered, or too long ago. The oldest entry may be
 * about to be overwritten, so it is not asked for. */
static uint32_t brief(const struct c4_diag_member *m, uint64_t op)
{
	if (!m->known || m->entered <= op || m->entered - op >= C4_DIAG_RECENT)
		return 0;
	return m->recent[op % C4_DIAG_RECENT];
}

/* Op is its last one: then all about it is known. */
static bool detailed(const struct c4_diag_member *m, uint64_t op)
{
	return m->known && m->entered == op + 1;
}

/* Differences a brief does not show, where both are at op. Codes of 0 are unknown. */
static const char *finer(const struct c4_diag_member *a, const struct c4_diag_member *b,
			 uint64_t op)
{
	if (!detailed(a, op) || !detailed(b, op) || !c4_op_info(a->kind)->uniform)
		return NULL;
	if (a->dtype && b->dtype && a->dtype != b->dtype)
		return "datatype";
	if (a->redop && b->redop && a->redop != b->redop)
		return "reduction";
	return NULL;
}

/* What differs between two members at op, in words; NULL if they agree or cannot be compared. */
static const char *difference(const struct c4_diag_member *a, const struct c4_diag_member *b,
			      uint64_t op)
{
	uint32_t x = brief(a, op), y = brief(b, op);

	if (!x || !y)
		return NULL;
	if ((x & 0xff) != (y & 0xff))
		return "operation";
	if (x != y)
		return rooted(x & 0xff) ? "byte count or root" : "byte count";
	return finer(a, b, op);
}

struct dissent {
	uint32_t comm;
	uint64_t op;
	uint32_t major, minor; /* members: one of each side */
	uint32_t votes, total;
	uint32_t n; /* culprits */
	int32_t ranks[MAX_CULPRITS];
};

/* Members that agree with member m about op. */
static uint32_t supporters(const struct c4_diag_comm *c, uint64_t op, uint32_t m)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->size; i++)
		n += brief(&c->state[i], op) && !difference(&c->state[i], &c->state[m], op);
	return n;
}

static uint32_t witnesses(const struct c4_diag_comm *c, uint64_t op)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->size; i++)
		n += brief(&c->state[i], op) != 0;
	return n;
}

/* Finds whose view of op most share; false if there is nobody to ask. */
static bool find_majority(const struct c4_diag_comm *c, struct dissent *d)
{
	d->total = witnesses(c, d->op);
	for (uint32_t i = 0; i < c->size && d->votes * 2 <= d->total; i++) {
		uint32_t n = brief(&c->state[i], d->op) ? supporters(c, d->op, i) : 0;

		if (n <= d->votes)
			continue;
		d->votes = n;
		d->major = i;
	}
	return d->votes > 0;
}

static void name_minority(const struct c4_diag_comm *c, struct dissent *d)
{
	bool tie = d->votes * 2 <= d->total;

	d->minor = c->size;
	for (uint32_t i = 0; i < c->size && d->n < MAX_CULPRITS; i++) {
		bool differs;

		if (!brief(&c->state[i], d->op))
			continue;
		differs = difference(&c->state[i], &c->state[d->major], d->op) != NULL;
		if (differs && d->minor == c->size)
			d->minor = i;
		if (differs || tie)
			d->ranks[d->n++] = c->members[i];
	}
}

static const char *op_text(const struct c4_diag_member *m, uint64_t op, char *buf, size_t n)
{
	const char *name = c4_op_info(brief(m, op) & 0xff)->name;

	if (!detailed(m, op))
		snprintf(buf, n, "%s", name);
	else if (rooted(m->kind))
		snprintf(buf, n, "%s of %llu bytes from root %d", name,
			 (unsigned long long)m->bytes, m->root);
	else
		snprintf(buf, n, "%s of %llu bytes", name, (unsigned long long)m->bytes);
	return buf;
}

static void report(struct c4_look *l, const struct dissent *d)
{
	const struct c4_diag_comm *c = &l->job->comms[d->comm];
	const struct c4_diag_member *major = &c->state[d->major], *minor = &c->state[d->minor];
	const char *what = difference(minor, major, d->op);
	char who[128], theirs[80], ours[80];
	struct c4_verdict *v;

	v = c4_verdict_add(l->out, l->job, C4_INC_MISMATCH, c->id, d->ranks, d->n);
	if (!v)
		return;
	op_text(major, d->op, theirs, sizeof theirs);
	op_text(minor, d->op, ours, sizeof ours);
	v->confirmed = true;
	v->confidence = d->votes * 2 > d->total ? 0.97 : 0.6;
	v->nwaiting = d->total - d->n;
	v->since_ns = minor->inside_ns > major->inside_ns ? minor->inside_ns : major->inside_ns;
	c4_verdict_say(v, "%s: operation #%llu of comm %s is %s there, but %s on %u of %u ranks",
		       c4_verdict_who(v, who, sizeof who), (unsigned long long)d->op,
		       c4_diag_comm_name(l->job, d->comm), ours, theirs, d->votes, d->total);
	c4_verdict_evidence(v, "agreeing_ranks", d->votes, NAN, 0, "%s", theirs);
	c4_verdict_evidence(v, "dissenting_ranks", d->total - d->votes, NAN, 0, "%s differs: %s",
			    what ? what : "nothing", ours);
}

/* Compares the members at one operation; true if they disagree. */
static bool compare_at(struct c4_look *l, uint32_t comm, uint64_t op)
{
	const struct c4_diag_comm *c = &l->job->comms[comm];
	struct dissent d = {.comm = comm, .op = op};

	if (!find_majority(c, &d) || d.votes == d.total)
		return false;
	name_minority(c, &d);
	if (d.minor == c->size)
		return false;
	report(l, &d);
	return true;
}

/* The last operation of the member that is least far, then of the one that is farthest: in
 * lock-step there is little in between. */
static void compare_members(struct c4_look *l, uint32_t comm)
{
	const struct c4_diag_comm *c = &l->job->comms[comm];
	uint64_t low = UINT64_MAX, high = 0;

	for (uint32_t i = 0; i < c->size; i++) {
		uint64_t entered = c->state[i].known ? c->state[i].entered : 0;

		if (!entered)
			continue;
		low = entered < low ? entered : low;
		high = entered > high ? entered : high;
	}
	if (high && !compare_at(l, comm, low - 1) && low != high)
		compare_at(l, comm, high - 1);
}

/* Ranks that finalise, or have, while others wait for them in a communicator. */
static void judge_leavers(struct c4_look *l, uint32_t comm)
{
	const struct c4_wait_comm *w = &l->waits->comms[comm];
	const struct c4_diag_comm *c = &l->job->comms[comm];
	int32_t ranks[MAX_CULPRITS];
	struct c4_verdict *v;
	char who[128];
	uint32_t n = 0;

	if (!w->nwaiters || w->age_ns < LEFT_NS)
		return;
	for (uint32_t k = 0; k < w->nmissing && n < MAX_CULPRITS; k++) {
		const struct c4_diag_rank *r = &l->job->ranks[l->waits->missing[w->first + k]];

		if (r->finalizing || r->finalized)
			ranks[n++] = l->waits->missing[w->first + k];
	}
	if (!n)
		return;
	v = c4_verdict_add(l->out, l->job, C4_INC_MISMATCH, c->id, ranks, n);
	if (!v)
		return;
	v->confirmed = true;
	v->confidence = 0.95;
	v->nwaiting = w->nwaiters;
	v->since_ns = w->age_ns;
	c4_verdict_say(v,
		       "%s called MPI_Finalize, but %u ranks wait in operation #%llu of comm %s "
		       "for %.1f s",
		       c4_verdict_who(v, who, sizeof who), w->nwaiters, (unsigned long long)w->op,
		       c4_diag_comm_name(l->job, comm), (double)w->age_ns / 1e9);
	c4_verdict_evidence(v, "waiting_ranks", w->nwaiters, NAN, 0,
			    "in an operation the named ranks will never enter");
}

/* Windows carry the sum of their operations' signatures: a difference that nobody hung on. */
static void compare_windows(struct c4_look *l, uint32_t comm)
{
	const struct c4_diag_comm *c = &l->job->comms[comm];
	const struct c4_diag_window *w = c->nwindows ? &c->windows[c->nwindows - 1] : NULL;
	uint32_t differing = 0, agreeing = 0, odd = 0, even = c->size;
	struct c4_verdict *v;
	char who[128];

	for (uint32_t i = 0; w && i < c->size; i++) {
		const struct c4_diag_part *p = &w->parts[i];

		if (!p->present || p->missing || !p->signature)
			continue;
		if (even == c->size)
			even = i;
		if (p->signature == w->parts[even].signature)
			agreeing++;
		else {
			differing++;
			odd = i;
		}
	}
	if (!differing || (differing > 1 && agreeing > 1))
		return; /* without a lone dissenter the sums do not tell who */
	if (agreeing == 1 && differing > 1)
		odd = even;
	v = c4_verdict_add(l->out, l->job, C4_INC_MISMATCH, c->id, &c->members[odd], 1);
	if (!v)
		return;
	v->confirmed = true;
	v->confidence = differing + agreeing > 2 ? 0.9 : 0.5;
	c4_verdict_say(v,
		       "%s: operations #%llu to #%llu of comm %s differ from the other ranks' in "
		       "kind, size or root",
		       c4_verdict_who(v, who, sizeof who), (unsigned long long)w->first,
		       (unsigned long long)(w->first + w->count - 1),
		       c4_diag_comm_name(l->job, comm));
	c4_verdict_evidence(v, "agreeing_ranks", differing + agreeing - 1, NAN, 1,
			    "same sequence of operations on all of them");
}

void c4_judge_mismatch(struct c4_look *l)
{
	for (uint32_t i = 0; i < l->job->ncomms; i++) {
		const struct c4_diag_comm *c = &l->job->comms[i];
		uint32_t before = l->out->n;

		if (!c->judged || !c->members)
			continue;
		compare_members(l, i);
		if (l->out->n == before)
			judge_leavers(l, i);
		if (l->out->n == before)
			compare_windows(l, i);
		l->waits->comms[i].mismatched = l->out->n != before;
	}
}
