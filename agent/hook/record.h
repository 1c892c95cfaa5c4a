/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - what a wrapper does before and after the real call.
 *
 *   struct c4_call call;
 *   if (c4_call_open(&call)) {                   outermost call of a recording process
 *           c4_call_on(&call, slot);
 *           c4_op_set(&call, args);
 *           c4_coll_enter(&call, kind);
 *   }
 *   rc = real(…);
 *   if (call.self)
 *           c4_coll_leave(&call, rc != 0);
 *
 * Every open call is closed by exactly one of the _leave functions, c4_posted() or
 * c4_call_close(). No syscall, no lock, no allocation; errno is not touched. Two clock reads for a
 * call that can wait, none for one that cannot.
 *
 * Nonblocking collectives take their number when they are posted and finish in the wait or test
 * that completes them; `kind`, `bytes`, `root` and `enter_ticks` of a communicator describe the
 * operation entered last (number entered - 1).
 */
#ifndef C4_HOOK_RECORD_H
#define C4_HOOK_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/comm.h"
#include "agent/hook/request.h"
#include "agent/hook/thread.h"
#include "c4/op.h"

struct c4_call {
	struct c4_self *self; /* NULL: not recorded */
	uint64_t enter_ticks;
	uint64_t leave_ticks;
	uint64_t before_ticks; /* the thread's inside_ticks when it began */
	uint64_t opno;
	struct c4_seg_comm *comm; /* never NULL; with slot C4_COMM_LOST, one nobody sees */
	uint32_t slot;
	bool collective; /* a wait: slot and opno are a collective's */
	bool waited;	 /* a wait: it lasted, for the operations it completed */
};

/* What a collective is about, or (root: the peer) a message. */
struct c4_op_args {
	uint64_t bytes;
	int32_t root; /* -1: none */
	uint8_t kind; /* enum c4_op */
	uint8_t dtype;
	uint8_t redop;
};

#define C4_NO_PEER INT32_MIN

static inline __attribute__((always_inline)) bool c4_call_open(struct c4_call *call)
{
	struct c4_self *self = &c4_self;

	call->self = NULL;
	if (!c4_hook_live() || !c4_thread_outermost(self, __builtin_frame_address(0)))
		return false;
	if (__builtin_expect(!self->line, 0))
		c4_thread_claim(self);
	self->frame = (uintptr_t)__builtin_frame_address(0);
	call->self = self;
	return true;
}

/* Ends an open call without a trace; also one that turned out not to be worth recording. */
static inline void c4_call_close(struct c4_call *call)
{
	call->self->frame = 0;
	call->self = NULL;
}

/* Says which communicator the call is about: a slot, or what a look-up said instead. */
static inline void c4_call_on(struct c4_call *call, uint32_t slot)
{
	bool known = slot < C4_SEG_COMMS;

	call->slot = known ? slot : C4_COMM_LOST;
	call->comm = known ? &c4_hook.seg.comms[slot] : &call->self->nowhere;
}

/* Writes what the next operation of the communicator is; it counts from c4_coll_enter() on. */
static inline __attribute__((always_inline)) void c4_op_set(struct c4_call *call,
							    struct c4_op_args args)
{
	call->comm->bytes = args.bytes;
	call->comm->root = args.root;
	call->comm->kind = args.kind;
	call->comm->dtype = args.dtype;
	call->comm->redop = args.redop;
}

/* ---- blocking collectives ------------------------------------------------------------------- */

void c4_coll_enter(struct c4_call *call, uint8_t kind);
void c4_coll_leave(struct c4_call *call, bool failed);

/* ---- any other call that can wait ----------------------------------------------------------- */

/* Peers are ranks as the call names them, C4_NO_PEER for none; any negative other one: anybody. */
void c4_p2p_enter(struct c4_call *call, uint8_t kind, int32_t to, int32_t from);
void c4_p2p_leave(struct c4_call *call, bool failed);
void c4_p2p_sent(uint32_t slot, uint64_t bytes);
void c4_p2p_received(uint32_t slot, uint64_t bytes);

/* Shows the thread inside an operation that has no number (start, end, creation by a group). */
void c4_other_enter(struct c4_call *call, uint8_t kind);
void c4_other_leave(struct c4_call *call);

/* ---- nonblocking ---------------------------------------------------------------------------- */

/* A collective is being posted, instead of entered; then what became of it. key: its request, 0 if
 * it failed. */
void c4_post(struct c4_call *call);
void c4_posted(struct c4_call *call, uint64_t key, void *newcomm, uint8_t flags);

/* Follows a request that is not a posted collective: a message (counted if it is active), or a
 * persistent operation. args->root is the peer of a message. */
void c4_follow(struct c4_call *call, uint64_t key, struct c4_op_args args, uint8_t flags);

/* The program frees a request without completing it. */
void c4_unfollow(uint64_t key);

/* A persistent request starts; several may in one call. */
void c4_start(struct c4_call *call, uint64_t key);

/* ---- waiting for requests ------------------------------------------------------------------- */

/* Names what the thread is about to wait for (or polls): the first collective, and peers. */
void c4_wait_clear(struct c4_call *call);
void c4_wait_add(struct c4_call *call, const struct c4_request *r);
void c4_wait_peer(struct c4_call *call, uint32_t slot, int32_t peer);

void c4_wait_enter(struct c4_call *call);
void c4_wait_leave(struct c4_call *call, bool p2p);

/*
 * A poll returned. Consecutive fruitless ones close together are one wait, and shown as such; the
 * one that succeeds ends it.
 */
void c4_poll_leave(struct c4_call *call, bool hit, bool p2p);

/* The request's operation is complete: call tells when and how long it was waited for. */
void c4_complete(struct c4_call *call, struct c4_request *r, bool failed);

#endif
