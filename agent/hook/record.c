// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/record.h"

#include <stddef.h>

#include "common/base/clock.h"

static uint64_t now_ticks(void)
{
	return c4_ticks(c4_hook.clock);
}

static struct c4_seg_comm *comm_of(uint32_t slot)
{
	return slot < C4_SEG_COMMS ? &c4_hook.seg.comms[slot] : NULL;
}

/* ---- the thread's line ---------------------------------------------------------------------- */

static void show(struct c4_call *call, uint8_t kind, uint8_t flags)
{
	struct c4_seg_thread *line = call->self->line;

	line->flags = flags;
	line->comm = (uint16_t)(call->slot < C4_SEG_COMMS ? call->slot : C4_SEG_NO_COMM);
	line->enter_ticks = call->enter_ticks;
	line->opno = call->opno;
	__atomic_store_n(&line->kind, kind, __ATOMIC_RELEASE);
	if (__builtin_expect(call->self->index == C4_SEG_THREADS, 0))
		c4_seg_lose(&c4_hook.seg, C4_LOST_THREADS);
}

static void hide(struct c4_seg_thread *line)
{
	__atomic_store_n(&line->kind, C4_OP_NONE, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	line->flags = 0;
}

/* Adds the time since `from` to the thread's account. */
static uint64_t account(struct c4_call *call, uint64_t from, bool p2p)
{
	struct c4_seg_thread *line = call->self->line;
	uint64_t inside = call->leave_ticks > from ? call->leave_ticks - from : 0;

	line->leave_ticks = call->leave_ticks;
	line->inside_ticks += inside;
	line->calls++;
	if (p2p)
		line->p2p_ticks += inside;
	return inside;
}

static uint64_t leave(struct c4_call *call, bool p2p)
{
	call->leave_ticks = now_ticks();
	call->before_ticks = call->self->line->inside_ticks;
	hide(call->self->line);
	call->self->poll_last = 0;
	call->self->frame = 0;
	return account(call, call->enter_ticks, p2p);
}

/* ---- blocking collectives ------------------------------------------------------------------- */

/* Writes what the operation is, its number last. */
static void enter_op(struct c4_call *call, struct c4_seg_comm *c, const struct c4_op_args *args)
{
	call->opno = c4_comm_next_op(call->slot);
	c->bytes = args->bytes;
	c->root = args->root;
	c->kind = args->kind;
	c->dtype = args->dtype;
	c->redop = args->redop;
	call->enter_ticks = now_ticks();
	c->enter_ticks = call->enter_ticks;
	__atomic_store_n(&c->entered, call->opno + 1, __ATOMIC_RELEASE);
}

void c4_coll_enter(struct c4_call *call, uint32_t slot, const struct c4_op_args *args)
{
	struct c4_seg_comm *c = comm_of(slot);

	call->slot = slot;
	call->opno = 0;
	if (c)
		enter_op(call, c, args);
	else
		call->enter_ticks = now_ticks();
	call->self->line->npeers = 0;
	show(call, args->kind, 0);
}

/* Counts the operation as finished and appends its record. */
static void finish_op(const struct c4_call *call, struct c4_seg_comm *c, struct c4_event *ev,
		      bool failed)
{
	c->leave_ticks = call->leave_ticks;
	c4_comm_finish_op(ev->slot, ev->opno);
	if (failed) {
		c4_seg_add(&c->errors, 1);
		ev->flags |= C4_EV_ERROR;
	}
	if (ev->opno == 0)
		ev->flags |= C4_EV_FIRST;
	ev->comm = c->id;
	ev->enter_ticks = call->enter_ticks;
	ev->leave_ticks = call->leave_ticks;
	ev->before_ticks = call->before_ticks;
	c4_seg_push(&c4_hook.seg, ev);
}

void c4_coll_leave(struct c4_call *call, bool failed)
{
	struct c4_seg_comm *c = comm_of(call->slot);
	struct c4_event ev;

	leave(call, false);
	if (!c)
		return;
	ev.opno = call->opno;
	ev.bytes = c->bytes;
	ev.kind = c->kind;
	ev.flags = 0;
	ev.slot = (uint16_t)call->slot;
	ev.root = c->root;
	finish_op(call, c, &ev, failed);
}

/* ---- any other call that can wait ----------------------------------------------------------- */

void c4_p2p_enter(struct c4_call *call, uint32_t slot, uint8_t kind, int32_t to, int32_t from)
{
	bool sending = to != C4_NO_PEER && from == C4_NO_PEER;

	c4_wait_clear(call);
	call->slot = slot;
	if (from != C4_NO_PEER)
		c4_wait_peer(call, slot, from);
	if (to != C4_NO_PEER)
		c4_wait_peer(call, slot, to);
	call->enter_ticks = now_ticks();
	show(call, kind, sending ? C4_THREAD_SENDING : 0);
}

void c4_p2p_leave(struct c4_call *call, bool failed)
{
	struct c4_seg_comm *c = comm_of(call->slot);
	uint64_t inside = leave(call, true);

	if (!c)
		return;
	c4_seg_add(&c->p2p_wait_ticks, inside);
	if (failed)
		c4_seg_add(&c->errors, 1);
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
	call->enter_ticks = now_ticks();
	show(call, kind, 0);
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
		c4_comm_finish_op(r->slot, r->opno);
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

static struct c4_request describe(uint32_t slot, const struct c4_op_args *args, uint8_t flags)
{
	struct c4_seg_comm *c = comm_of(slot);

	return (struct c4_request){
		.comm_id = c ? c->id : 0,
		.bytes = args->bytes,
		.peer = args->root,
		.slot = (uint16_t)(c ? slot : C4_SEG_NO_COMM),
		.kind = args->kind,
		.flags = flags,
		.dtype = args->dtype,
		.redop = args->redop,
	};
}

void c4_post(struct c4_call *call, uint32_t slot, const struct c4_op_args *args)
{
	struct c4_seg_comm *c = comm_of(slot);

	call->slot = slot;
	call->opno = 0;
	if (c)
		enter_op(call, c, args);
}

void c4_posted(struct c4_call *call, uint64_t key, const struct c4_op_args *args, void *newcomm,
	       uint8_t flags)
{
	struct c4_seg_comm *c = comm_of(call->slot);
	struct c4_request r = describe(call->slot, args, flags | C4_REQ_ACTIVE);

	call->self->frame = 0;
	r.opno = call->opno;
	r.newcomm = newcomm;
	if (key)
		add_request(key, &r);
	else
		give_up(&r);
	if (!key && c)
		c4_seg_add(&c->errors, 1);
}

static void count_message(const struct c4_request *r)
{
	if (r->kind == C4_OP_SEND)
		c4_p2p_sent(r->slot, r->bytes);
	else
		c4_p2p_received(r->slot, r->bytes);
}

void c4_follow(uint64_t key, uint32_t slot, const struct c4_op_args *args, uint8_t flags)
{
	struct c4_request r = describe(slot, args, flags);

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

void c4_start(uint64_t key)
{
	int32_t cell = c4_request_find(key);
	struct c4_request *r;
	struct c4_seg_comm *c;

	if (cell < 0)
		return;
	r = c4_request_at(cell);
	r->flags |= C4_REQ_ACTIVE;
	c = comm_of(r->slot);
	if (r->flags & C4_REQ_P2P) {
		count_message(r);
	} else if (c && c->id == r->comm_id) {
		struct c4_call call = {.slot = r->slot};
		struct c4_op_args args = {r->bytes, r->peer, r->kind, r->dtype, r->redop};

		enter_op(&call, c, &args);
		r->opno = call.opno;
	}
}

/* ---- waiting for requests ------------------------------------------------------------------- */

void c4_wait_clear(struct c4_call *call)
{
	/* a poll before may have left it shown */
	hide(call->self->line);
	call->self->line->npeers = 0;
	call->slot = C4_COMM_LOST;
	call->opno = 0;
	call->collective = false;
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
	call->slot = r->slot;
	call->opno = p2p ? 0 : r->opno;
}

void c4_wait_enter(struct c4_call *call)
{
	call->enter_ticks = now_ticks();
	show(call, C4_OP_WAIT, 0);
}

void c4_wait_leave(struct c4_call *call, bool p2p)
{
	struct c4_seg_comm *c = comm_of(call->slot);
	uint64_t inside = leave(call, p2p);

	call->waited = inside >= c4_hook.blocked_ticks;
	if (p2p && c)
		c4_seg_add(&c->p2p_wait_ticks, inside);
}

void c4_poll_leave(struct c4_call *call, bool hit, bool p2p)
{
	struct c4_seg_comm *c = comm_of(call->slot);
	struct c4_self *self = call->self;
	uint64_t last = self->poll_last;

	call->leave_ticks = now_ticks();
	call->before_ticks = self->line->inside_ticks;
	if (last && call->leave_ticks - last < c4_hook.poll_ticks) {
		uint64_t inside = account(call, last, p2p);

		if (p2p && c)
			c4_seg_add(&c->p2p_wait_ticks, inside);
	} else {
		self->line->leave_ticks = call->leave_ticks;
		self->poll_start = call->leave_ticks;
	}
	call->enter_ticks = self->poll_start;
	call->waited = call->leave_ticks - self->poll_start >= c4_hook.blocked_ticks;
	self->poll_last = hit ? 0 : call->leave_ticks;
	self->frame = 0;
	if (!hit && call->enter_ticks != call->leave_ticks)
		show(call, C4_OP_WAIT, C4_THREAD_POLLING);
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
	ev.bytes = r->bytes;
	ev.kind = r->kind;
	ev.flags = (uint8_t)(C4_EV_NONBLOCKING | (call->waited ? C4_EV_BLOCKED : 0));
	ev.slot = r->slot;
	ev.root = r->peer;
	finish_op(call, c, &ev, failed);
}
