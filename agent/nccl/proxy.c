// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/proxy.h"

#include <stddef.h>

#include "agent/nccl/abi.h"
#include "agent/nccl/conn.h"
#include "agent/nccl/handle.h"
#include "agent/nccl/op.h"
#include "agent/nccl/pool.h"
#include "agent/nccl/shared.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define PROXIES 4096u
#define STEPS	8u /* NCCL_STEPS: on their way at a time */

/* What a step has been counted as. */
enum stage { STAGE_NONE, STAGE_POSTED, STAGE_TRANSMITTED, STAGE_DONE };

struct step {
	uint64_t since; /* ticks: in this phase */
	uint64_t bytes;
	uint32_t live; /* number + 1, 0: none */
	uint8_t phase; /* enum c4_conn_phase */
	uint8_t stage;
};

struct proxy {
	struct c4_seg_conn *conn;
	void *parent; /* handle of what it is a part of, NULL: not ours, or not known */
	uint64_t opno;
	uint64_t ready_ticks; /* the GPU's data (sender), the peer's (receiver) came last */
	uint64_t end_ticks;   /* a step ended last */
	uint64_t bytes;	      /* versions 1 to 3: counted so far */
	uint32_t oldest;      /* step that is not done */
	uint16_t comm;	      /* index + 1, 0: none */
	bool used;
	bool stepped; /* a step has begun */
	struct step steps[STEPS];
};

static struct proxy proxies[PROXIES] __attribute__((aligned(64)));
static struct c4_pool_cell cells[PROXIES];
static struct c4_pool pool __attribute__((aligned(64))) = {.cap = PROXIES, .cells = cells};
static int32_t own_pid;
static uint64_t us_per_tick; /* · 2^64 */

static_assert(PROXIES <= C4_HANDLE_INDEXES, "an index fits into a handle");

void c4_prof_proxies_init(uint64_t salt, int32_t pid)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_tick_rate rate;

	pool.salt = salt;
	own_pid = pid;
	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	us_per_tick = (uint64_t)(rate.ns_per_tick / 1e3 * 0x1p64);
}

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

/* What a handle of this kind means, NULL if it is another or over. */
static struct proxy *find(const void *handle, enum c4_handle_kind kind)
{
	struct c4_handle h = c4_handle_read(handle);

	return h.kind == kind && c4_pool_alive(&pool, h) ? &proxies[h.index] : NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t since(uint64_t now, uint64_t then)
{
	return now > then ? now - then : 0;
}

/* ---- the connection -------------------------------------------------------------------------- */

/* A step in motion. */
struct motion {
	struct proxy *p;
	struct c4_seg_conn *conn;
	struct step *step;
	uint64_t now;
};

/* The connection is where its oldest step is. */
static inline void change(const struct motion *m, uint8_t phase)
{
	c4_set(&m->step->phase, phase);
	c4_set(&m->step->since, m->now);
	if (c4_get(&m->step->live) == c4_get(&m->p->oldest) + 1)
		c4_set(&m->conn->phase, phase);
	c4_set(&m->conn->change_ticks, m->now);
}

static inline void count(uint64_t *sum)
{
	__atomic_fetch_add(sum, 1, __ATOMIC_RELEASE);
}

/* Counts a step as far as this; a stage that was not told comes with the next one, in order. */
static inline void advance(const struct motion *m, enum stage to)
{
	enum stage from = c4_get(&m->step->stage);

	if (from >= to)
		return;
	if (from < STAGE_POSTED)
		count(&m->conn->posted);
	if (to >= STAGE_TRANSMITTED && from < STAGE_TRANSMITTED)
		count(&m->conn->transmitted);
	if (to >= STAGE_DONE)
		count(&m->conn->done);
	c4_set(&m->step->stage, (uint8_t)to);
}

/* A transmission took so long. */
static inline void took(struct c4_seg_conn *c, uint64_t ticks)
{
	uint64_t us = (uint64_t)((unsigned __int128)ticks * us_per_tick >> 64);

	if (us > c4_get(&c->max_us))
		c4_set(&c->max_us, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
}

/* ---- states of a step ------------------------------------------------------------------------ */

/* The sender's GPU has produced it. */
static inline void produced(const struct motion *m)
{
	uint64_t from = later(c4_get(&m->step->since), c4_get(&m->p->ready_ticks));

	if (c4_get(&m->step->phase) != C4_CONN_GPU_WAIT)
		return;
	c4_seg_add(&m->conn->gpu_ticks, since(m->now, from));
	c4_set(&m->p->ready_ticks, m->now);
}

static void posted_to_peer(const struct motion *m, uint64_t bytes)
{
	produced(m);
	if (c4_get(&m->step->phase) == C4_CONN_PEER_WAIT)
		c4_seg_add(&m->conn->peer_ticks, since(m->now, c4_get(&m->step->since)));
	c4_set(&m->step->bytes, bytes);
	advance(m, STAGE_POSTED);
	change(m, C4_CONN_SENDING);
}

static void arrived(const struct motion *m, uint64_t bytes)
{
	uint64_t from = later(c4_get(&m->step->since), c4_get(&m->p->ready_ticks));
	uint64_t wait = since(m->now, from);

	if (c4_get(&m->step->phase) == C4_CONN_RECEIVING) {
		c4_seg_add(&m->conn->peer_ticks, wait);
		c4_seg_add(&m->conn->busy_ticks, wait);
		took(m->conn, wait);
	}
	c4_set(&m->p->ready_ticks, m->now);
	c4_seg_add(&m->conn->bytes, bytes);
	advance(m, STAGE_TRANSMITTED);
	change(m, C4_CONN_FLUSHING);
}

static void step_state(const struct motion *m, int state, uint64_t bytes)
{
	switch (state) {
	case C4_ABI_SEND_GPU_WAIT: change(m, C4_CONN_GPU_WAIT); break;
	case C4_ABI_SEND_PEER_WAIT:
		produced(m);
		change(m, C4_CONN_PEER_WAIT);
		break;
	case C4_ABI_SEND_WAIT: posted_to_peer(m, bytes); break;
	case C4_ABI_RECV_WAIT:
		advance(m, STAGE_POSTED);
		change(m, C4_CONN_RECEIVING);
		break;
	case C4_ABI_RECV_FLUSH_WAIT: arrived(m, bytes); break;
	case C4_ABI_RECV_GPU_WAIT: change(m, C4_CONN_GPU_WAIT); break;
	default: break;
	}
}

/* The live step of this number (its low bits), or NULL. */
static inline struct step *step_of(struct proxy *p, uint8_t number)
{
	struct step *s = &p->steps[number % STEPS];
	uint32_t live = c4_get(&s->live);

	return live && (uint8_t)(live - 1) == number ? s : NULL;
}

static inline void tell_state(struct proxy *p, uint8_t number, int state, uint64_t bytes)
{
	struct step *s = step_of(p, number);

	/* that the peer is not ready is told at every pass of the proxy: the first time counts */
	if (s && (state != C4_ABI_SEND_PEER_WAIT || c4_get(&s->phase) != C4_CONN_PEER_WAIT))
		step_state(&(struct motion){p, c4_get(&p->conn), s, now_ticks()}, state, bytes);
}

void c4_prof_step_state(const void *handle, int state, uint64_t bytes)
{
	struct proxy *p = find(handle, C4_HANDLE_STEP);

	if (p)
		tell_state(p, c4_handle_read(handle).sub, state, bytes);
}

/* ---- a step's life --------------------------------------------------------------------------- */

/* What the connection works for is what its proxy moves, not what waits in its queue. */
static C4_RARE void first_step(struct proxy *p, uint32_t step)
{
	c4_set(&p->stepped, true);
	c4_set(&p->oldest, step);
	c4_set(&c4_get(&p->conn)->opno, c4_get(&p->opno));
}

static void begin_step(struct proxy *p, struct step *s, uint32_t number)
{
	if (!c4_get(&p->stepped))
		first_step(p, number);
	c4_set(&s->bytes, 0);
	c4_set(&s->stage, STAGE_NONE);
	c4_set(&s->live, number + 1);
	change(&(struct motion){p, c4_get(&p->conn), s, now_ticks()}, C4_CONN_IDLE);
}

void *c4_prof_step_begin(const void *handle, uint32_t number)
{
	struct proxy *p = find(handle, C4_HANDLE_PROXY);
	struct c4_handle h = c4_handle_read(handle);
	struct step *s;

	if (!p)
		return NULL;
	s = &p->steps[number % STEPS];
	if (c4_get(&s->live) != number + 1) /* told at every pass of the proxy */
		begin_step(p, s, number);
	h.kind = C4_HANDLE_STEP;
	h.sub = (uint8_t)number;
	return c4_handle_make(h);
}

/* It is over; the next one may be the oldest now. */
static inline void pass_on(const struct motion *m)
{
	uint32_t behind = c4_get(&m->step->live); /* its number + 1 */
	const struct step *next = &m->p->steps[behind % STEPS];

	c4_set(&m->step->live, 0);
	c4_set(&m->conn->change_ticks, m->now);
	if (c4_get(&m->p->oldest) + 1 != behind)
		return;
	c4_set(&m->p->oldest, behind);
	c4_set(&m->conn->phase,
	       c4_get(&next->live) == behind + 1 ? c4_get(&next->phase) : C4_CONN_IDLE);
}

static void end_step(const struct motion *m)
{
	uint64_t from = c4_get(&m->step->since), bytes = c4_get(&m->step->bytes);
	uint64_t wait = since(m->now, later(from, c4_get(&m->p->end_ticks)));
	uint8_t phase = c4_get(&m->step->phase);

	if (phase == C4_CONN_SENDING) {
		c4_seg_add(&m->conn->busy_ticks, wait);
		c4_seg_add(&m->conn->bytes, bytes);
		took(m->conn, since(m->now, from));
	} else if (phase == C4_CONN_GPU_WAIT && c4_get(&m->step->stage) == STAGE_TRANSMITTED) {
		c4_seg_add(&m->conn->gpu_ticks, wait);
	}
	c4_set(&m->p->end_ticks, m->now);
	advance(m, STAGE_DONE);
	pass_on(m);
}

void c4_prof_step_end(const void *handle)
{
	struct proxy *p = find(handle, C4_HANDLE_STEP);
	struct step *s = p ? step_of(p, c4_handle_read(handle).sub) : NULL;

	if (s)
		end_step(&(struct motion){p, c4_get(&p->conn), s, now_ticks()});
}

/* ---- versions 1 to 3 ------------------------------------------------------------------------- */

void c4_prof_proxy_state(const void *handle, int state, int steps, uint64_t bytes)
{
	struct proxy *p = find(handle, C4_HANDLE_PROXY);

	if (!p)
		return;
	if (state == C4_ABI_SEND_REM_FIFO_WAIT && steps > 0) {
		tell_state(p, (uint8_t)(steps - 1), C4_ABI_SEND_PEER_WAIT, 0);
	} else if ((state == C4_ABI_SEND_DONE || state == C4_ABI_RECV_RECEIVED) &&
		   bytes > c4_get(&p->bytes)) {
		c4_seg_add(&c4_get(&p->conn)->bytes, bytes - c4_get(&p->bytes));
		c4_set(&p->bytes, bytes);
	}
}

/* ---- an operation's life --------------------------------------------------------------------- */

/* What an operation is a part of. */
struct origin {
	struct c4_prof_parent parent;
	void *handle; /* of the parent, NULL: not ours or not known */
};

/* Whose it is: by its parent, by the context, or (another process's) by what these look like. */
static struct c4_prof_comm *find_origin(const void *ctx, const struct c4_prof_event *ev,
					bool foreign, struct origin *ret)
{
	*ret = (struct origin){0};
	if (foreign)
		return c4_prof_comm_namesake(ctx);
	if (!c4_prof_op_proxy_begin(ev->parent, &ret->parent))
		return c4_prof_comm_find(ctx);
	ret->handle = ev->parent;
	return ret->parent.comm;
}

/* False: nothing is known of its communicator, or it is not with a peer. */
static bool make_key(const void *ctx, const struct c4_prof_event *ev, const struct c4_prof_comm *c,
		     struct c4_prof_conn_key *key)
{
	if (c && c4_prof_comm_known(c))
		key->comm = c->id;
	else if (key->foreign) /* of a communicator that this process has no part in */
		key->comm = c4_hash_u64((uint64_t)ev->proxy_op.pid, (uintptr_t)ctx) | 1;
	else
		return false;
	key->rank = key->foreign ? ev->rank : c->rank;
	return key->rank >= 0 && key->peer >= 0;
}

static void fill(struct proxy *p, struct c4_seg_conn *conn, const struct c4_prof_comm *comm,
		 const struct origin *origin)
{
	c4_set(&p->conn, conn);
	c4_set(&p->parent, origin->handle);
	c4_set(&p->opno, origin->parent.opno);
	c4_set(&p->ready_ticks, 0);
	c4_set(&p->end_ticks, 0);
	c4_set(&p->bytes, 0);
	c4_set(&p->stepped, false);
	c4_set(&p->oldest, 0);
	for (uint32_t i = 0; i < STEPS; i++)
		c4_set(&p->steps[i].live, 0);
	c4_set(&p->comm, (uint16_t)(comm ? comm->index + 1 : 0));
	__atomic_store_n(&p->used, true, __ATOMIC_RELEASE);
}

/* Gives a place back, once. */
static void release(uint32_t i, uint64_t gen)
{
	struct proxy *p = &proxies[i];
	const void *parent = c4_get(&p->parent);
	struct c4_seg_conn *conn = c4_get(&p->conn);

	if (!__atomic_exchange_n(&p->used, false, __ATOMIC_SEQ_CST))
		return;
	if (!__atomic_sub_fetch(&conn->active, 1, __ATOMIC_RELAXED))
		c4_set(&conn->phase, C4_CONN_IDLE);
	c4_set(&conn->change_ticks, now_ticks());
	c4_pool_put(&pool, i, gen);
	c4_prof_op_proxy_end(parent);
}

/*
 * Operations that go through no network (collnet, copies by the proxy) begin and never end: those
 * that never took a step and whose parent is over are given back when room is needed.
 */
static C4_RARE void reclaim(void)
{
	for (uint32_t i = 0; i < PROXIES; i++) {
		struct proxy *p = &proxies[i];

		if (__atomic_load_n(&p->used, __ATOMIC_ACQUIRE) && !c4_get(&p->stepped) &&
		    !c4_prof_op_alive(c4_get(&p->parent)))
			release(i, c4_pool_gen(&pool, i));
	}
}

static uint32_t take(void)
{
	uint32_t i = c4_pool_take(&pool);

	if (i != C4_POOL_EMPTY)
		return i;
	reclaim();
	i = c4_pool_take(&pool);
	if (i == C4_POOL_EMPTY)
		c4_seg_lose(&c4_hook.seg, C4_LOST_OPS);
	return i;
}

static void *attach(const struct c4_prof_conn_key *key, const struct c4_prof_comm *comm,
		    const struct origin *origin)
{
	struct c4_seg_conn *conn = c4_prof_conn(key);
	uint32_t i = conn ? take() : C4_POOL_EMPTY;

	if (i == C4_POOL_EMPTY)
		return NULL;
	fill(&proxies[i], conn, comm, origin);
	__atomic_fetch_add(&conn->active, 1, __ATOMIC_RELAXED);
	c4_set(&conn->change_ticks, now_ticks());
	return c4_handle_make((struct c4_handle){
		.kind = C4_HANDLE_PROXY, .index = (uint16_t)i, .gen = c4_pool_gen(&pool, i)});
}

void *c4_prof_proxy_begin(const void *ctx, const struct c4_prof_event *ev)
{
	struct c4_prof_conn_key key = {.peer = ev->proxy_op.peer,
				       .channel = ev->proxy_op.channel,
				       .sends = ev->proxy_op.sends,
				       .foreign = ev->proxy_op.pid != own_pid};
	void *handle = NULL;
	struct c4_prof_comm *comm;
	struct origin origin;

	comm = find_origin(ctx, ev, key.foreign, &origin);
	if (origin.parent.refused)
		return NULL;
	if (make_key(ctx, ev, comm, &key))
		handle = attach(&key, comm, &origin);
	if (!handle)
		c4_prof_op_proxy_end(origin.handle);
	return handle;
}

void c4_prof_proxy_progresses(const void *handle)
{
	struct proxy *p = find(handle, C4_HANDLE_PROXY);

	if (!p)
		return;
	c4_set(&c4_get(&p->conn)->opno, c4_get(&p->opno));
	c4_set(&c4_get(&p->conn)->change_ticks, now_ticks());
}

void c4_prof_proxy_end(const void *handle)
{
	struct c4_handle h = c4_handle_read(handle);

	if (find(handle, C4_HANDLE_PROXY))
		release(h.index, h.gen);
}

void c4_prof_proxies_drop(const struct c4_prof_comm *c)
{
	for (uint32_t i = 0; i < PROXIES; i++)
		if (__atomic_load_n(&proxies[i].used, __ATOMIC_ACQUIRE) &&
		    c4_get(&proxies[i].comm) == c->index + 1)
			release(i, c4_pool_gen(&pool, i));
}
