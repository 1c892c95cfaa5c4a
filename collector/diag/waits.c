// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/waits.h"

#include <errno.h>
#include <stdlib.h>

static bool alive(const struct c4_diag_rank *r)
{
	return r->seen && !r->silent && r->run != C4_RUN_GONE && !r->finalized;
}

static bool halted(const struct c4_diag_rank *r)
{
	return r->run == C4_RUN_STOPPED || r->run == C4_RUN_TRACED;
}

/* All living ranks stopped: an operator's or the scheduler's doing. One rank alone proves nothing.
 */
static bool all_stopped(const struct c4_diag_job *job)
{
	uint32_t living = 0, stopped = 0;

	for (uint32_t r = 0; r < job->nranks; r++) {
		living += alive(&job->ranks[r]);
		stopped += alive(&job->ranks[r]) && halted(&job->ranks[r]);
	}
	return living > 1 && stopped == living;
}

/* Time asleep with the whole job does not count as waiting. */
static uint64_t effective_age(uint64_t age, const struct c4_diag_job *job,
			      const struct c4_diag_memory *memory)
{
	uint64_t awake = job->now_ns - memory->resumed_ns;

	return memory->resumed_ns && awake < age ? awake : age;
}

static bool collective(uint32_t kind)
{
	uint8_t cls = c4_op_info(kind)->cls;

	return cls != C4_CLASS_NONE && cls != C4_CLASS_P2P && cls != C4_CLASS_LIFE;
}

static void find_waiters(struct c4_waits *w, const struct c4_diag_memory *memory)
{
	const struct c4_diag_job *job = w->job;

	for (uint32_t r = 0; r < job->nranks; r++) {
		const struct c4_diag_rank *rank = &job->ranks[r];
		const struct c4_diag_call *call = &rank->call;
		struct c4_wait_comm *c;
		uint64_t age;

		if (!alive(rank) || halted(rank) || call->kind == C4_OP_NONE)
			continue;
		age = effective_age(call->for_ns, job, memory);
		if (age < C4_WAIT_MIN_NS)
			continue;
		w->age_ns[r] = age;
		if (call->comm >= job->ncomms || !collective(call->kind))
			continue;
		c = &w->comms[call->comm];
		if (!job->comms[call->comm].judged || !job->comms[call->comm].members)
			continue;
		if (c->nwaiters && call->opno < c->op)
			continue; /* left behind in an older operation */
		if (!c->nwaiters || call->opno > c->op)
			*c = (struct c4_wait_comm){.op = call->opno};
		c->nwaiters++;
		if (age > c->age_ns)
			c->age_ns = age;
	}
}

/* A member that has not entered the operation, or is not known to have. */
static void sort_member(struct c4_waits *w, struct c4_wait_comm *c, const struct c4_diag_comm *comm,
			uint32_t m, int32_t *missing)
{
	const struct c4_diag_member *state = &comm->state[m];
	int32_t r = comm->members[m];
	const struct c4_diag_rank *rank;

	if (r < 0 || (uint32_t)r >= w->job->nranks)
		return;
	rank = &w->job->ranks[r];
	if (state->known && state->entered > c->op)
		return;
	if (!rank->seen || rank->silent)
		c->nunknown++;
	else
		missing[c->nmissing++] = r;
}

static int find_missing(struct c4_waits *w)
{
	const struct c4_diag_job *job = w->job;
	size_t total = 0, used = 0;

	for (uint32_t i = 0; i < job->ncomms; i++)
		total += w->comms[i].nwaiters ? job->comms[i].size : 0;
	w->missing = malloc((total ? total : 1) * sizeof *w->missing);
	if (!w->missing)
		return -ENOMEM;
	for (uint32_t i = 0; i < job->ncomms; i++) {
		struct c4_wait_comm *c = &w->comms[i];

		if (!c->nwaiters)
			continue;
		c->first = (uint32_t)used;
		for (uint32_t m = 0; m < job->comms[i].size; m++)
			sort_member(w, c, &job->comms[i], m, &w->missing[used]);
		used += c->nmissing;
	}
	return 0;
}

/* The receiver of a message waits for its sender, but not while that very sender is sending to it:
 * then both wait for the network. */
static bool talking(const struct c4_diag_call *peer, int32_t r)
{
	for (uint32_t i = 0; i < peer->npeers && i < C4_DIAG_PEERS; i++)
		if (c4_op_info(peer->kind)->cls == C4_CLASS_P2P && peer->peers[i] == r)
			return true;
	return false;
}

/* Peers it can be said to wait for; 0 if any of them is unknown or "any". */
static uint32_t peers_of(const struct c4_waits *w, uint32_t r)
{
	const struct c4_diag_call *call = &w->job->ranks[r].call;
	uint32_t n = call->npeers < C4_DIAG_PEERS ? call->npeers : C4_DIAG_PEERS;

	if (!w->age_ns[r] || c4_op_info(call->kind)->cls != C4_CLASS_P2P)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (call->peers[i] < 0 || (uint32_t)call->peers[i] >= w->job->nranks)
			return 0;
	return n;
}

/* The operation r's call waits in, if anybody is missing there. */
static const struct c4_wait_comm *comm_of(const struct c4_waits *w, uint32_t r)
{
	const struct c4_diag_call *call = &w->job->ranks[r].call;
	const struct c4_wait_comm *c;

	if (!w->age_ns[r] || call->comm >= w->job->ncomms || !collective(call->kind))
		return NULL;
	c = &w->comms[call->comm];
	return c->nwaiters && c->op == call->opno && c->nmissing + c->nunknown ? c : NULL;
}

static void mark_waiting(struct c4_waits *w)
{
	for (uint32_t r = 0; r < w->job->nranks; r++) {
		uint32_t n = peers_of(w, r);
		const struct c4_diag_call *call = &w->job->ranks[r].call;

		w->waiting[r] = comm_of(w, r) != NULL;
		for (uint32_t i = 0; i < n; i++)
			w->waiting[r] |= !talking(&w->job->ranks[call->peers[i]].call, (int32_t)r);
	}
}

static void block(struct c4_waits *w, int32_t culprit, uint64_t age, uint32_t comm, uint32_t n)
{
	w->blocks[culprit] += n;
	if (age > w->blocks_age_ns[culprit]) {
		w->blocks_age_ns[culprit] = age;
		w->blocks_comm[culprit] = comm;
	}
}

static void count_blocked(struct c4_waits *w)
{
	for (uint32_t i = 0; i < w->job->ncomms; i++) {
		const struct c4_wait_comm *c = &w->comms[i];

		for (uint32_t k = 0; c->nwaiters && k < c->nmissing; k++)
			block(w, w->missing[c->first + k], c->age_ns, i, c->nwaiters);
	}
	for (uint32_t r = 0; r < w->job->nranks; r++) {
		const struct c4_diag_call *call = &w->job->ranks[r].call;
		uint32_t n = w->waiting[r] ? peers_of(w, r) : 0;

		for (uint32_t i = 0; i < n; i++)
			block(w, call->peers[i], w->age_ns[r], C4_DIAG_NONE, 1);
	}
}

/* Whoever does not wait, or waits in a chain that ends at such a rank, is explained. */
static bool rank_explained(const struct c4_waits *w, uint32_t r)
{
	const struct c4_diag_call *call = &w->job->ranks[r].call;
	uint32_t n = peers_of(w, r);

	if (!w->waiting[r])
		return true;
	if (comm_of(w, r))
		return w->comms[call->comm].explained;
	for (uint32_t i = 0; i < n; i++)
		if (w->explained[call->peers[i]])
			return true;
	return false;
}

static bool comm_explained(const struct c4_waits *w, const struct c4_wait_comm *c)
{
	if (c->nunknown || !c->nmissing)
		return true;
	for (uint32_t k = 0; k < c->nmissing; k++)
		if (w->explained[w->missing[c->first + k]])
			return true;
	return false;
}

/* Least fixed point; each round explains at least one more, the chains are short in practice. */
static void explain(struct c4_waits *w)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (uint32_t r = 0; r < w->job->nranks; r++)
			if (!w->explained[r] && rank_explained(w, r))
				changed = w->explained[r] = true;
		for (uint32_t i = 0; i < w->job->ncomms; i++)
			if (w->comms[i].nwaiters && !w->comms[i].explained &&
			    comm_explained(w, &w->comms[i]))
				changed = w->comms[i].explained = true;
	}
}

bool c4_waits_left_behind(const struct c4_waits *w, int32_t r, uint32_t *comm, uint64_t *op)
{
	const struct c4_diag_call *call = &w->job->ranks[r].call;
	const struct c4_diag_comm *c;

	if (!w->age_ns[r] || call->comm >= w->job->ncomms || !collective(call->kind))
		return false;
	c = &w->job->comms[call->comm];
	for (uint32_t m = 0; m < c->size && c->members; m++) {
		if (!c->state[m].known || c->state[m].finished <= call->opno)
			continue;
		*comm = call->comm;
		*op = call->opno;
		return true;
	}
	return false;
}

static int allocate(struct c4_waits *w)
{
	size_t n = w->job->nranks ? w->job->nranks : 1;

	w->age_ns = calloc(n, sizeof *w->age_ns);
	w->waiting = calloc(n, sizeof *w->waiting);
	w->explained = calloc(n, sizeof *w->explained);
	w->blocks = calloc(n, sizeof *w->blocks);
	w->blocks_age_ns = calloc(n, sizeof *w->blocks_age_ns);
	w->blocks_comm = calloc(n, sizeof *w->blocks_comm);
	w->comms = calloc(w->job->ncomms ? w->job->ncomms : 1, sizeof *w->comms);
	return w->age_ns && w->waiting && w->explained && w->blocks && w->blocks_age_ns &&
			       w->blocks_comm && w->comms
		       ? 0
		       : -ENOMEM;
}

int c4_waits_init(struct c4_waits *w, const struct c4_diag_job *job, struct c4_diag_memory *memory)
{
	*w = (struct c4_waits){.job = job};
	if (allocate(w))
		return -ENOMEM;
	w->suspended = all_stopped(job);
	if (w->suspended) {
		memory->resumed_ns = job->now_ns;
		return 0;
	}
	find_waiters(w, memory);
	if (find_missing(w))
		return -ENOMEM;
	mark_waiting(w);
	count_blocked(w);
	explain(w);
	return 0;
}

void c4_waits_release(struct c4_waits *w)
{
	free(w->age_ns);
	free(w->waiting);
	free(w->explained);
	free(w->blocks);
	free(w->blocks_age_ns);
	free(w->blocks_comm);
	free(w->comms);
	free(w->missing);
	*w = (struct c4_waits){0};
}
