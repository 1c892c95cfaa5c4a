// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/create.h"

#include <errno.h>

#include "agent/nccl/api/group.h"
#include "agent/nccl/api/life.h"
#include "agent/nccl/api/real.h"
#include "agent/nccl/api/timing.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define SALT_SPLIT  0x73706c6974ULL
#define SALT_SHRINK 0x736872696e6bULL

/* Of a communicator, beside agent/hook's. */
static struct {
	uint32_t opening; /* atomic: its creation is not over yet, the program was told */
	uint32_t splits;  /* children so far, by kind: all members count alike */
	uint32_t shrinks;
} more[C4_SEG_COMMS];

static struct c4_seg_comm *comm_of(uint32_t slot)
{
	return slot < C4_SEG_COMMS ? &c4_hook.seg.comms[slot] : NULL;
}

static uint32_t slot_of(const struct c4_nccl_comm *comm)
{
	return comm ? c4_comm_find((uintptr_t)comm) : C4_COMM_UNKNOWN;
}

/* ---- registering ---------------------------------------------------------------------------- */

static uint32_t add(uint64_t id, int size, int rank)
{
	struct c4_comm_given g = {
		.id = id ? id : 1,
		.size = (uint32_t)size,
		.my_rank = rank,
		.flags = C4_COMM_GPU,
	};
	uint32_t slot = C4_COMM_LOST;

	if (size < 1 || rank < 0 || rank >= size)
		return C4_COMM_LOST; /* NCCL will refuse */
	if (size == 1)
		return C4_COMM_ALONE;
	if (!c4_comm_lock()) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
		return C4_COMM_LOST;
	}
	slot = c4_comm_add_given(&g);
	if (slot < C4_SEG_COMMS)
		more[slot] = (__typeof__(more[0])){0};
	c4_comm_unlock();
	c4_api_learn_world((uint32_t)rank, (uint32_t)size);
	return slot;
}

static void bind(const struct c4_nccl_comm *comm, uint32_t slot)
{
	if (!comm || !c4_comm_lock())
		return;
	c4_comm_bind((uintptr_t)comm, slot);
	c4_comm_unlock();
}

static void retire(uint32_t slot)
{
	if (slot >= C4_SEG_COMMS)
		return;
	c4_timing_close(slot);
	if (!c4_comm_lock())
		return;
	c4_comm_retire(slot);
	c4_comm_unlock();
}

/* -1: unknown. */
static int device_of(struct c4_nccl_comm *comm)
{
	int saved = errno, device = -1;

	if (c4_nccl_table.real.CommCuDevice(comm, &device) != C4_NCCL_SUCCESS)
		device = -1;
	errno = saved;
	return device;
}

/* It exists now. */
static void settle(struct c4_nccl_comm *comm, uint32_t slot)
{
	int device;

	c4_api_look_for_plugin();
	if (slot >= C4_SEG_COMMS || !comm)
		return;
	device = device_of(comm);
	c4_timing_open(slot, device);
	if (device >= 0)
		__atomic_store_n(&c4_hook.seg.hdr->gpu, device, __ATOMIC_RELAXED);
}

/* ---- the operation that a creation is ------------------------------------------------------- */

static const struct c4_op_args creation = {.kind = C4_OP_COMM_CREATE, .root = -1};

/* Enters the creation as the communicator's next operation and shows the thread inside it. */
static void enter(struct c4_call *call, uint32_t slot)
{
	c4_call_on(call, slot);
	c4_op_set(call, creation);
	c4_post(call);
	c4_api_show(call, C4_OP_COMM_CREATE, call->opno);
}

static void finish(uint32_t slot, uint64_t opno, int rc)
{
	struct c4_seg_comm *c = comm_of(slot);
	struct c4_event ev = {
		.opno = opno,
		.leave_ticks = c4_ticks(c4_hook.clock),
		.kind = C4_OP_COMM_CREATE,
		.flags = C4_EV_HOST | (rc ? C4_EV_ERROR : 0),
		.slot = (uint16_t)slot,
		.root = -1,
	};

	if (!c)
		return;
	if (rc)
		c4_seg_add(&c->errors, 1);
	ev.enter_ticks = c->enter_ticks;
	c4_timing_record(&ev);
}

/* Creation number 0 came back: done, failed, or going on by itself. */
static void conclude(struct c4_nccl_comm *comm, uint32_t slot, int rc)
{
	if (c4_nccl_failed(rc)) {
		finish(slot, 0, rc);
		retire(slot);
		return;
	}
	bind(comm, slot);
	if (rc == C4_NCCL_IN_PROGRESS && slot < C4_SEG_COMMS) {
		__atomic_store_n(&more[slot].opening, 1, __ATOMIC_RELEASE);
		return;
	}
	finish(slot, 0, 0);
	settle(comm, slot);
}

/* ---- creation from ids, from a parent ------------------------------------------------------- */

static void begin(struct c4_creation *c, uint64_t id, int size, int rank)
{
	c->slot = add(id, size, rank);
	c->grouped = c4_group_is_open();
	if (c->grouped)
		return;
	if (c->slot < C4_SEG_COMMS)
		enter(&c->call, c->slot);
	else
		c4_other_enter(&c->call, C4_OP_COMM_CREATE);
}

void c4_create_begin(struct c4_creation *c, const struct c4_nccl_id *ids, int nids, int size,
		     int rank)
{
	uint64_t id = 0;

	for (int i = 0; ids && i < nids; i++)
		id = c4_hash_bytes(id, ids[i].bytes, sizeof ids[i].bytes);
	begin(c, id, size, rank);
}

/* Our rank among those who stay, or -1. */
static int rank_among(const struct c4_seg_comm *c, const int *gone, int ngone)
{
	int rank = c->my_rank;

	for (int i = 0; i < ngone; i++) {
		if (gone[i] == c->my_rank)
			return -1;
		rank -= gone[i] < c->my_rank;
	}
	return rank;
}

void c4_create_shrunk(struct c4_creation *c, struct c4_nccl_comm *parent, const int *gone,
		      int ngone)
{
	uint32_t slot = slot_of(parent);
	const struct c4_seg_comm *p = comm_of(slot);
	uint64_t id;

	if (!p || !gone || ngone < 0) {
		begin(c, 0, 0, 0);
		return;
	}
	id = c4_hash_u64(p->id, SALT_SHRINK + more[slot].shrinks++);
	for (int i = 0; i < ngone; i++)
		id = c4_hash_u64(id, (uint64_t)(int64_t)gone[i]);
	begin(c, id, (int)p->size - ngone, rank_among(p, gone, ngone));
}

/* A creation in a group has only been asked for. */
static void wait_for_group(struct c4_creation *c, struct c4_nccl_comm **made, int rc)
{
	c4_call_close(&c->call);
	if (c4_nccl_failed(rc) || !c4_group_add_creation(c->slot, made))
		retire(c->slot);
}

void c4_create_end(struct c4_creation *c, struct c4_nccl_comm **made, int rc)
{
	if (!c->call.self)
		return;
	if (c->grouped) {
		wait_for_group(c, made, rc);
		return;
	}
	c4_other_leave(&c->call);
	c->call.self = NULL;
	conclude(made ? *made : NULL, c->slot, rc);
}

/* ---- splitting ------------------------------------------------------------------------------ */

void c4_split_begin(struct c4_creation *c, struct c4_nccl_comm *parent)
{
	c->slot = slot_of(parent);
	c->grouped = c4_group_is_open();
	if (c->slot < C4_SEG_COMMS)
		enter(&c->call, c->slot);
	else
		c4_other_enter(&c->call, C4_OP_COMM_CREATE);
}

/* The child exists, or will once the group ends: its size and our rank are NCCL's to tell. */
static void adopt(struct c4_nccl_comm *child, uint32_t parent, int color)
{
	const struct c4_nccl_real *real = &c4_nccl_table.real;
	struct c4_seg_comm *p = comm_of(parent);
	uint32_t slot = C4_COMM_ALONE;
	int size = 0, rank = -1;
	uint64_t id;

	if (!p || !child)
		return;
	id = c4_hash_u64(p->id, SALT_SPLIT + more[parent].splits);
	id = c4_hash_u64(id, (uint64_t)(int64_t)color);
	if (!real->CommCount(child, &size) && !real->CommUserRank(child, &rank))
		slot = add(id, size, rank);
	bind(child, slot);
	settle(child, slot);
}

void c4_split_end(struct c4_creation *c, int color, struct c4_nccl_comm **made, int rc)
{
	if (!c->call.self)
		return;
	c4_other_leave(&c->call);
	finish(c->slot, c->call.opno, c4_nccl_failed(rc) ? rc : 0);
	if (rc == C4_NCCL_SUCCESS && color != C4_NCCL_NOCOLOR && made && !c->grouped)
		adopt(*made, c->slot, color);
	if (c->slot < C4_SEG_COMMS)
		more[c->slot].splits++;
}

/* ---- all GPUs of the process ---------------------------------------------------------------- */

void c4_create_all_begin(struct c4_creation *c)
{
	c4_other_enter(&c->call, C4_OP_COMM_CREATE);
}

void c4_create_all_end(struct c4_creation *c, struct c4_nccl_comm **made, int n, int rc)
{
	if (!c->call.self)
		return;
	c4_other_leave(&c->call);
	for (int i = 0; rc == C4_NCCL_SUCCESS && made && i < n; i++)
		bind(made[i], C4_COMM_ALONE);
}

/* ---- the end of a group --------------------------------------------------------------------- */

void c4_created_group_begin(struct c4_call *call, const struct c4_group *g)
{
	for (uint32_t i = g->ncreations; i-- > 0;)
		if (g->creations[i].slot < C4_SEG_COMMS)
			enter(call, g->creations[i].slot);
}

void c4_created_group_end(const struct c4_group *g, int rc)
{
	for (uint32_t i = 0; i < g->ncreations; i++)
		conclude(*g->creations[i].made, g->creations[i].slot, rc);
}

/* ---- what becomes of it --------------------------------------------------------------------- */

void c4_comm_state(struct c4_nccl_comm *comm, int error)
{
	uint32_t slot = c4_hook_live() ? slot_of(comm) : C4_COMM_UNKNOWN;
	struct c4_seg_comm *c = comm_of(slot);

	if (!c || error == C4_NCCL_IN_PROGRESS)
		return;
	if (c4_nccl_failed(error))
		__atomic_store_n(&c->async_error, (uint64_t)(unsigned int)error, __ATOMIC_RELAXED);
	if (__atomic_load_n(&more[slot].opening, __ATOMIC_ACQUIRE) &&
	    __atomic_exchange_n(&more[slot].opening, 0, __ATOMIC_ACQ_REL)) {
		finish(slot, 0, error);
		settle(comm, slot);
	} else if (c4_api_watching()) {
		c4_timing_poll(slot);
	}
}

void c4_comm_failed(struct c4_nccl_comm *comm, int rc)
{
	struct c4_seg_comm *c = c4_hook_live() ? comm_of(slot_of(comm)) : NULL;

	if (c && c4_nccl_failed(rc))
		c4_seg_add(&c->errors, 1);
}

void c4_comm_revoked(struct c4_nccl_comm *comm)
{
	struct c4_seg_comm *c = c4_hook_live() ? comm_of(slot_of(comm)) : NULL;

	if (c)
		__atomic_fetch_or(&c->flags, C4_COMM_ABORTED, __ATOMIC_RELAXED);
}

void c4_comm_ending(struct c4_nccl_comm *comm, bool aborted)
{
	uint32_t slot = c4_hook_live() ? slot_of(comm) : C4_COMM_UNKNOWN;

	if (slot == C4_COMM_UNKNOWN)
		return;
	if (aborted)
		c4_comm_revoked(comm);
	c4_comm_unbind((uintptr_t)comm);
	retire(slot);
}
