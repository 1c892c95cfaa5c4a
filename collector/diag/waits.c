// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/waits.h"

#include <errno.h>
#include <stdlib.h>

#include "c4/segment.h"

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

uint64_t c4_waits_awake_ns(const struct c4_diag_job *job, const struct c4_diag_memory *memory,
			   uint64_t age_ns)
{
	uint64_t awake = job->now_ns - memory->resumed_ns;

	return memory->resumed_ns && awake < age_ns ? awake : age_ns;
}

static bool collective(uint32_t kind)
{
	uint8_t cls = c4_op_info(kind)->cls;

	return cls != C4_CLASS_NONE && cls != C4_CLASS_P2P && cls != C4_CLASS_LIFE;
}

/* ---- operations on GPUs ---------------------------------------------------------------------- */

/* Without kernel events an operation counts as begun when it was handed over. */
static bool kernels_seen(const struct c4_diag_member *m)
{
	return m->gpu_started && m->gpu_started >= m->finished;
}

uint64_t c4_waits_begun(const struct c4_diag_comm *c, uint32_t member)
{
	const struct c4_diag_member *m = &c->state[member];

	return c->gpu && kernels_seen(m) ? m->gpu_started : m->entered;
}

uint64_t c4_waits_inside_ns(const struct c4_diag_comm *c, uint32_t member)
{
	const struct c4_diag_member *m = &c->state[member];

	return c->gpu && kernels_seen(m) ? m->gpu_inside_ns : m->inside_ns;
}

uint32_t c4_waits_op_kind(const struct c4_diag_comm *c, uint64_t op)
{
	for (uint32_t i = 0; i < c->size; i++) {
		const struct c4_diag_member *m = &c->state[i];

		if (m->known && m->entered == op + 1)
			return m->kind;
		if (m->known && m->entered > op && m->entered - op < C4_DIAG_RECENT &&
		    m->recent[op % C4_DIAG_RECENT])
			return m->recent[op % C4_DIAG_RECENT] & 0xff;
	}
	return C4_OP_NONE;
}

int64_t c4_waits_member(const struct c4_diag_comm *c, int32_t rank)
{
	for (uint32_t m = 0; c->members && m < c->size; m++)
		if (c->members[m] == rank)
			return m;
	return -1;
}

/* What the member's operation op is; what it remembers of it, else what it did last. */
static uint32_t kind_of(const struct c4_diag_member *m, uint64_t op)
{
	uint32_t kind = m->kind;

	if (m->entered - op < C4_DIAG_RECENT && m->recent[op % C4_DIAG_RECENT])
		kind = m->recent[op % C4_DIAG_RECENT] & 0xff;
	return collective(kind) ? kind : C4_OP_ALLREDUCE;
}

/* A member whose kernel runs is inside its oldest unfinished operation, as if in a call; of several
 * communicators the one it is in for longest counts. */
static void enter_kernel(struct c4_waits *w, uint32_t comm, uint32_t m)
{
	const struct c4_diag_comm *c = &w->job->comms[comm];
	uint64_t begun = c4_waits_begun(c, m), inside = c4_waits_inside_ns(c, m);
	struct c4_diag_call *call;

	if (!c->state[m].known || begun <= c->state[m].finished || !inside || c->members[m] < 0 ||
	    (uint32_t)c->members[m] >= w->job->nranks)
		return;
	call = &w->calls[c->members[m]];
	if (call->kind != C4_OP_NONE && call->for_ns >= inside)
		return;
	*call = (struct c4_diag_call){
		.kind = kind_of(&c->state[m], c->state[m].finished),
		.comm = comm,
		.opno = c->state[m].finished,
		.for_ns = inside,
	};
}

static void add_peer(struct c4_waits *w, int32_t rank, int32_t peer, uint64_t for_ns)
{
	struct c4_diag_call *call = &w->calls[rank];

	if (call->kind == C4_OP_NONE)
		*call = (struct c4_diag_call){
			.kind = C4_OP_RECV, .comm = C4_DIAG_NONE, .for_ns = for_ns};
	if (call->kind != C4_OP_RECV || call->npeers == C4_DIAG_PEERS)
		return;
	call->peers[call->npeers++] = peer;
	call->for_ns = for_ns < call->for_ns ? for_ns : call->for_ns;
}

/* A rank in a point-to-point kernel waits for those whose data its connections wait for. */
static void enter_messages(struct c4_waits *w, const struct c4_diag_comm *c)
{
	for (uint32_t i = 0; i < c->nconns; i++) {
		const struct c4_diag_conn *k = &c->conns[i];

		if (c->state[k->dst].p2p_open && k->recv.known && k->recv.active &&
		    k->recv.phase == C4_CONN_RECEIVING)
			add_peer(w, c->members[k->dst], c->members[k->src], k->recv.still_ns);
	}
}

static bool known_members(const struct c4_waits *w, const struct c4_diag_comm *c)
{
	for (uint32_t m = 0; m < c->size; m++)
		if (c->members[m] < 0 || (uint32_t)c->members[m] >= w->job->nranks)
			return false;
	return true;
}

static void find_messages(struct c4_waits *w)
{
	for (uint32_t i = 0; i < w->job->ncomms; i++) {
		const struct c4_diag_comm *c = &w->job->comms[i];
		bool any = false;

		if (!c->gpu || !c->judged || !c->members || !known_members(w, c))
			continue;
		for (uint32_t m = 0; m < c->size; m++) {
			w->p2p_open[c->members[m]] |= c->state[m].p2p_open;
			any |= c->state[m].p2p_open;
		}
		if (any)
			enter_messages(w, c);
	}
}

static void find_calls(struct c4_waits *w)
{
	for (uint32_t r = 0; r < w->job->nranks; r++)
		w->calls[r] = w->job->ranks[r].call;
	for (uint32_t i = 0; i < w->job->ncomms; i++) {
		const struct c4_diag_comm *c = &w->job->comms[i];

		for (uint32_t m = 0; c->gpu && c->judged && c->members && m < c->size; m++)
			enter_kernel(w, i, m);
	}
	find_messages(w);
}

/* ---- who waits for whom ---------------------------------------------------------------------- */

static void find_waiters(struct c4_waits *w, const struct c4_diag_memory *memory)
{
	const struct c4_diag_job *job = w->job;

	for (uint32_t r = 0; r < job->nranks; r++) {
		const struct c4_diag_rank *rank = &job->ranks[r];
		const struct c4_diag_call *call = &w->calls[r];
		struct c4_wait_comm *c;
		uint64_t age;

		if (!alive(rank) || halted(rank) || call->kind == C4_OP_NONE)
			continue;
		age = c4_waits_awake_ns(job, memory, call->for_ns);
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
	if (state->known && c4_waits_begun(comm, m) > c->op &&
	    !(halted(rank) && state->finished <= c->op))
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
	const struct c4_diag_call *call = &w->calls[r];
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
	const struct c4_diag_call *call = &w->calls[r];
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
		const struct c4_diag_call *call = &w->calls[r];

		w->waiting[r] = comm_of(w, r) != NULL;
		for (uint32_t i = 0; i < n; i++)
			w->waiting[r] |= !talking(&w->calls[call->peers[i]], (int32_t)r);
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
		const struct c4_diag_call *call = &w->calls[r];
		uint32_t n = w->waiting[r] ? peers_of(w, r) : 0;

		for (uint32_t i = 0; i < n; i++)
			block(w, call->peers[i], w->age_ns[r], C4_DIAG_NONE, 1);
	}
}

/* Whoever does not wait, or waits in a chain that ends at such a rank, is explained. */
static bool rank_explained(const struct c4_waits *w, uint32_t r)
{
	const struct c4_diag_call *call = &w->calls[r];
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
	const struct c4_diag_call *call = &w->calls[r];
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

	w->calls = calloc(n, sizeof *w->calls);
	w->age_ns = calloc(n, sizeof *w->age_ns);
	w->waiting = calloc(n, sizeof *w->waiting);
	w->p2p_open = calloc(n, sizeof *w->p2p_open);
	w->explained = calloc(n, sizeof *w->explained);
	w->blocks = calloc(n, sizeof *w->blocks);
	w->blocks_age_ns = calloc(n, sizeof *w->blocks_age_ns);
	w->blocks_comm = calloc(n, sizeof *w->blocks_comm);
	w->comms = calloc(w->job->ncomms ? w->job->ncomms : 1, sizeof *w->comms);
	return w->calls && w->p2p_open && w->age_ns && w->waiting && w->explained && w->blocks &&
			       w->blocks_age_ns && w->blocks_comm && w->comms
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
	find_calls(w);
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
	free(w->calls);
	free(w->p2p_open);
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
