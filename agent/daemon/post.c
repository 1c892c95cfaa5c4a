// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/post.h"

#include <stdlib.h>
#include <string.h>

#include "c4.pb-c.h"
#include "c4/op.h"
#include "common/ds/arena.h"
#include "common/ds/vec.h"

#define ARENA_BYTES   ((size_t)64 << 20)
#define PROCESSES_MAX 65536u
#define CALL_MIN_NS   100000000ull /* shorter calls are not worth telling */

struct c4_post_writer {
	struct c4_arena arena; /* everything the post points to */
	C4__V1__Process **processes;
	uint32_t n, cap;
	size_t bytes; /* packed, about */
};

/* A target being turned into a message; `failed` once memory is short. */
struct draft {
	struct c4_arena *arena;
	struct c4_target *t;
	uint64_t now_ns;
	bool failed;
};

struct c4_post_writer *c4_post_writer_new(void)
{
	struct c4_post_writer *w = calloc(1, sizeof *w);

	if (w)
		c4_arena_init(&w->arena, ARENA_BYTES);
	return w;
}

void c4_post_writer_free(struct c4_post_writer *w)
{
	if (!w)
		return;
	c4_arena_release(&w->arena);
	free(w->processes);
	free(w);
}

void c4_post_begin(struct c4_post_writer *w)
{
	c4_arena_reset(&w->arena);
	w->n = 0;
	w->bytes = 0;
}

static void *take(struct draft *d, size_t n)
{
	void *p = d->failed ? NULL : c4_arena_alloc(d->arena, n ? n : 1);

	if (!p)
		d->failed = true;
	return p;
}

static uint64_t since(uint64_t later, uint64_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

static uint64_t age_of(const struct draft *d, uint64_t ticks)
{
	return since(d->now_ns, c4_ticks_to_mono(&d->t->rate, ticks));
}

/* ---- communicators -------------------------------------------------------------------------- */

static C4__V1__Run **write_runs(struct draft *d, const struct c4_target_comm *c)
{
	C4__V1__Run **list = take(d, c->nruns * sizeof *list);
	C4__V1__Run *runs = take(d, c->nruns * sizeof *runs);

	for (uint32_t i = 0; list && runs && i < c->nruns; i++) {
		c4__v1__run__init(&runs[i]);
		runs[i].first = c->runs[i].first;
		runs[i].stride = c->runs[i].stride;
		runs[i].count = c->runs[i].count;
		list[i] = &runs[i];
	}
	return list;
}

static C4__V1__CommIdentity *write_comm_identity(struct draft *d, struct c4_target_comm *c)
{
	C4__V1__CommIdentity *m = take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__comm_identity__init(m);
	m->size = c->now.size;
	m->my_rank = (uint32_t)c->now.my_rank;
	m->flags = c->now.flags | (c->nruns ? 0 : C4_COMM_TRUNCATED);
	m->name = c->now.name;
	m->members = write_runs(d, c);
	m->n_members = m->members ? c->nruns : 0;
	return m;
}

static void write_comm_state(struct draft *d, const struct c4_target_comm *c, C4__V1__Comm *m)
{
	const struct c4_seg_comm *s = &c->now;

	m->id = s->id;
	m->entered = s->entered;
	m->finished = s->finished;
	m->kind = s->kind;
	m->bytes = s->bytes;
	m->root = s->root;
	m->dtype = s->dtype;
	m->redop = s->redop;
	m->inside_ns = s->entered > s->finished ? age_of(d, s->enter_ticks) : 0;
	m->freed = c->freed;
	m->sends = s->p2p_sends;
	m->send_bytes = s->p2p_send_bytes;
	m->recvs = s->p2p_recvs;
	m->recv_bytes = s->p2p_recv_bytes;
	m->p2p_wait_ns = c4_ticks_to_ns(&d->t->rate, s->p2p_wait_ticks);
	m->errors = s->errors;
	m->recent = take(d, sizeof s->recent);
	m->n_recent = m->recent ? C4_SEG_RECENT : 0;
	if (m->recent)
		memcpy(m->recent, s->recent, sizeof s->recent);
}

/* Inside an operation it is told every time: the collector's idea of its age stays true. */
static bool worth_telling(const struct c4_target_comm *c)
{
	return !c->introduced || c->now.entered > c->now.finished ||
	       memcmp(&c->now, &c->posted, sizeof c->now) != 0;
}

static C4__V1__Comm *write_comm(struct draft *d, struct c4_target_comm *c)
{
	C4__V1__Comm *m = take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__comm__init(m);
	write_comm_state(d, c, m);
	if (!c->introduced)
		m->identity = write_comm_identity(d, c);
	return m;
}

static void write_comms(struct draft *d, C4__V1__Process *m)
{
	struct c4_target *t = d->t;

	m->comms = take(d, (t->ncomms + t->nfreed) * sizeof *m->comms);
	if (!m->comms)
		return;
	for (uint32_t i = 0; i < t->nfreed; i++)
		m->comms[m->n_comms++] = write_comm(d, &t->freed[i]);
	for (uint32_t i = 0; i < t->ncomms; i++)
		if (t->comms[i] && worth_telling(t->comms[i]))
			m->comms[m->n_comms++] = write_comm(d, t->comms[i]);
}

/* ---- threads -------------------------------------------------------------------------------- */

static uint64_t comm_id(const struct c4_target *t, uint32_t slot)
{
	return slot < t->ncomms && t->comms[slot] ? t->comms[slot]->now.id : 0;
}

static C4__V1__Thread *write_thread(struct draft *d, const struct c4_seg_thread *s,
				    uint64_t inside_ns)
{
	C4__V1__Thread *m = take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__thread__init(m);
	m->tid = s->tid;
	m->kind = s->kind;
	m->flags = s->flags;
	m->comm = comm_id(d->t, s->comm);
	m->opno = s->opno;
	m->inside_ns = inside_ns;
	m->npeers = s->npeers;
	m->n_peers = s->npeers < C4_SEG_PEERS ? s->npeers : C4_SEG_PEERS;
	m->peers = take(d, m->n_peers * sizeof *m->peers);
	if (m->peers)
		memcpy(m->peers, s->peers, m->n_peers * sizeof *m->peers);
	return m;
}

/* The main thread, or where that one never called, the one that called last. */
static const struct c4_seg_thread *spokesman(const struct c4_target *t)
{
	const struct c4_seg_thread *best = NULL;

	for (uint32_t i = 0; i < t->nthreads; i++) {
		const struct c4_seg_thread *s = &t->threads[i];

		if (s->tid == t->seg.toc.pid)
			return s;
		if (!best || s->leave_ticks > best->leave_ticks)
			best = s;
	}
	return best;
}

static uint64_t outside_ns(const struct draft *d)
{
	const struct c4_seg_thread *s = spokesman(d->t);

	return s && s->kind == C4_OP_NONE && s->leave_ticks ? age_of(d, s->leave_ticks) : 0;
}

static void write_threads(struct draft *d, C4__V1__Process *m)
{
	const struct c4_target *t = d->t;

	m->threads = take(d, t->nthreads * sizeof *m->threads);
	for (uint32_t i = 0; m->threads && i < t->nthreads; i++) {
		const struct c4_seg_thread *s = &t->threads[i];
		uint64_t age = s->kind == C4_OP_NONE ? 0 : age_of(d, s->enter_ticks);

		if (age >= CALL_MIN_NS)
			m->threads[m->n_threads++] = write_thread(d, s, age);
	}
	m->inside_ns = t->inside_ns;
	m->p2p_ns = t->p2p_ns;
	m->calls = t->calls;
	m->outside_ns = outside_ns(d);
}

/* ---- blocks --------------------------------------------------------------------------------- */

static uint32_t comm_size(const struct c4_target *t, uint64_t id)
{
	for (uint32_t i = 0; i < t->ncomms; i++)
		if (t->comms[i] && t->comms[i]->now.id == id)
			return t->comms[i]->now.size;
	for (uint32_t i = 0; i < t->nfreed; i++)
		if (t->freed[i].now.id == id)
			return t->freed[i].now.size;
	return 0;
}

/* Any operation of a bus class stands for all: the factor depends on the class alone. */
static uint64_t sum_bytes(const struct c4_block *b, uint32_t size,
			  double (*count)(unsigned int kind, double bytes, unsigned int n))
{
	static const uint8_t kind_of[C4_BLOCK_BUSES] = {
		[C4_BUS_ALLREDUCE] = C4_OP_ALLREDUCE,
		[C4_BUS_ALLGATHER] = C4_OP_ALLGATHER,
		[C4_BUS_PART] = C4_OP_ALLTOALL,
		[C4_BUS_FULL] = C4_OP_BCAST,
	};
	double sum = 0;

	for (unsigned int i = 0; i < C4_BLOCK_BUSES; i++)
		sum += count(kind_of[i], (double)b->sync_bytes[i], size);
	return sum < 0x1p62 ? (uint64_t)sum : (uint64_t)1 << 62;
}

static void write_hist(struct draft *d, const struct c4_block *b, C4__V1__Block *m)
{
	size_t n = C4_BLOCK_BUCKETS;

	while (n && !b->sync_hist[n - 1])
		n--;
	m->sync_hist = take(d, n * sizeof *m->sync_hist);
	if (!m->sync_hist)
		return;
	memcpy(m->sync_hist, b->sync_hist, n * sizeof *m->sync_hist);
	m->n_sync_hist = n;
}

static void write_block(struct draft *d, const struct c4_block *b, C4__V1__Block *m)
{
	uint32_t size = comm_size(d->t, b->comm);

	c4__v1__block__init(m);
	m->comm = b->comm;
	m->first = b->first;
	m->count = b->count;
	m->level = b->level;
	m->partial = b->partial;
	m->missing = b->missing;
	m->sync_count = b->sync_count;
	m->sync_sum_ns = b->sync_sum_ns;
	m->sync_min_ns = b->sync_min_ns;
	m->sync_max_ns = b->sync_max_ns;
	m->span_count = b->span_count;
	m->span_sum_ns = b->span_sum_ns;
	m->span_max_ns = b->span_max_ns;
	m->own_sum_ns = b->own_sum_ns;
	m->own_max_ns = b->own_max_ns;
	m->elsewhere_sum_ns = b->elsewhere_sum_ns;
	m->inside_sum_ns = b->inside_sum_ns;
	m->bytes = b->bytes;
	m->bus_bytes = sum_bytes(b, size, c4_op_bus_bytes);
	m->alg_bytes = sum_bytes(b, size, c4_op_alg_bytes);
	m->signature = b->signature;
	m->errors = b->errors;
	m->kind = b->kind;
	write_hist(d, b, m);
}

static void write_blocks(struct draft *d, C4__V1__Process *m)
{
	const struct c4_block *b;
	C4__V1__Block *blocks;
	size_t n;

	b = c4_fold_blocks(d->t->fold, &n);
	m->blocks = take(d, n * sizeof *m->blocks);
	blocks = take(d, n * sizeof *blocks);
	if (!m->blocks || !blocks)
		return;
	for (size_t i = 0; i < n; i++) {
		write_block(d, &b[i], &blocks[i]);
		m->blocks[i] = &blocks[i];
	}
	m->n_blocks = n;
}

/* ---- the process ---------------------------------------------------------------------------- */

static C4__V1__Identity *write_identity(struct draft *d)
{
	struct c4_seg_header *h = &d->t->seg.toc;
	C4__V1__Identity *m = take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__identity__init(m);
	m->job = h->job;
	m->launch = h->launch;
	m->rank = (uint32_t)h->world_rank;
	m->world_size = h->world_size;
	m->node = h->node;
	m->host = h->host;
	m->pid = h->pid;
	m->program = h->program;
	m->hook = h->hook;
	m->library = h->library;
	return m;
}

static C4__V1__Process__Run run_of(const struct c4_target *t)
{
	if (t->gone)
		return C4__V1__PROCESS__RUN__RUN_GONE;
	switch (t->sampled ? t->proc.stat.state : 0) {
	case 'R': return C4__V1__PROCESS__RUN__RUN_RUNNING;
	case 'S':
	case 'I': return C4__V1__PROCESS__RUN__RUN_SLEEPING;
	case 'D': return C4__V1__PROCESS__RUN__RUN_DISK;
	case 'T': return C4__V1__PROCESS__RUN__RUN_STOPPED;
	case 't': return C4__V1__PROCESS__RUN__RUN_TRACED;
	case 'Z': return C4__V1__PROCESS__RUN__RUN_ZOMBIE;
	default: return C4__V1__PROCESS__RUN__RUN_UNKNOWN;
	}
}

static void write_state(struct draft *d, C4__V1__Process *m)
{
	struct c4_target *t = d->t;

	m->handle = t->handle;
	m->run = run_of(t);
	m->phase = t->seg.toc.phase;
	m->abort_code = t->seg.toc.abort_code;
	m->alive_ns = since(t->gone ? t->gone_ns : d->now_ns, t->seg.toc.mono0_ns);
	m->gone_age_ns = t->gone ? since(d->now_ns, t->gone_ns) : 0;
	m->wait_status = t->wait_status;
	m->wait_status_known = t->status_known;
	m->ending = t->ending;
	if (t->gone)
		return;
	m->cpu_permille = t->cpu_permille;
	m->runqueue_permille = t->queue_permille;
	m->io_bytes = t->io_bytes;
	m->age_ns = t->sampled ? since(d->now_ns, t->sampled_ns) : 0;
}

static void write_losses(struct draft *d, C4__V1__Process *m)
{
	const struct c4_seg_header *h = &d->t->seg.toc;
	uint32_t n = C4_SEG_LOSS_SLOTS;

	while (n && !h->lost[n - 1])
		n--;
	m->lost = take(d, n * sizeof *m->lost);
	m->n_lost = m->lost ? n : 0;
	if (m->lost)
		memcpy(m->lost, h->lost, n * sizeof *m->lost);
	m->lost_events = d->t->seg.lost + c4_fold_losses(d->t->fold).ops;
}

static C4__V1__Process *write_process(struct draft *d)
{
	C4__V1__Process *m = take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__process__init(m);
	write_state(d, m);
	write_losses(d, m);
	write_comms(d, m);
	write_threads(d, m);
	write_blocks(d, m);
	if (!d->t->introduced)
		m->identity = write_identity(d);
	return d->failed ? NULL : m;
}

static void mark_told(struct c4_target *t)
{
	t->introduced = true;
	for (uint32_t i = 0; i < t->ncomms; i++) {
		if (!t->comms[i])
			continue;
		t->comms[i]->introduced = true;
		t->comms[i]->posted = t->comms[i]->now;
	}
	for (uint32_t i = 0; i < t->nfreed; i++)
		free(t->freed[i].runs);
	t->nfreed = 0;
	c4_fold_clear(t->fold);
}

bool c4_post_add(struct c4_post_writer *w, struct c4_target *t, uint64_t now_ns)
{
	struct draft d = {.arena = &w->arena, .t = t, .now_ns = now_ns};
	C4__V1__Process **grown, *m;

	if (w->bytes > C4_POST_GOAL_BYTES)
		return false;
	grown = c4_vec_reserve(w->processes, &w->cap, w->n + 1, PROCESSES_MAX, sizeof *grown);
	if (!grown)
		return false;
	w->processes = grown;
	m = write_process(&d);
	if (!m)
		return false;
	w->processes[w->n++] = m;
	w->bytes += c4__v1__process__get_packed_size(m);
	mark_told(t);
	return true;
}

void *c4_post_finish(struct c4_post_writer *w, const struct c4_post_head *head, size_t room,
		     size_t *ret_len)
{
	C4__V1__Post post = C4__V1__POST__INIT;
	uint8_t *data;
	size_t len;

	post.agent = (char *)head->agent;
	post.instance = head->instance;
	post.seq = head->seq;
	post.interval_ms = head->interval_ms;
	post.dropped_posts = head->dropped_posts;
	post.bad_segments = head->bad_segments;
	post.last = head->last;
	post.processes = w->processes;
	post.n_processes = w->n;
	len = c4__v1__post__get_packed_size(&post);
	data = malloc(len + room);
	if (!data)
		return NULL;
	c4__v1__post__pack(&post, data);
	*ret_len = len;
	return data;
}
