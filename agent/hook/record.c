// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/record.h"

#include <stddef.h>

#include "common/base/clock.h"
#include "common/base/fence.h"

/* On the path of every call: a function call each would cost more than they do. */
#define HOT static inline __attribute__((always_inline))

/*
 * The processor's counter, read in place. Where the kernel does not trust it, the time comes from a
 * function, and a function that may call another saves registers first: the two paths are kept
 * apart so that the usual one does not pay for it.
 */
#if defined(__x86_64__)
#define NATIVE_CLOCK C4_CLOCK_TSC
#elif defined(__aarch64__)
#define NATIVE_CLOCK C4_CLOCK_CNTVCT
#else
#define NATIVE_CLOCK C4_CLOCK_MONO_NS
#endif

HOT bool have_native_clock(void)
{
	return __builtin_expect(c4_hook.clock == NATIVE_CLOCK, 1);
}

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

static struct c4_seg_comm *comm_of(uint32_t slot)
{
	return slot < C4_SEG_COMMS ? &c4_hook.seg.comms[slot] : NULL;
}

/* ---- the thread's line ---------------------------------------------------------------------- */

HOT void show(struct c4_call *call, uint8_t kind, uint8_t flags, uint64_t opno, uint64_t enter)
{
	struct c4_seg_thread *line = call->self->line;
	uint32_t slot = call->slot;

	static_assert(C4_COMM_LOST == C4_SEG_NO_COMM, "no slot reads the same inside and outside");
	line->flags = flags;
	line->comm = (uint16_t)slot;
	line->enter_ticks = enter;
	line->opno = opno;
	__atomic_store_n(&line->kind, kind, __ATOMIC_RELEASE);
}

HOT void hide(struct c4_seg_thread *line)
{
	__atomic_store_n(&line->kind, C4_OP_NONE, __ATOMIC_RELAXED);
	c4_fence_release();
	line->flags = 0;
}

/* Before peers are named: a poll may have left the line shown. */
static void clear(struct c4_call *call)
{
	hide(call->self->line);
	call->self->line->npeers = 0;
	call->opno = 0;
	call->collective = false;
}

/* Adds the time since `from` to the thread's account. */
HOT uint64_t account(struct c4_seg_thread *line, uint64_t from, uint64_t now, bool p2p)
{
	uint64_t inside = now > from ? now - from : 0;

	line->leave_ticks = now;
	line->inside_ticks += inside;
	line->calls++;
	if (p2p)
		line->p2p_ticks += inside;
	return inside;
}

HOT uint64_t leave_at(struct c4_call *call, bool p2p, uint64_t now)
{
	struct c4_self *self = call->self;
	struct c4_seg_thread *line = self->line;
	uint64_t enter = call->enter_ticks;

	self->poll_last = 0;
	self->frame = 0;
	hide(line);
	return account(line, enter, now, p2p);
}

static uint64_t leave(struct c4_call *call, bool p2p)
{
	call->leave_ticks = now_ticks();
	call->before_ticks = call->self->line->inside_ticks;
	return leave_at(call, p2p, call->leave_ticks);
}

/* ---- blocking collectives ------------------------------------------------------------------- */

/* Counts the operation that c4_op_set() described; returns its number. */
HOT uint64_t enter_op(struct c4_seg_comm *c, uint64_t now)
{
	uint64_t opno = __atomic_load_n(&c->entered, __ATOMIC_RELAXED);

	c->enter_ticks = now;
	c->recent[opno % C4_SEG_RECENT] = c4_op_brief(c->kind, c->bytes, c->root);
	__atomic_store_n(&c->entered, opno + 1, __ATOMIC_RELEASE);
	return opno;
}

HOT void check_room(const struct c4_seg_comm *c, uint32_t slot, uint64_t opno)
{
	uint64_t finished = __atomic_load_n(&c->finished, __ATOMIC_RELAXED);

	if (__builtin_expect(opno - finished >= C4_OPEN_OPS - 1, 0) && slot < C4_SEG_COMMS)
		c4_comm_make_room(slot);
}

HOT void enter_at(struct c4_call *call, uint8_t kind, uint64_t now)
{
	struct c4_seg_comm *c = call->comm;
	uint64_t opno = enter_op(c, now);

	call->enter_ticks = now;
	call->opno = opno;
	call->self->line->npeers = 0;
	show(call, kind, 0, opno, now);
	check_room(c, call->slot, opno);
}

static __attribute__((noinline)) void enter_slowly(struct c4_call *call, uint8_t kind)
{
	enter_at(call, kind, now_ticks());
}

void c4_coll_enter(struct c4_call *call, uint8_t kind)
{
	if (have_native_clock())
		enter_at(call, kind, c4_ticks(NATIVE_CLOCK));
	else
		enter_slowly(call, kind);
}

/* Appends the operation's record and counts it as finished. */
HOT void finish_op(struct c4_seg_comm *c, struct c4_event *ev, bool failed)
{
	if (__builtin_expect(failed, 0)) {
		c4_seg_add(&c->errors, 1);
		ev->flags |= C4_EV_ERROR;
	}
	ev->comm = c->id;
	c4_seg_push(&c4_hook.seg, ev);
	c->leave_ticks = ev->leave_ticks;
	c4_comm_finish_op(c, ev->slot, ev->opno);
}

HOT void coll_leave_at(struct c4_call *call, bool failed, uint64_t now)
{
	struct c4_seg_comm *c = call->comm;
	struct c4_event ev;

	ev.opno = call->opno;
	ev.enter_ticks = call->enter_ticks;
	ev.leave_ticks = now;
	ev.before_ticks = call->self->line->inside_ticks;
	ev.slot = (uint16_t)call->slot;
	leave_at(call, false, now);
	if (__builtin_expect(ev.slot == C4_COMM_LOST, 0))
		return;
	ev.bytes = c->bytes;
	ev.kind = c->kind;
	ev.flags = 0;
	ev.root = c->root;
	finish_op(c, &ev, failed);
}

static __attribute__((noinline)) void coll_leave_slowly(struct c4_call *call, bool failed)
{
	coll_leave_at(call, failed, now_ticks());
}

void c4_coll_leave(struct c4_call *call, bool failed)
{
	if (have_native_clock())
		coll_leave_at(call, failed, c4_ticks(NATIVE_CLOCK));
	else
		coll_leave_slowly(call, failed);
}

/* ---- any other call that can wait ----------------------------------------------------------- */

/* Shows the thread inside a call whose communicator and peers are set. */
static void enter_other(struct c4_call *call, uint8_t kind, uint8_t flags)
{
	call->enter_ticks = now_ticks();
	show(call, kind, flags, call->opno, call->enter_ticks);
}

void c4_p2p_enter(struct c4_call *call, uint8_t kind, int32_t to, int32_t from)
{
	bool sending = to != C4_NO_PEER && from == C4_NO_PEER;

	clear(call);
	if (from != C4_NO_PEER)
		c4_wait_peer(call, call->slot, from);
	if (to != C4_NO_PEER)
		c4_wait_peer(call, call->slot, to);
	enter_other(call, kind, sending ? C4_THREAD_SENDING : 0);
}

void c4_p2p_leave(struct c4_call *call, bool failed)
{
	c4_seg_add(&call->comm->p2p_wait_ticks, leave(call, true));
	if (failed)
		c4_seg_add(&call->comm->errors, 1);
}

void c4_p2p_sent(uint32_t slot, uint64_t bytes)
{
	struct c4_seg_comm *c = comm_of(slot);

	if (!c)
		return;
	c4_seg_add(&c->p2p_sends, 1);
	c4_seg_add(&c->p2p_send_bytes, bytes);
}

void c4_p2p_received(uint32_t slot, uint64_t bytes)
{
	struct c4_seg_comm *c = comm_of(slot);

	if (!c)
		return;
	c4_seg_add(&c->p2p_recvs, 1);
	c4_seg_add(&c->p2p_recv_bytes, bytes);
}

void c4_other_enter(struct c4_call *call, uint8_t kind)
{
	c4_wait_clear(call);
	enter_other(call, kind, 0);
}

void c4_other_leave(struct c4_call *call)
{
	leave(call, false);
}

/* ---- nonblocking ---------------------------------------------------------------------------- */

/* Its request is gone unseen, or cannot be followed: it must not look open for ever. */
static void give_up(const struct c4_request *r)
{
	struct c4_seg_comm *c = comm_of(r->slot);

	if (c && c->id == r->comm_id && (r->flags & C4_REQ_ACTIVE) && !(r->flags & C4_REQ_P2P))
		c4_comm_finish_op(c, r->slot, r->opno);
}

static void add_request(uint64_t key, const struct c4_request *r)
{
	struct c4_request stale;
	bool was_stale;

	if (!c4_request_add(key, r, &stale, &was_stale)) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_REQUESTS);
		give_up(r);
	} else if (was_stale) {
		give_up(&stale);
	}
}

void c4_post(struct c4_call *call)
{
	call->opno = enter_op(call->comm, now_ticks());
	check_room(call->comm, call->slot, call->opno);
}

void c4_posted(struct c4_call *call, uint64_t key, void *newcomm, uint8_t flags)
{
	struct c4_seg_comm *c = call->comm;
	struct c4_request r = {
		.comm_id = c->id,
		.opno = call->opno,
		.bytes = c->bytes,
		.newcomm = newcomm,
		.peer = c->root,
		.slot = (uint16_t)call->slot,
		.kind = c->kind,
		.flags = flags | C4_REQ_ACTIVE,
	};

	call->self->frame = 0;
	if (key) {
		add_request(key, &r);
	} else {
		give_up(&r);
		c4_seg_add(&c->errors, 1);
	}
}

static void count_message(const struct c4_request *r)
{
	if (r->kind == C4_OP_SEND)
		c4_p2p_sent(r->slot, r->bytes);
	else
		c4_p2p_received(r->slot, r->bytes);
}

void c4_follow(struct c4_call *call, uint64_t key, struct c4_op_args args, uint8_t flags)
{
	struct c4_request r = {
		.comm_id = call->comm->id,
		.bytes = args.bytes,
		.peer = args.root,
		.slot = (uint16_t)call->slot,
		.kind = args.kind,
		.flags = flags,
		.dtype = args.dtype,
		.redop = args.redop,
	};

	if (flags & C4_REQ_ACTIVE)
		count_message(&r);
	add_request(key, &r);
}

void c4_unfollow(uint64_t key)
{
	int32_t cell = c4_request_take(key);

	if (cell < 0)
		return;
	give_up(c4_request_at(cell));
	c4_request_drop(cell);
}

void c4_start(struct c4_call *call, uint64_t key)
{
	int32_t cell = c4_request_find(key);
	struct c4_request *r;

	if (cell < 0)
		return;
	r = c4_request_at(cell);
	r->flags |= C4_REQ_ACTIVE;
	c4_call_on(call, r->slot);
	if (r->flags & C4_REQ_P2P) {
		count_message(r);
	} else if (call->comm->id == r->comm_id) {
		c4_op_set(call,
			  (struct c4_op_args){r->bytes, r->peer, r->kind, r->dtype, r->redop});
		c4_post(call);
		r->opno = call->opno;
	}
}

/* ---- waiting for requests ------------------------------------------------------------------- */

void c4_wait_clear(struct c4_call *call)
{
	clear(call);
	c4_call_on(call, C4_COMM_LOST);
}

static bool named(const struct c4_seg_thread *line, int32_t peer)
{
	for (uint32_t i = 0; i < line->npeers && i < C4_SEG_PEERS; i++)
		if (line->peers[i] == peer)
			return true;
	return false;
}

void c4_wait_peer(struct c4_call *call, uint32_t slot, int32_t peer)
{
	struct c4_seg_thread *line = call->self->line;
	int32_t world = c4_comm_world_rank(slot, peer);

	if (named(line, world))
		return;
	if (line->npeers < C4_SEG_PEERS)
		line->peers[line->npeers] = world;
	line->npeers++;
}

void c4_wait_add(struct c4_call *call, const struct c4_request *r)
{
	bool p2p = r->flags & C4_REQ_P2P;

	if (!(r->flags & C4_REQ_ACTIVE))
		return;
	if (p2p && r->peer != C4_NO_PEER)
		c4_wait_peer(call, r->slot, r->peer);
	/* the communicator shown is that of the first collective, else of the first message */
	if (call->collective || (p2p && call->slot != C4_COMM_LOST))
		return;
	call->collective = !p2p;
	call->opno = p2p ? 0 : r->opno;
	c4_call_on(call, r->slot);
}

void c4_wait_enter(struct c4_call *call)
{
	enter_other(call, C4_OP_WAIT, 0);
}

void c4_wait_leave(struct c4_call *call, bool p2p)
{
	uint64_t inside = leave(call, p2p);

	call->waited = inside >= c4_hook.blocked_ticks;
	if (p2p)
		c4_seg_add(&call->comm->p2p_wait_ticks, inside);
}

void c4_poll_leave(struct c4_call *call, bool hit, bool p2p)
{
	struct c4_self *self = call->self;
	uint64_t last = self->poll_last, now = now_ticks();

	call->leave_ticks = now;
	call->before_ticks = self->line->inside_ticks;
	if (last && now - last < c4_hook.poll_ticks) {
		uint64_t inside = account(self->line, last, now, p2p);

		if (p2p)
			c4_seg_add(&call->comm->p2p_wait_ticks, inside);
	} else {
		self->line->leave_ticks = now;
		self->poll_start = now;
	}
	call->enter_ticks = self->poll_start;
	call->waited = now - self->poll_start >= c4_hook.blocked_ticks;
	self->poll_last = hit ? 0 : now;
	self->frame = 0;
	if (!hit && self->poll_start != now)
		show(call, C4_OP_WAIT, C4_THREAD_POLLING, call->opno, self->poll_start);
}

void c4_complete(struct c4_call *call, struct c4_request *r, bool failed)
{
	struct c4_seg_comm *c = comm_of(r->slot);
	bool active = r->flags & C4_REQ_ACTIVE;
	struct c4_event ev;

	r->flags &= (uint8_t)~C4_REQ_ACTIVE;
	if (!active || (r->flags & C4_REQ_P2P) || !c || c->id != r->comm_id)
		return;
	ev.opno = r->opno;
	ev.enter_ticks = call->enter_ticks;
	ev.leave_ticks = call->leave_ticks;
	ev.before_ticks = call->before_ticks;
	ev.bytes = r->bytes;
	ev.kind = r->kind;
	ev.flags = (uint8_t)(C4_EV_NONBLOCKING | (call->waited ? C4_EV_BLOCKED : 0));
	ev.slot = r->slot;
	ev.root = r->peer;
	finish_op(c, &ev, failed);
}
