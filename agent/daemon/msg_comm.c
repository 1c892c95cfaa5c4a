// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/msg_comm.h"

#include <string.h>

#include "c4/op.h"

/* ---- communicators -------------------------------------------------------------------------- */

static C4__V1__Run **write_runs(struct c4_msg *d, const struct c4_target_comm *c)
{
	C4__V1__Run **list = c4_msg_take(d, c->nruns * sizeof *list);
	C4__V1__Run *runs = c4_msg_take(d, c->nruns * sizeof *runs);

	for (uint32_t i = 0; list && runs && i < c->nruns; i++) {
		c4__v1__run__init(&runs[i]);
		runs[i].first = c->runs[i].first;
		runs[i].stride = c->runs[i].stride;
		runs[i].count = c->runs[i].count;
		list[i] = &runs[i];
	}
	return list;
}

static C4__V1__CommIdentity *write_comm_identity(struct c4_msg *d, struct c4_target_comm *c)
{
	C4__V1__CommIdentity *m = c4_msg_take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__comm_identity__init(m);
	m->size = c->now.size;
	m->my_rank = (uint32_t)c->now.my_rank;
	m->flags = c->now.flags;
	if (!c->nruns && !(m->flags & C4_COMM_REPORTED))
		m->flags |= C4_COMM_TRUNCATED;
	m->name = c->now.name;
	m->members = write_runs(d, c);
	m->n_members = m->members ? c->nruns : 0;
	return m;
}

static void write_recent(struct c4_msg *d, const struct c4_seg_comm *s, C4__V1__Comm *m)
{
	m->recent = c4_msg_take(d, sizeof s->recent);
	if (!m->recent)
		return;
	memcpy(m->recent, s->recent, sizeof s->recent);
	m->n_recent = C4_SEG_RECENT;
}

static void write_comm_state(struct c4_msg *d, const struct c4_target_comm *c, C4__V1__Comm *m)
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
	m->inside_ns = s->entered > s->finished ? c4_msg_age(d, s->enter_ticks) : 0;
	m->freed = c->freed;
	m->sends = s->p2p_sends;
	m->send_bytes = s->p2p_send_bytes;
	m->recvs = s->p2p_recvs;
	m->recv_bytes = s->p2p_recv_bytes;
	m->p2p_wait_ns = c4_ticks_to_ns(&d->t->rate, s->p2p_wait_ticks);
	m->errors = s->errors;
	m->aborted = s->flags & C4_COMM_ABORTED;
	if (!c->introduced || memcmp(s->recent, c->posted.recent, sizeof s->recent) != 0)
		write_recent(d, s, m);
}

static void write_gpu_state(struct c4_msg *d, const struct c4_target_comm *c, C4__V1__Comm *m)
{
	const struct c4_seg_comm *s = &c->now;

	m->api_calls = s->api_calls;
	m->gpu_started = s->gpu_started;
	m->gpu_inside_ns = s->gpu_started > s->finished ? c4_msg_age(d, s->gpu_start_ticks) : 0;
	m->p2p_started = s->p2p_started;
	m->p2p_finished = s->p2p_finished;
	m->async_error = s->async_error;
}

/* Inside an operation it is told every time: the collector's idea of its age stays true. */
static bool worth_telling(const struct c4_target_comm *c)
{
	return !c->introduced || c->now.entered > c->now.finished ||
	       memcmp(&c->now, &c->posted, sizeof c->now) != 0;
}

static C4__V1__Comm *write_comm(struct c4_msg *d, struct c4_target_comm *c)
{
	C4__V1__Comm *m = c4_msg_take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__comm__init(m);
	write_comm_state(d, c, m);
	if (c->now.flags & C4_COMM_GPU)
		write_gpu_state(d, c, m);
	if (!c->introduced)
		m->identity = write_comm_identity(d, c);
	return m;
}

void c4_msg_write_comms(struct c4_msg *d, C4__V1__Process *m)
{
	struct c4_target *t = d->t;

	m->comms = c4_msg_take(d, (t->ncomms + t->nfreed) * sizeof *m->comms);
	if (!m->comms)
		return;
	for (uint32_t i = 0; i < t->nfreed; i++)
		m->comms[m->n_comms++] = write_comm(d, &t->freed[i]);
	for (uint32_t i = 0; i < t->ncomms; i++)
		if (t->comms[i] && worth_telling(t->comms[i]))
			m->comms[m->n_comms++] = write_comm(d, t->comms[i]);
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

static void write_hist(struct c4_msg *d, const struct c4_block *b, C4__V1__Block *m)
{
	size_t n = C4_BLOCK_BUCKETS;

	while (n && !b->sync_hist[n - 1])
		n--;
	m->sync_hist = c4_msg_take(d, n * sizeof *m->sync_hist);
	if (!m->sync_hist)
		return;
	memcpy(m->sync_hist, b->sync_hist, n * sizeof *m->sync_hist);
	m->n_sync_hist = n;
}

static void write_block(struct c4_msg *d, const struct c4_block *b, C4__V1__Block *m)
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

void c4_msg_write_blocks(struct c4_msg *d, C4__V1__Process *m)
{
	const struct c4_block *b;
	C4__V1__Block *blocks;
	size_t n;

	b = c4_fold_blocks(d->t->fold, &n);
	m->blocks = c4_msg_take(d, n * sizeof *m->blocks);
	blocks = c4_msg_take(d, n * sizeof *blocks);
	if (!m->blocks || !blocks)
		return;
	for (size_t i = 0; i < n; i++) {
		write_block(d, &b[i], &blocks[i]);
		m->blocks[i] = &blocks[i];
	}
	m->n_blocks = n;
}

/* ---- connections ---------------------------------------------------------------------------- */

static C4__V1__Conn *write_conn(struct c4_msg *d, const struct c4_conn *c)
{
	const struct c4_seg_conn *s = &c->now;
	C4__V1__Conn *m = c4_msg_take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__conn__init(m);
	m->comm = s->comm;
	m->rank = (uint32_t)s->rank;
	m->peer = (uint32_t)s->peer;
	m->channel = s->channel;
	m->sends = s->sends;
	m->flags = s->flags;
	m->opno = s->opno;
	m->phase = s->phase;
	m->active = s->active;
	m->still_ns = c4_msg_age(d, s->change_ticks);
	m->posted = s->posted;
	m->transmitted = s->transmitted;
	m->done = s->done;
	m->bytes = s->bytes;
	m->busy_ns = c->busy_ns;
	m->gpu_ns = c->gpu_ns;
	m->peer_ns = c->peer_ns;
	m->max_us = s->max_us;
	return m;
}

void c4_msg_write_conns(struct c4_msg *d, C4__V1__Process *m)
{
	struct c4_conns *s = &d->t->conns;

	c4_conns_pick(s, &d->t->rate, d->now_ns, d->t->gone);
	m->conns_late = s->late;
	m->conns = c4_msg_take(d, s->ndue * sizeof *m->conns);
	for (uint32_t i = 0; m->conns && i < s->ndue; i++)
		m->conns[m->n_conns++] = write_conn(d, s->due[i]);
}
