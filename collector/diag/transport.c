// SPDX-License-Identifier: BSD-3-Clause
/*
 * transport.c - hang-comm with a name: all members' kernels have begun an operation, none moves.
 *
 * A ring or tree passes data on, so one connection that stands still soon stops all others. What
 * each end says of itself tells them apart:
 *
 *	sender		receiver	means
 *	posted, or	waits for	data (or its credit) is lost on the way: this
 *	done with it	data		connection stands still ........... STALLED
 *	posted, or	has no		the receiver's GPU does not consume: look where
 *	wants to	buffer		the receiver itself is blocked ..... BACKED
 *	waits for	waits for	the sender's GPU does not produce: look where
 *	its GPU		data		the sender itself is blocked ....... STARVED
 *
 * STALLED connections are the fault. Without any, ranks wait for each other's GPUs: a rank others
 * wait for which waits for nobody has a GPU that stands still. A circle names nobody.
 *
 * That all data the sender ever completed arrived can be asked only where both ends saw the same
 * steps; they may have looked at different times (duty cycle). So counters of the two ends are
 * compared only if they agree on most connections of the communicator and are nowhere the wrong
 * way round.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "c4/segment.h"
#include "collector/diag/judge.h"
#include "collector/diag/verdict.h"

#define FLOOR_NS    3000000000u
#define CEILING_NS  30000000000u
#define WARMUP_NS   10000000000u /* connections are made in the first operations */
#define WARMUP_OPS  4u
#define PERIODS	    3u /* times the longest operation seen before */
#define RANKS_NAMED 16u

enum condition { QUIET, STALLED, BACKED, STARVED };

struct standstill {
	uint32_t comm;
	const struct c4_diag_comm *c;
	uint64_t op;
	uint64_t age_ns;   /* all that are inside have been so for this long */
	uint64_t still_ns; /* no connection has moved for this long */
	uint32_t inside;   /* members that have not left op */
	uint64_t tolerated_ns;
	bool comparable;
	uint32_t nstalled;
	uint8_t *condition; /* per connection */
};

/* ---- does it stand still? -------------------------------------------------------------------- */

/* All kernels of the oldest unfinished operation have begun; everybody is there and can move. */
static bool all_inside(const struct c4_diag_job *job, struct standstill *s)
{
	const struct c4_diag_comm *c = s->c;
	uint64_t oldest = UINT64_MAX;

	for (uint32_t m = 0; m < c->size; m++)
		if (c->state[m].finished < oldest)
			oldest = c->state[m].finished;
	s->op = oldest;
	s->age_ns = UINT64_MAX;
	for (uint32_t m = 0; m < c->size; m++) {
		const struct c4_diag_rank *r = &job->ranks[c->members[m]];

		if (!c->state[m].known || !r->seen || r->silent || r->run == C4_RUN_GONE ||
		    r->run == C4_RUN_STOPPED || r->run == C4_RUN_TRACED ||
		    c4_waits_begun(c, m) <= oldest)
			return false;
		if (c->state[m].finished > oldest)
			continue;
		s->inside++;
		if (c4_waits_inside_ns(c, m) < s->age_ns)
			s->age_ns = c4_waits_inside_ns(c, m);
	}
	return s->inside > 0;
}

static bool works(const struct c4_diag_end *e)
{
	return e->known && e->active;
}

static uint64_t still_for(const struct c4_diag_comm *c)
{
	uint64_t still = UINT64_MAX;

	for (uint32_t i = 0; i < c->nconns; i++) {
		const struct c4_diag_conn *k = &c->conns[i];

		if (works(&k->send) && k->send.still_ns < still)
			still = k->send.still_ns;
		if (works(&k->recv) && k->recv.still_ns < still)
			still = k->recv.still_ns;
	}
	return still == UINT64_MAX ? 0 : still;
}

static uint64_t tolerance(const struct c4_diag_comm *c, uint64_t op)
{
	uint64_t longest = 0;

	for (uint32_t k = 0; k < c->nwindows; k++)
		for (uint32_t i = 0; i < c->size; i++)
			if (c->windows[k].parts[i].sync_max_ns > longest)
				longest = c->windows[k].parts[i].sync_max_ns;
	longest *= PERIODS;
	if (longest > CEILING_NS)
		return CEILING_NS;
	if (longest < (op < WARMUP_OPS ? WARMUP_NS : FLOOR_NS))
		return op < WARMUP_OPS ? WARMUP_NS : FLOOR_NS;
	return longest;
}

/* ---- what each connection says --------------------------------------------------------------- */

static int64_t on_the_way(const struct c4_diag_conn *k)
{
	return (int64_t)(k->send.transmitted - k->recv.transmitted);
}

static bool counters_agree(const struct c4_diag_comm *c)
{
	uint32_t both = 0, equal = 0;

	for (uint32_t i = 0; i < c->nconns; i++) {
		if (!c->conns[i].send.known || !c->conns[i].recv.known)
			continue;
		if (on_the_way(&c->conns[i]) < 0)
			return false;
		both++;
		equal += on_the_way(&c->conns[i]) == 0;
	}
	return both > 1 && equal * 2 >= both;
}

/* The receiver waits for data: is it the sender that has none, or did it go lost? */
static enum condition of_waiting(const struct standstill *s, const struct c4_diag_conn *k)
{
	const struct c4_diag_end *e = &k->send;

	if (!e->known)
		return QUIET;
	if (s->comparable && on_the_way(k) > 0)
		return STALLED;
	if (works(e) && (e->phase == C4_CONN_SENDING || e->phase == C4_CONN_PEER_WAIT))
		return STALLED;
	/* it has ended its part of the very operation the receiver waits in */
	if (!e->active && e->opno == s->op && k->recv.opno == s->op)
		return STALLED;
	return STARVED;
}

static enum condition condition_of(const struct standstill *s, const struct c4_diag_conn *k)
{
	bool wants = works(&k->send) &&
		     (k->send.phase == C4_CONN_SENDING || k->send.phase == C4_CONN_PEER_WAIT);

	if (works(&k->recv) && k->recv.phase == C4_CONN_RECEIVING)
		return of_waiting(s, k);
	if (!wants)
		return QUIET;
	/* of the receiver nothing is known: posted and never completed is all there is */
	if (!k->recv.known)
		return k->send.phase == C4_CONN_SENDING ? STALLED : QUIET;
	return BACKED;
}

static void classify(struct standstill *s)
{
	s->comparable = counters_agree(s->c);
	for (uint32_t i = 0; i < s->c->nconns; i++) {
		s->condition[i] = (uint8_t)condition_of(s, &s->c->conns[i]);
		s->nstalled += s->condition[i] == STALLED;
	}
}

/* ---- who is at the end of it ----------------------------------------------------------------- */

/* The members whose GPU others wait for and which wait for no other: into root[n]; their number. */
static uint32_t gpu_roots(const struct standstill *s, uint32_t *root, uint32_t n)
{
	bool *blocked = calloc(s->c->size, 1), *blocks = calloc(s->c->size, 1);
	uint32_t found = 0;

	for (uint32_t i = 0; blocked && blocks && i < s->c->nconns; i++) {
		const struct c4_diag_conn *k = &s->c->conns[i];
		bool starved = s->condition[i] == STARVED;

		if (!starved && s->condition[i] != BACKED)
			continue;
		blocked[starved ? k->dst : k->src] = true;
		blocks[starved ? k->src : k->dst] = true;
	}
	for (uint32_t m = 0; blocked && blocks && m < s->c->size; m++) {
		if (!blocks[m] || blocked[m])
			continue;
		if (found < n)
			root[found] = m;
		found++;
	}
	free(blocked);
	free(blocks);
	return found;
}

static const char *const phase_words[] = {
	[C4_CONN_IDLE] = "has nothing to do",
	[C4_CONN_GPU_WAIT] = "waits for its own GPU",
	[C4_CONN_PEER_WAIT] = "waits for the receiver's buffer",
	[C4_CONN_SENDING] = "has posted data that nobody acknowledges",
	[C4_CONN_RECEIVING] = "waits for data",
	[C4_CONN_FLUSHING] = "flushes what came",
};

static void say_end(struct c4_verdict *v, const struct c4_diag_comm *c, const char *metric,
		    uint32_t member, const struct c4_diag_end *e, const char *counted)
{
	if (!e->known)
		return;
	c4_verdict_evidence(v, metric, (double)e->transmitted, (double)e->posted, 0,
			    "steps %s, of those posted; rank %d %s, still for %.1f s", counted,
			    c->members[member],
			    phase_words[e->phase <= C4_CONN_FLUSHING ? e->phase : C4_CONN_IDLE],
			    (double)e->still_ns / 1e9);
}

/* One fault stops several communicators of the same ranks: it is told once. */
static bool said(const struct c4_verdicts *list, const int32_t *ranks, uint32_t n)
{
	for (uint32_t i = 0; n && i < list->n; i++) {
		const struct c4_verdict *v = &list->v[i];

		if (v->kind == C4_INC_HANG_COMM && v->nranks == n &&
		    !memcmp(v->ranks, ranks, n * sizeof *ranks))
			return true;
	}
	return false;
}

static struct c4_verdict *begin(struct c4_look *l, const struct standstill *s, const int32_t *ranks,
				uint32_t n)
{
	struct c4_verdict *v;

	if (said(l->out, ranks, n))
		return NULL;
	v = c4_verdict_add(l->out, l->job, C4_INC_HANG_COMM, n ? 0 : s->c->id, ranks, n);
	if (!v)
		return NULL;
	v->confirmed = s->age_ns >= s->tolerated_ns && s->still_ns >= s->tolerated_ns;
	v->since_ns = s->age_ns;
	v->nwaiting = s->inside;
	return v;
}

static void say_operation(const struct c4_look *l, const struct standstill *s, char *buf, size_t n)
{
	snprintf(buf, n, "%s #%llu of comm %s", c4_op_info(c4_waits_op_kind(s->c, s->op))->name,
		 (unsigned long long)s->op, c4_diag_comm_name(l->job, s->comm));
}

static void add_common(const struct c4_look *l, const struct standstill *s, struct c4_verdict *v)
{
	char op[128];

	say_operation(l, s, op, sizeof op);
	c4_verdict_evidence(v, "still_s", (double)s->still_ns / 1e9, NAN, 0,
			    "no connection has moved; %s", op);
	c4_verdict_evidence(v, "inside_s", (double)s->age_ns / 1e9, NAN, 0,
			    "tolerated %.1f s, by the longest operation seen",
			    (double)s->tolerated_ns / 1e9);
}

/* ---- stalled connections --------------------------------------------------------------------- */

/* What the stalled connections have in common. */
struct common {
	bool one_src, one_dst;
	uint32_t first, shown; /* connections: the first stalled one, the one that shows it best */
};

static struct common what_they_share(const struct standstill *s)
{
	struct common x = {.one_src = true, .one_dst = true, .first = UINT32_MAX};

	for (uint32_t i = 0; i < s->c->nconns; i++) {
		const struct c4_diag_conn *k = &s->c->conns[i], *f;

		if (s->condition[i] != STALLED)
			continue;
		if (x.first == UINT32_MAX)
			x.first = x.shown = i;
		f = &s->c->conns[x.first];
		x.one_src &= k->src == f->src;
		x.one_dst &= k->dst == f->dst;
		if (k->send.known && k->recv.known && !s->c->conns[x.shown].recv.known)
			x.shown = i;
	}
	return x;
}

static void judge_link(struct c4_look *l, const struct standstill *s, const struct common *x)
{
	const struct c4_diag_conn *k = &s->c->conns[x->shown];
	int32_t ranks[2] = {s->c->members[k->src], s->c->members[k->dst]};
	struct c4_verdict *v = begin(l, s, ranks, 2);
	char op[128];

	if (!v)
		return;
	say_operation(l, s, op, sizeof op);
	c4_diag_link_name(l->job, ranks[0], ranks[1], v->link, sizeof v->link);
	v->confidence = k->send.known && k->recv.known ? 0.95 : 0.7;
	c4_verdict_say(v,
		       "the connection %s stands still in %s for %.1f s: posted by the sender, not "
		       "received; %u ranks wait for it",
		       v->link, op, (double)s->still_ns / 1e9, s->inside);
	say_end(v, s->c, "sent_steps", k->src, &k->send, "sent");
	say_end(v, s->c, "received_steps", k->dst, &k->recv, "received");
	if (s->nstalled > 1)
		c4_verdict_evidence(v, "stalled_channels", s->nstalled, NAN, 0,
				    "between these two");
	add_common(l, s, v);
}

/* Several connections of one rank: its own side of them is at fault. */
static void judge_side(struct c4_look *l, const struct standstill *s, const struct common *x)
{
	const struct c4_diag_conn *k = &s->c->conns[x->shown];
	int32_t rank = s->c->members[x->one_src ? k->src : k->dst];
	const char *does = x->one_src ? "sending" : "receiving";
	struct c4_verdict *v = begin(l, s, &rank, 1);
	char who[128], op[128];

	if (!v)
		return;
	say_operation(l, s, op, sizeof op);
	v->confidence = 0.9;
	snprintf(v->nic, sizeof v->nic, "%s %s", v->node ? v->node : "?", does);
	c4_verdict_say(v,
		       "nothing that %s is %s gets through: its %u connections stand still in %s "
		       "for %.1f s; %u ranks wait",
		       c4_verdict_who(v, who, sizeof who), does, s->nstalled, op,
		       (double)s->still_ns / 1e9, s->inside);
	say_end(v, s->c, "sent_steps", k->src, &k->send, "sent");
	say_end(v, s->c, "received_steps", k->dst, &k->recv, "received");
	add_common(l, s, v);
}

static void judge_many(struct c4_look *l, const struct standstill *s, const struct common *x)
{
	const struct c4_diag_conn *k = &s->c->conns[x->shown];
	struct c4_verdict *v = begin(l, s, NULL, 0);
	char link[C4_DIAG_LINK], op[128];

	if (!v)
		return;
	say_operation(l, s, op, sizeof op);
	c4_diag_link_name(l->job, s->c->members[k->src], s->c->members[k->dst], link, sizeof link);
	v->confidence = 0.8;
	c4_verdict_say(v,
		       "%u connections between several ranks stand still in %s for %.1f s, %s "
		       "among them: the network they share",
		       s->nstalled, op, (double)s->still_ns / 1e9, link);
	say_end(v, s->c, "sent_steps", k->src, &k->send, "sent");
	say_end(v, s->c, "received_steps", k->dst, &k->recv, "received");
	add_common(l, s, v);
}

static void judge_stalled(struct c4_look *l, const struct standstill *s)
{
	struct common x = what_they_share(s);

	if (x.one_src && x.one_dst)
		judge_link(l, s, &x);
	else if (x.one_src || x.one_dst)
		judge_side(l, s, &x);
	else
		judge_many(l, s, &x);
}

/* ---- no connection is at fault --------------------------------------------------------------- */

static bool judge_gpu(struct c4_look *l, const struct standstill *s)
{
	uint32_t root[RANKS_NAMED], n = gpu_roots(s, root, RANKS_NAMED);
	struct c4_verdict *v;
	char who[128], op[128];
	int32_t rank;

	if (n != 1)
		return false;
	rank = s->c->members[root[0]];
	v = begin(l, s, &rank, 1);
	if (!v)
		return true;
	say_operation(l, s, op, sizeof op);
	c4_verdict_gpu(v, l->job, rank);
	v->confidence = 0.85;
	c4_verdict_say(v,
		       "the GPU of %s stands still inside %s for %.1f s: it has what it needs and "
		       "neither produces nor consumes; %u ranks wait for it",
		       c4_verdict_who(v, who, sizeof who), op, (double)s->still_ns / 1e9,
		       s->inside - 1);
	for (uint32_t i = 0; i < s->c->nconns; i++) {
		const struct c4_diag_conn *k = &s->c->conns[i];

		if (s->condition[i] == STARVED && k->src == root[0])
			say_end(v, s->c, "sent_steps", k->src, &k->send, "sent");
		if (s->condition[i] == BACKED && k->dst == root[0])
			say_end(v, s->c, "received_steps", k->dst, &k->recv, "received");
	}
	add_common(l, s, v);
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool known_world(const struct c4_diag_job *job, const struct c4_diag_comm *c)
{
	for (uint32_t m = 0; m < c->size; m++)
		if (c->members[m] < 0 || (uint32_t)c->members[m] >= job->nranks)
			return false;
	return true;
}

static void judge_comm(struct c4_look *l, uint32_t comm)
{
	struct standstill s = {.comm = comm, .c = &l->job->comms[comm]};

	if (l->waits->comms[comm].mismatched || l->waits->comms[comm].transport)
		return; /* said what it is already */
	if (!s.c->gpu || !s.c->judged || !s.c->members || !s.c->nconns ||
	    !known_world(l->job, s.c) || !all_inside(l->job, &s))
		return;
	s.tolerated_ns = tolerance(s.c, s.op);
	s.age_ns = c4_waits_awake_ns(l->job, l->memory, s.age_ns);
	if (s.age_ns * 2 < s.tolerated_ns)
		return;
	s.still_ns = c4_waits_awake_ns(l->job, l->memory, still_for(s.c));
	if (s.still_ns * 2 < s.tolerated_ns)
		return;
	s.condition = calloc(s.c->nconns, 1);
	if (!s.condition) {
		l->out->failed = true;
		return;
	}
	classify(&s);
	l->waits->comms[comm].transport = true;
	if (s.nstalled)
		judge_stalled(l, &s);
	else
		l->waits->comms[comm].transport = judge_gpu(l, &s);
	free(s.condition);
}

void c4_judge_transport(struct c4_look *l)
{
	for (uint32_t i = 0; i < l->job->ncomms; i++)
		judge_comm(l, i);
}
