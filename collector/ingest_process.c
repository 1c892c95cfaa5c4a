// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ingest_process.h"

#include <errno.h>
#include <string.h>

#include "c4/op.h"
#include "collector/ingest.h"
#include "collector/ingest_conn.h"
#include "collector/membership.h"
#include "collector/text.h"
#include "collector/vclock.h"
#include "common/base/runs.h"

#define RUNS_MAX     4096u
#define ACTIVE_CPU   10u	  /* permille: below it a process counts as idle */
#define TIME_MAX_NS  (1ull << 59) /* 18 years: no duration is longer */
#define CPU_SMOOTH   0.25	  /* a few seconds: as long as the windows judged together */
#define QUEUE_SMOOTH 0.25

static void leave_out(struct c4_ingest_ctx *ctx, enum c4_part_refusal why)
{
	ctx->stats->parts_refused[why]++;
}

/* ---- who ------------------------------------------------------------------------------------- */

static void take_gpu(struct c4_rank *r, const C4__V1__Identity *id)
{
	if (id->gpu > 0)
		r->gpu_index = id->gpu - 1;
	if (*id->gpu_bus)
		c4_text_copy(r->gpu_bus, sizeof r->gpu_bus, id->gpu_bus);
}

static struct c4_rank *take_identity(struct c4_ingest_ctx *ctx, const C4__V1__Process *p,
				     enum c4_part_refusal *why)
{
	const C4__V1__Identity *id = p->identity;
	char text[5][C4_NAME_BYTES];
	const struct c4_process_identity who = {
		.job = c4_text_copy(text[0], sizeof text[0], id->job),
		.node = c4_text_copy(text[1], sizeof text[1], id->node),
		.host = c4_text_copy(text[2], sizeof text[2], id->host),
		.program = c4_text_copy(text[3], sizeof text[3], id->program),
		.library = c4_text_copy(text[4], sizeof text[4], id->library),
		.launch = id->launch,
		.rank = id->rank,
		.world_size = id->world_size,
		.pid = id->pid,
		.handle = p->handle,
	};

	struct c4_rank *r;

	*why = C4_PART_PROCESS;
	if (!*who.job || !*who.node || !who.world_size || who.rank >= who.world_size)
		return NULL;
	r = c4_model_seat(ctx->model, ctx->agent, &who, ctx->now_ns, ctx->wall_ns, why);
	if (!r)
		return NULL;
	take_gpu(r, id);
	r->job->now[r->rank].mpi = !strcmp(id->hook, "mpi") || !*id->hook;
	return r;
}

static struct c4_rank *find_rank(struct c4_ingest_ctx *ctx, const C4__V1__Process *p)
{
	struct c4_rank *r = c4_agent_rank(ctx->agent, p->handle);
	enum c4_part_refusal why = C4_PART_UNKNOWN_PROCESS;

	if (p->identity) {
		r = take_identity(ctx, p, &why);
		if (!r)
			(void)c4_agent_refuse(ctx->agent, p->handle);
	} else if (!r) {
		ctx->resync = true;
	}
	if (r && r != &c4_rank_refused)
		return r;
	leave_out(ctx, why);
	return NULL;
}

/* ---- how the process is ---------------------------------------------------------------------- */

static enum c4_diag_run run_of(C4__V1__Process__Run run)
{
	switch (run) {
	case C4__V1__PROCESS__RUN__RUN_RUNNING: return C4_RUN_RUNNING;
	case C4__V1__PROCESS__RUN__RUN_SLEEPING: return C4_RUN_SLEEPING;
	case C4__V1__PROCESS__RUN__RUN_DISK: return C4_RUN_DISK;
	case C4__V1__PROCESS__RUN__RUN_STOPPED: return C4_RUN_STOPPED;
	case C4__V1__PROCESS__RUN__RUN_TRACED: return C4_RUN_TRACED;
	case C4__V1__PROCESS__RUN__RUN_ZOMBIE:
	case C4__V1__PROCESS__RUN__RUN_GONE: return C4_RUN_GONE;
	default: return C4_RUN_UNKNOWN;
	}
}

static void take_life(struct c4_rank *r, struct c4_diag_rank *d, const C4__V1__Process *p)
{
	d->run = run_of(p->run);
	r->phase = p->phase;
	d->finalized = p->phase == C4_PHASE_FINALIZED;
	d->finalizing = p->phase == C4_PHASE_FINALIZING;
	d->aborted = p->phase == C4_PHASE_ABORTED;
	r->job->ending |= p->ending;
	d->abort_code = d->aborted ? p->abort_code : 0;
	d->status_known = p->wait_status_known;
	d->wait_status = p->wait_status;
	if (d->run != C4_RUN_GONE)
		r->gone_ns = 0;
	else if (!r->gone_ns || p->gone_age_ns)
		r->gone_ns = c4_vclock_ago(r->sample_ns, p->gone_age_ns);
}

static void take_load(struct c4_rank *r, struct c4_diag_rank *d, const C4__V1__Process *p)
{
	double cpu = p->cpu_permille / 1000.0;

	d->cpu = d->cpu > 0 ? d->cpu + CPU_SMOOTH * (cpu - d->cpu) : cpu;
	if (d->run == C4_RUN_GONE)
		d->cpu = 0;
	d->io_bytes = p->io_bytes;
	d->runqueue += QUEUE_SMOOTH * (p->runqueue_permille / 1000.0 - d->runqueue);
	d->p2p_share = p->alive_ns ? (double)p->p2p_ns / (double)p->alive_ns : 0;
	if (p->cpu_permille > ACTIVE_CPU || p->io_bytes)
		r->active_ns = r->sample_ns;
	r->outside_ns = p->outside_ns ? c4_vclock_ago(r->sample_ns, p->outside_ns) : 0;
	r->inside_total_ns = p->inside_ns;
	r->alive_ns = p->alive_ns;
}

static void take_losses(struct c4_rank *r, const C4__V1__Process *p)
{
	if (p->part && !p->n_lost && !p->lost_events)
		return; /* counted for the whole process: told in its own message */
	for (size_t i = 0; i < p->n_lost && i < C4_LOST_MAX; i++)
		r->lost[i] = p->lost[i];
	r->lost_events = p->lost_events;
}

/* ---- where its threads are ------------------------------------------------------------------- */

static uint32_t slot_of(struct c4_rank *r, uint64_t comm_id)
{
	const struct c4_seat *s = comm_id ? c4_rank_seat(r, comm_id) : NULL;

	return s && s->comm ? s->comm->slot : C4_DIAG_NONE;
}

static void take_call(struct c4_rank *r, struct c4_diag_call *call, const C4__V1__Thread *t)
{
	uint32_t n = t->n_peers < C4_DIAG_PEERS ? (uint32_t)t->n_peers : C4_DIAG_PEERS;

	*call = (struct c4_diag_call){
		.kind = t->kind,
		.comm = slot_of(r, t->comm),
		.opno = t->opno,
		.polling = t->flags & C4_THREAD_POLLING,
		.npeers = t->npeers > n ? t->npeers : n,
	};
	for (uint32_t i = 0; i < n; i++)
		call->peers[i] = t->peers[i];
	r->call_ns = c4_vclock_ago(r->sample_ns, t->inside_ns);
}

/* A peer is a rank of this world or one of the special values. */
static bool thread_fit(const struct c4_job *j, const C4__V1__Thread *t)
{
	if (t->kind == C4_OP_NONE || t->kind >= C4_OP_MAX || t->inside_ns > TIME_MAX_NS)
		return false;
	for (size_t i = 0; i < t->n_peers && i < C4_DIAG_PEERS; i++)
		if (t->peers[i] < C4_FOREIGN_PEER || t->peers[i] >= (int64_t)j->nranks)
			return false;
	return true;
}

/* The rank is where the thread is that has been inside longest. */
static void take_threads(struct c4_ingest_ctx *ctx, struct c4_rank *r, struct c4_diag_rank *d,
			 const C4__V1__Process *p)
{
	const C4__V1__Thread *longest = NULL;

	for (size_t i = 0; i < p->n_threads; i++) {
		const C4__V1__Thread *t = p->threads[i];

		if (!thread_fit(r->job, t))
			leave_out(ctx, C4_PART_THREAD);
		else if (!longest || t->inside_ns > longest->inside_ns)
			longest = t;
	}
	if (longest)
		take_call(r, &d->call, longest);
	else
		d->call = (struct c4_diag_call){.comm = C4_DIAG_NONE};
}

/* ---- its communicators ----------------------------------------------------------------------- */

/* Copies and checks the members; their number, 0 if not told, -1 if they are nonsense. */
static long copy_runs(const C4__V1__CommIdentity *id, uint32_t world, struct c4_seg_run *runs)
{
	bool foreign = id->flags & C4_COMM_FOREIGN;

	if (id->n_members > RUNS_MAX)
		return -1;
	for (size_t i = 0; i < id->n_members; i++) {
		const C4__V1__Run *m = id->members[i];
		int64_t last = m->first + (int64_t)m->stride * ((int64_t)m->count - 1);

		runs[i] = (struct c4_seg_run){m->first, m->stride, m->count};
		if (!foreign && (m->first < 0 || m->first >= (int64_t)world || last < 0 ||
				 last >= (int64_t)world))
			return -1;
	}
	return c4_runs_count(runs, id->n_members, C4_MODEL_MEMBERS);
}

static enum c4_part_refusal take_comm_identity(struct c4_ingest_ctx *ctx, struct c4_rank *r,
					       const C4__V1__Comm *c)
{
	const C4__V1__CommIdentity *id = c->identity;
	struct c4_seg_run runs[RUNS_MAX];
	char name[sizeof((struct c4_seg_comm *)0)->name];
	long members = copy_runs(id, r->job->nranks, runs);
	struct c4_comm_identity who = {
		.id = c->id,
		.size = id->size,
		.flags = id->flags,
		.name = c4_text_copy(name, sizeof name, id->name),
		.runs = runs,
		.nruns = (uint32_t)id->n_members,
	};

	if (!c->id || !id->size || id->size > C4_MODEL_MEMBERS || members < 0 ||
	    (members && members != (long)id->size) || id->my_rank >= id->size)
		return C4_PART_COMM;
	return c4_rank_join(ctx->model, r, &who, id->my_rank, ctx->now_ns);
}

static bool progress_fit(const C4__V1__Comm *c)
{
	return c->entered >= c->finished && c->entered - c->finished < UINT32_MAX &&
	       c->inside_ns <= TIME_MAX_NS && c->gpu_started <= c->entered &&
	       c->gpu_inside_ns <= TIME_MAX_NS;
}

/* A process's second hook may know the same communicator by its errors only. */
static bool knows_less(const struct c4_diag_member *now, const C4__V1__Process *p,
		       const C4__V1__Comm *c)
{
	return p->part && c->entered < now->entered;
}

static void take_freed(const struct c4_ingest_ctx *ctx, struct c4_comm *comm, struct c4_member *m)
{
	if (m->freed)
		return;
	m->freed = true;
	if (++comm->freed >= comm->known)
		comm->freed_ns = ctx->now_ns;
}

static void take_gpu_progress(const struct c4_ingest_ctx *ctx, struct c4_rank *r,
			      struct c4_diag_member *now, struct c4_member *m,
			      const C4__V1__Comm *c, bool part)
{
	now->api_calls = c->api_calls;
	now->gpu_started = c->gpu_started;
	now->gpu_inside_ns = c->gpu_inside_ns;
	if (c->async_error || part)
		now->async_error = c->async_error;
	now->p2p_open = c->p2p_started > c->p2p_finished;
	m->begun_ns = c->gpu_inside_ns ? c4_vclock_ago(ctx->sample_ns, c->gpu_inside_ns) : 0;
	if (c->p2p_started)
		r->job->now[r->rank].gpu_p2p = true;
}

/* Errors and aborts may be told by the process's other hook: they stay. */
static void take_progress(struct c4_ingest_ctx *ctx, struct c4_rank *r, const struct c4_seat *s,
			  const C4__V1__Comm *c, bool part)
{
	struct c4_diag_member *now = &s->comm->state[s->member], before = *now;
	struct c4_member *m = &s->comm->members[s->member];

	*now = (struct c4_diag_member){
		.known = true,
		.entered = c->entered,
		.finished = c->finished,
		.kind = c->kind < C4_OP_MAX ? c->kind : C4_OP_NONE,
		.dtype = c->dtype,
		.redop = c->redop,
		.bytes = c->bytes,
		.root = c->root >= 0 && (uint32_t)c->root < s->comm->size ? c->root : -1,
		.inside_ns = c->inside_ns,
		.async_error = before.async_error,
		.aborted = before.aborted || c->aborted,
	};
	if (c->n_recent == C4_DIAG_RECENT)
		memcpy(now->recent, c->recent, sizeof now->recent);
	else if (!c->n_recent)
		memcpy(now->recent, before.recent, sizeof now->recent);
	m->enter_ns = c->inside_ns ? c4_vclock_ago(ctx->sample_ns, c->inside_ns) : 0;
	m->sends = c->sends;
	m->send_bytes = c->send_bytes;
	m->p2p_wait_ns = c->p2p_wait_ns;
	m->errors = c->errors;
	take_gpu_progress(ctx, r, now, m, c, part);
	if (c->freed)
		take_freed(ctx, s->comm, m);
}

static void take_errors(struct c4_diag_member *now, const C4__V1__Comm *c)
{
	now->async_error = c->async_error;
	now->aborted |= c->aborted;
}

static void take_comm(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Process *p,
		      const C4__V1__Comm *c)
{
	enum c4_part_refusal why = C4_PART_UNKNOWN_COMM;
	const struct c4_seat *s;

	if (c->identity) {
		why = take_comm_identity(ctx, r, c);
		if (why) {
			leave_out(ctx, why);
			return;
		}
	}
	s = c4_rank_seat(r, c->id);
	if (!s && !c->identity)
		ctx->resync = true;
	if (!s || !s->comm)
		leave_out(ctx, why);
	else if (!progress_fit(c))
		leave_out(ctx, C4_PART_COMM);
	else if (knows_less(&s->comm->state[s->member], p, c))
		take_errors(&s->comm->state[s->member], c);
	else
		take_progress(ctx, r, s, c, p->part);
}

/* ---- its finished operations ----------------------------------------------------------------- */

static bool block_range_fit(const C4__V1__Block *b)
{
	uint64_t last = b->first + b->count - 1;

	if (!b->count || b->level >= 32 || last < b->first || last == UINT64_MAX)
		return false;
	return b->first >> b->level == last >> b->level;
}

static bool block_fit(const C4__V1__Block *b)
{
	const uint64_t times[] = {b->sync_sum_ns,  b->sync_max_ns, b->span_sum_ns,
				  b->span_max_ns,  b->own_sum_ns,  b->elsewhere_sum_ns,
				  b->inside_sum_ns};

	if (!block_range_fit(b) || b->missing > b->count || b->sync_count > b->count ||
	    b->span_count > b->count)
		return false;
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		if (times[i] > TIME_MAX_NS)
			return false;
	return (!b->sync_count || b->sync_min_ns <= b->sync_max_ns) &&
	       b->sync_max_ns <= b->sync_sum_ns && b->span_max_ns <= b->span_sum_ns &&
	       b->own_max_ns <= b->own_sum_ns && b->bytes <= UINT64_MAX / 2 &&
	       b->alg_bytes <= UINT64_MAX / 2 && b->bus_bytes <= UINT64_MAX / 2;
}

static struct c4_piece piece_of(const C4__V1__Block *b)
{
	return (struct c4_piece){
		.first = b->first,
		.count = b->count,
		.kind = b->kind,
		.bytes = b->bytes,
		.alg_bytes = b->alg_bytes,
		.bus_bytes = b->bus_bytes,
		.part =
			{
				.sync_count = b->sync_count,
				.sync_sum_ns = b->sync_sum_ns,
				.sync_min_ns = b->sync_min_ns,
				.sync_max_ns = b->sync_max_ns,
				.span_count = b->span_count,
				.span_sum_ns = b->span_sum_ns,
				.span_max_ns = b->span_max_ns,
				.own_sum_ns = b->own_sum_ns,
				.own_max_ns = b->own_max_ns,
				.elsewhere_sum_ns = b->elsewhere_sum_ns,
				.signature = b->signature,
				.missing = b->missing,
			},
	};
}

static void take_block(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Block *b)
{
	const struct c4_seat *s = c4_rank_seat(r, b->comm);
	struct c4_piece piece = piece_of(b);
	int rc;

	if (!s)
		ctx->resync = true;
	if (!s || !s->comm) {
		leave_out(ctx, C4_PART_UNKNOWN_COMM);
		return;
	}
	if (!block_fit(b)) {
		leave_out(ctx, C4_PART_BLOCK);
		return;
	}
	rc = c4_comm_piece(s->comm, s->member, &piece, b->inside_sum_ns, ctx->now_ns);
	if (rc)
		leave_out(ctx, rc == -EEXIST ? C4_PART_STALE_BLOCK : C4_PART_MEMORY);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void take_samples(struct c4_ingest_ctx *ctx, struct c4_rank *r, const C4__V1__Process *p)
{
	struct c4_diag_rank *d = &r->job->now[r->rank];

	ctx->sample_ns = c4_vclock_ago(ctx->made_ns, p->age_ns);
	if (!p->part) {
		r->sample_ns = ctx->sample_ns;
		take_life(r, d, p);
		take_load(r, d, p);
	}
	take_losses(r, p);
	for (size_t i = 0; i < p->n_comms; i++)
		take_comm(ctx, r, p, p->comms[i]);
	if (!p->part)
		take_threads(ctx, r, d, p);
	c4_ingest_conns(ctx, r, p);
	for (size_t i = 0; i < p->n_blocks; i++)
		take_block(ctx, r, p->blocks[i]);
}

struct c4_rank *c4_ingest_process(struct c4_ingest_ctx *ctx, const C4__V1__Process *p)
{
	struct c4_rank *r = find_rank(ctx, p);
	struct c4_job *j;

	if (!r)
		return NULL;
	take_samples(ctx, r, p);
	j = r->job;
	j->changed_ns = ctx->now_ns;
	j->seen_wall_ns = ctx->wall_ns;
	if (ctx->agent->interval_ms > j->interval_ms)
		j->interval_ms = ctx->agent->interval_ms;
	r->excused = false;
	return r;
}
