// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/proxy.h"

#include <stddef.h>

#include "agent/nccl/abi.h"
#include "agent/nccl/conn.h"
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
static double us_per_tick;

static_assert(PROXIES <= C4_HANDLE_INDEXES, "an index fits into a handle");

void c4_prof_proxies_init(uint64_t salt, int32_t pid)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_tick_rate rate;

	pool.salt = salt;
	own_pid = pid;
	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	us_per_tick = rate.ns_per_tick / 1e3;
}

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

static struct c4_seg_conn *conn_of(const struct proxy *p)
{
	return c4_get(&p->conn);
}

static struct proxy *find(struct c4_handle h)
{
	return c4_pool_alive(&pool, h) ? &proxies[h.index] : NULL;
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

/* What the connection waits for: its oldest step. */
static void show(struct proxy *p, uint32_t phase, uint64_t now)
{
	c4_set(&conn_of(p)->phase, phase);
	c4_set(&conn_of(p)->change_ticks, now);
}

static void show_if_oldest(struct proxy *p, const struct step *s, uint64_t now)
{
	if (c4_get(&s->live) == c4_get(&p->oldest) + 1)
		c4_set(&conn_of(p)->phase, c4_get(&s->phase));
	c4_set(&conn_of(p)->change_ticks, now);
}

static void change(struct proxy *p, struct step *s, uint8_t phase, uint64_t now)
{
	c4_set(&s->phase, phase);
	c4_set(&s->since, now);
	show_if_oldest(p, s, now);
}

/* Counts a step as far as this; a stage that was not told comes with the next one, in order. */
static void advance(struct proxy *p, struct step *s, enum stage stage)
{
	struct c4_seg_conn *c = conn_of(p);
	uint64_t *const sums[] = {[STAGE_POSTED] = &c->posted,
				  [STAGE_TRANSMITTED] = &c->transmitted,
				  [STAGE_DONE] = &c->done};

	for (uint8_t at = c4_get(&s->stage); at < stage; at++)
		__atomic_fetch_add(sums[at + 1], 1, __ATOMIC_RELEASE);
	if (c4_get(&s->stage) < stage)
		c4_set(&s->stage, (uint8_t)stage);
}

/* A transmission took so long. */
static void took(struct c4_seg_conn *c, uint64_t ticks)
{
	double us = (double)ticks * us_per_tick;
	uint32_t cut = us < (double)UINT32_MAX ? (uint32_t)us : UINT32_MAX;

	if (cut > c4_get(&c->max_us))
		c4_set(&c->max_us, cut);
}

/* ---- states of a step ------------------------------------------------------------------------ */

/* The sender's GPU has produced it. */
static void produced(struct proxy *p, struct step *s, uint64_t now)
{
	if (c4_get(&s->phase) != C4_CONN_GPU_WAIT)
		return;
	c4_seg_add(&conn_of(p)->gpu_ticks,
		   since(now, later(c4_get(&s->since), c4_get(&p->ready_ticks))));
	c4_set(&p->ready_ticks, now);
}

static void wait_for_peer(struct proxy *p, struct step *s, uint64_t now)
{
	if (c4_get(&s->phase) == C4_CONN_PEER_WAIT) /* told at every pass of the proxy */
		return;
	produced(p, s, now);
	change(p, s, C4_CONN_PEER_WAIT, now);
}

static void posted_to_peer(struct proxy *p, struct step *s, uint64_t bytes, uint64_t now)
{
	produced(p, s, now);
	if (c4_get(&s->phase) == C4_CONN_PEER_WAIT)
		c4_seg_add(&conn_of(p)->peer_ticks, since(now, c4_get(&s->since)));
	c4_set(&s->bytes, bytes);
	advance(p, s, STAGE_POSTED);
	change(p, s, C4_CONN_SENDING, now);
}

static void arrived(struct proxy *p, struct step *s, uint64_t bytes, uint64_t now)
{
	uint64_t wait = since(now, later(c4_get(&s->since), c4_get(&p->ready_ticks)));

	if (c4_get(&s->phase) == C4_CONN_RECEIVING) {
		c4_seg_add(&conn_of(p)->peer_ticks, wait);
		c4_seg_add(&conn_of(p)->busy_ticks, wait);
		took(conn_of(p), wait);
	}
	c4_set(&p->ready_ticks, now);
	c4_seg_add(&conn_of(p)->bytes, bytes);
	advance(p, s, STAGE_TRANSMITTED);
	change(p, s, C4_CONN_FLUSHING, now);
}

static void step_state(struct proxy *p, struct step *s, int state, const uint64_t *bytes,
		       uint64_t now)
{
	switch (state) {
	case C4_ABI_SEND_GPU_WAIT: change(p, s, C4_CONN_GPU_WAIT, now); break;
	case C4_ABI_SEND_PEER_WAIT: wait_for_peer(p, s, now); break;
	case C4_ABI_SEND_WAIT: posted_to_peer(p, s, bytes ? *bytes : 0, now); break;
	case C4_ABI_RECV_WAIT:
		advance(p, s, STAGE_POSTED);
		change(p, s, C4_CONN_RECEIVING, now);
		break;
	case C4_ABI_RECV_FLUSH_WAIT: arrived(p, s, bytes ? *bytes : 0, now); break;
	case C4_ABI_RECV_GPU_WAIT: change(p, s, C4_CONN_GPU_WAIT, now); break;
	default: break;
	}
}

/* The live step a handle means, or NULL. */
static struct step *step_of(struct proxy *p, struct c4_handle h)
{
	struct step *s = &p->steps[h.sub % STEPS];
	uint32_t live = c4_get(&s->live);

	return live && (uint8_t)(live - 1) == h.sub ? s : NULL;
}

void c4_prof_step_state(struct c4_handle h, int state, const uint64_t *bytes)
{
	struct proxy *p = find(h);
	struct step *s = p ? step_of(p, h) : NULL;

	if (s)
		step_state(p, s, state, bytes, now_ticks());
}

/* ---- a step's life --------------------------------------------------------------------------- */

/* What the connection works for is what its proxy moves, not what waits in its queue. */
static void first_step(struct proxy *p, uint32_t step)
{
	c4_set(&p->stepped, true);
	c4_set(&p->oldest, step);
	c4_set(&conn_of(p)->opno, c4_get(&p->opno));
}

void *c4_prof_step_begin(struct c4_handle h, uint32_t step)
{
	struct proxy *p = find(h);
	struct step *s;

	if (!p)
		return NULL;
	s = &p->steps[step % STEPS];
	h.kind = C4_HANDLE_STEP;
	h.sub = (uint8_t)step;
	if (c4_get(&s->live) == step + 1) /* told at every pass of the proxy */
		return c4_handle_make(h);
	if (!c4_get(&p->stepped))
		first_step(p, step);
	c4_set(&s->bytes, 0);
	c4_set(&s->stage, STAGE_NONE);
	c4_set(&s->live, step + 1);
	change(p, s, C4_CONN_IDLE, now_ticks());
	return c4_handle_make(h);
}

/* The next one is the oldest now. */
static void pass_on(struct proxy *p, uint32_t step, uint64_t now)
{
	const struct step *next = &p->steps[(step + 1) % STEPS];
	bool live = c4_get(&next->live) == step + 2;

	if (c4_get(&p->oldest) == step) {
		c4_set(&p->oldest, step + 1);
		show(p, live ? c4_get(&next->phase) : C4_CONN_IDLE, now);
	}
	c4_set(&conn_of(p)->change_ticks, now);
}

static void end_step(struct proxy *p, struct step *s, uint64_t now)
{
	uint64_t begin = later(c4_get(&s->since), c4_get(&p->end_ticks));
	uint32_t step = c4_get(&s->live) - 1;

	if (c4_get(&s->phase) == C4_CONN_SENDING) {
		c4_seg_add(&conn_of(p)->busy_ticks, since(now, begin));
		c4_seg_add(&conn_of(p)->bytes, c4_get(&s->bytes));
		took(conn_of(p), since(now, c4_get(&s->since)));
	} else if (c4_get(&s->stage) == STAGE_TRANSMITTED &&
		   c4_get(&s->phase) == C4_CONN_GPU_WAIT) {
		c4_seg_add(&conn_of(p)->gpu_ticks, since(now, begin));
	}
	c4_set(&p->end_ticks, now);
	advance(p, s, STAGE_DONE);
	c4_set(&s->live, 0);
	pass_on(p, step, now);
}

void c4_prof_step_end(struct c4_handle h)
{
	struct proxy *p = find(h);
	struct step *s = p ? step_of(p, h) : NULL;

	if (s)
		end_step(p, s, now_ticks());
}

/* ---- versions 1 to 3 ------------------------------------------------------------------------- */

void c4_prof_proxy_state(struct c4_handle h, int state, int steps, uint64_t bytes)
{
	struct proxy *p = find(h);

	if (!p)
		return;
	if (state == C4_ABI_SEND_REM_FIFO_WAIT && steps > 0) {
		h.sub = (uint8_t)(steps - 1);
		c4_prof_step_state(h, C4_ABI_SEND_PEER_WAIT, NULL);
	} else if ((state == C4_ABI_SEND_DONE || state == C4_ABI_RECV_RECEIVED) &&
		   bytes > c4_get(&p->bytes)) {
		c4_seg_add(&conn_of(p)->bytes, bytes - c4_get(&p->bytes));
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
	if (!c4_prof_op_proxy_begin(c4_handle_read(ev->parent), &ret->parent))
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
	c4_set(&p->comm, (uint16_t)(comm ? c4_prof_comm_index(comm) + 1 : 0));
	__atomic_store_n(&p->used, true, __ATOMIC_RELEASE);
}

/* Gives a place back, once. */
static void release(uint32_t i, uint64_t gen)
{
	struct proxy *p = &proxies[i];
	const void *parent = c4_get(&p->parent);
	struct c4_seg_conn *conn = conn_of(p);

	if (!__atomic_exchange_n(&p->used, false, __ATOMIC_SEQ_CST))
		return;
	if (!__atomic_sub_fetch(&conn->active, 1, __ATOMIC_RELAXED))
		c4_set(&conn->phase, C4_CONN_IDLE);
	c4_set(&conn->change_ticks, now_ticks());
	c4_pool_put(&pool, i, gen);
	c4_prof_op_proxy_end(c4_handle_read(parent));
}

/*
 * Operations that go through no network (collnet, copies by the proxy) begin and never end: those
 * that never took a step and whose parent is over are given back when room is needed.
 */
static void reclaim(void)
{
	for (uint32_t i = 0; i < PROXIES; i++) {
		struct proxy *p = &proxies[i];

		if (__atomic_load_n(&p->used, __ATOMIC_ACQUIRE) && !c4_get(&p->stepped) &&
		    !c4_prof_op_alive(c4_handle_read(c4_get(&p->parent))))
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
	if (make_key(ctx, ev, comm, &key))
		handle = attach(&key, comm, &origin);
	if (!handle)
		c4_prof_op_proxy_end(c4_handle_read(origin.handle));
	return handle;
}

void c4_prof_proxy_progresses(struct c4_handle h)
{
	struct proxy *p = find(h);

	if (!p)
		return;
	c4_set(&conn_of(p)->opno, c4_get(&p->opno));
	c4_set(&conn_of(p)->change_ticks, now_ticks());
}

void c4_prof_proxy_end(struct c4_handle h)
{
	if (find(h))
		release(h.index, h.gen);
}

void c4_prof_proxies_drop(const struct c4_prof_comm *c)
{
	for (uint32_t i = 0; i < PROXIES; i++)
		if (__atomic_load_n(&proxies[i].used, __ATOMIC_ACQUIRE) &&
		    c4_get(&proxies[i].comm) == c4_prof_comm_index(c) + 1)
			release(i, c4_pool_gen(&pool, i));
}
