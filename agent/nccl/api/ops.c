// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/ops.h"

#include "agent/nccl/api/create.h"
#include "agent/nccl/api/group.h"
#include "agent/nccl/api/timing.h"

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

void c4_coll_end(struct c4_coll *o, int rc)
{
	bool grouped = c4_group_is_open();

	if (!o->call.self)
		return;
	c4_other_leave(&o->call);
	if (c4_nccl_failed(rc)) {
		c4_seg_add(&o->call.comm->errors, 1);
		c4_timing_fail(o->call.slot, o->ticket);
	} else if (!grouped || !c4_group_add_op(o->call.slot, o->ticket, o->stream)) {
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
	if (!rc)
		c4_group_open();
}

/* What the thread waits for in there: the newest operation. */
static void show_newest(struct c4_call *call, const struct c4_group *g)
{
	c4_call_on(call, g->ops[g->nops - 1].slot);
	c4_api_show(call, call->comm->kind, call->comm->entered - 1);
}

void c4_group_end_begin(struct c4_call *call)
{
	const struct c4_group *g = c4_my_group.list;

	c4_other_enter(call, C4_OP_NONE);
	if (g->nops)
		show_newest(call, g);
	c4_created_group_begin(call, g);
}

static void finish_ops(const struct c4_group *g, int rc)
{
	for (uint32_t i = 0; i < g->nops; i++)
		if (c4_nccl_failed(rc))
			c4_timing_fail(g->ops[i].slot, g->ops[i].ticket);
		else
			c4_timing_end(g->ops[i].slot, g->ops[i].ticket, g->ops[i].stream, !rc);
}

void c4_group_end_end(struct c4_call *call, int rc)
{
	if (call->self)
		c4_other_leave(call);
	if (!c4_group_end())
		return;
	finish_ops(c4_my_group.list, rc);
	c4_created_group_end(c4_my_group.list, rc);
	c4_group_close();
}
