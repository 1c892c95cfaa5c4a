// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/ops.h"

#include "agent/nccl/api/create.h"
#include "agent/nccl/api/group.h"
#include "agent/nccl/api/timing.h"
#include "common/base/clock.h"

_Thread_local struct c4_group c4_group;

void c4_api_show(struct c4_call *call, uint8_t kind, uint64_t opno)
{
	struct c4_seg_thread *line = call->self->line;

	call->enter_ticks = c4_ticks(c4_hook.clock);
	line->npeers = 0;
	line->flags = 0;
	line->comm = (uint16_t)call->slot;
	line->enter_ticks = call->enter_ticks;
	line->opno = opno;
	__atomic_store_n(&line->kind, kind, __ATOMIC_RELEASE);
}

/* Puts an open call on a communicator that has a slot; nothing is recorded on others. */
static bool put_on(struct c4_call *call, const struct c4_nccl_comm *comm)
{
	uint32_t slot = comm ? c4_comm_find((uintptr_t)comm) : C4_COMM_UNKNOWN;

	if (slot < C4_SEG_COMMS) {
		c4_call_on(call, slot);
		return true;
	}
	c4_call_close(call);
	return false;
}

/* ---- collectives ---------------------------------------------------------------------------- */

void c4_coll_begin(struct c4_coll *o, struct c4_nccl_comm *comm, void *stream,
		   struct c4_op_args args, enum c4_parts parts)
{
	if (!put_on(&o->call, comm))
		return;
	c4_seg_add(&o->call.comm->api_calls, 1);
	if (c4_timing_captured(stream)) {
		c4_call_close(&o->call);
		return;
	}
	if (parts == C4_PART_ALL)
		args.bytes *= o->call.comm->size;
	o->stream = stream;
	c4_op_set(&o->call, args);
	c4_post(&o->call);
	c4_api_show(&o->call, args.kind, o->call.opno);
	o->ticket = c4_timing_begin(&o->call, stream);
}

/* False: no room, it cannot be timed on the GPU. */
static bool wait_for_group(const struct c4_coll *o)
{
	if (c4_group.nops == C4_GROUP_OPS)
		return false;
	c4_group.ops[c4_group.nops].slot = o->call.slot;
	c4_group.ops[c4_group.nops].ticket = o->ticket;
	c4_group.ops[c4_group.nops++].stream = o->stream;
	return true;
}

void c4_coll_end(struct c4_coll *o, int rc)
{
	bool grouped = c4_group.depth > 0;

	if (!o->call.self)
		return;
	c4_other_leave(&o->call);
	if (c4_nccl_failed(rc)) {
		c4_seg_add(&o->call.comm->errors, 1);
		c4_timing_fail(o->call.slot, o->ticket);
	} else if (!grouped || !wait_for_group(o)) {
		/* in progress: it has not been launched, so an event now would come before it */
		c4_timing_end(o->call.slot, o->ticket, o->stream, !grouped && !rc);
	}
}

/* ---- messages ------------------------------------------------------------------------------- */

void c4_message_begin(struct c4_call *call, struct c4_nccl_comm *comm, uint8_t kind, uint64_t bytes)
{
	if (!put_on(call, comm))
		return;
	if (kind == C4_OP_SEND)
		c4_p2p_sent(call->slot, bytes);
	else
		c4_p2p_received(call->slot, bytes);
	c4_api_show(call, kind, 0);
}

void c4_message_end(struct c4_call *call, int rc)
{
	if (!call->self)
		return;
	c4_other_leave(call);
	if (c4_nccl_failed(rc))
		c4_seg_add(&call->comm->errors, 1);
}

/* ---- groups --------------------------------------------------------------------------------- */

void c4_group_started(int rc)
{
	c4_group.depth += !rc;
}

/* What the thread waits for in there: the newest operation. */
static void show_newest(struct c4_call *call)
{
	uint32_t slot = c4_group.ops[c4_group.nops - 1].slot;

	c4_call_on(call, slot);
	c4_api_show(call, call->comm->kind, call->comm->entered - 1);
}

void c4_group_end_begin(struct c4_call *call)
{
	c4_other_enter(call, C4_OP_NONE);
	if (c4_group.nops)
		show_newest(call);
	c4_created_group_begin(call);
}

static void finish_ops(int rc)
{
	for (uint32_t i = 0; i < c4_group.nops; i++) {
		uint32_t slot = c4_group.ops[i].slot, ticket = c4_group.ops[i].ticket;

		if (c4_nccl_failed(rc))
			c4_timing_fail(slot, ticket);
		else
			c4_timing_end(slot, ticket, c4_group.ops[i].stream, !rc);
	}
	c4_group.nops = 0;
}

void c4_group_end_end(struct c4_call *call, int rc)
{
	c4_group.depth -= c4_group.depth > 0;
	if (call->self)
		c4_other_leave(call);
	if (c4_group.depth)
		return;
	finish_ops(rc);
	c4_created_group_end(rc);
}
