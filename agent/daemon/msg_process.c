// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/msg_process.h"

#include <ctype.h>
#include <string.h>

#include "agent/daemon/msg_comm.h"
#include "c4/op.h"

#define CALL_MIN_NS 100000000ull /* shorter calls are not worth telling */

/* ---- threads -------------------------------------------------------------------------------- */

static uint64_t comm_id(const struct c4_target *t, uint32_t slot)
{
	return slot < t->ncomms && t->comms[slot] ? t->comms[slot]->now.id : 0;
}

static C4__V1__Thread *write_thread(struct c4_msg *d, const struct c4_seg_thread *s,
				    uint64_t inside_ns)
{
	C4__V1__Thread *m = c4_msg_take(d, sizeof *m);

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
	m->peers = c4_msg_take(d, m->n_peers * sizeof *m->peers);
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

static uint64_t outside_ns(const struct c4_msg *d)
{
	const struct c4_seg_thread *s = spokesman(d->t);

	return s && s->kind == C4_OP_NONE && s->leave_ticks ? c4_msg_age(d, s->leave_ticks) : 0;
}

static void write_threads(struct c4_msg *d, C4__V1__Process *m)
{
	const struct c4_target *t = d->t;

	m->threads = c4_msg_take(d, t->nthreads * sizeof *m->threads);
	for (uint32_t i = 0; m->threads && i < t->nthreads; i++) {
		const struct c4_seg_thread *s = &t->threads[i];
		uint64_t age = s->kind == C4_OP_NONE ? 0 : c4_msg_age(d, s->enter_ticks);

		if (age >= CALL_MIN_NS)
			m->threads[m->n_threads++] = write_thread(d, s, age);
	}
	m->inside_ns = t->inside_ns;
	m->p2p_ns = t->p2p_ns;
	m->calls = t->calls;
	m->outside_ns = outside_ns(d);
}

/* ---- the process ---------------------------------------------------------------------------- */

/* Lower case: the driver writes it so, the runtime does not. */
static char *write_bus(struct c4_msg *d, const char *bus)
{
	size_t n = strlen(bus) + 1;
	char *s = c4_msg_take(d, n);

	for (size_t i = 0; s && i < n; i++)
		s[i] = (char)tolower((unsigned char)bus[i]);
	return s;
}

static C4__V1__Identity *write_identity(struct c4_msg *d)
{
	const struct c4_seg_header *gpu = &c4_kin_with_gpu(d->t)->seg.toc;
	struct c4_seg_header *h = &d->t->seg.toc;
	C4__V1__Identity *m = c4_msg_take(d, sizeof *m);

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
	m->gpu = gpu->gpu < 0 || gpu->gpu == INT32_MAX ? 0 : gpu->gpu + 1;
	m->gpu_bus = write_bus(d, gpu->gpu_bus);
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

static void write_state(struct c4_msg *d, C4__V1__Process *m)
{
	struct c4_target *t = d->t;

	m->run = run_of(t);
	m->phase = t->seg.toc.phase;
	m->abort_code = t->seg.toc.abort_code;
	m->alive_ns = c4_msg_since(t->gone ? t->gone_ns : d->now_ns, t->seg.toc.mono0_ns);
	m->gone_age_ns = t->gone ? c4_msg_since(d->now_ns, t->gone_ns) : 0;
	m->wait_status = t->wait_status;
	m->wait_status_known = t->status_known;
	m->ending = t->ending;
	if (t->gone)
		return;
	m->cpu_permille = t->cpu_permille;
	m->runqueue_permille = t->queue_permille;
	m->io_bytes = t->io_bytes;
	m->age_ns = t->sampled ? c4_msg_since(d->now_ns, t->sampled_ns) : 0;
}

/* Of all segments of the process: whoever reads a message need not know the others'. */
static void write_losses(struct c4_msg *d, C4__V1__Process *m)
{
	const struct c4_target *one;
	uint32_t n = C4_SEG_LOSS_SLOTS;

	m->lost = c4_msg_take(d, n * sizeof *m->lost);
	if (!m->lost)
		return;
	memset(m->lost, 0, n * sizeof *m->lost);
	c4_kin_for_each (one, d->t) {
		for (uint32_t i = 0; i < n; i++)
			m->lost[i] += one->seg.toc.lost[i];
		m->lost[C4_LOST_CONNS] += one->conns.lost;
		m->lost_events += one->seg.lost + c4_fold_losses(one->fold).ops;
	}
	while (n && !m->lost[n - 1])
		n--;
	m->n_lost = n;
}

static void write_whole(struct c4_msg *d, C4__V1__Process *m)
{
	write_state(d, m);
	write_threads(d, m);
	if (!d->t->introduced)
		m->identity = write_identity(d);
}

C4__V1__Process *c4_msg_process(struct c4_msg *d)
{
	C4__V1__Process *m = c4_msg_take(d, sizeof *m);

	if (!m)
		return NULL;
	c4__v1__process__init(m);
	m->handle = d->t->handle;
	m->part = c4_kin_is_part(d->t);
	if (!m->part)
		write_whole(d, m);
	write_losses(d, m);
	c4_msg_write_comms(d, m);
	c4_msg_write_blocks(d, m);
	c4_msg_write_conns(d, m);
	return d->failed ? NULL : m;
}
