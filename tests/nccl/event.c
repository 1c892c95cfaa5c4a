// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/event.h"

#include <stdlib.h>
#include <string.h>

#define GARBAGE 0xa5

/* Asking for a level delivers its ancestors, too. */
#define UNDER_STEP  (ABI_PROXY_STEP | ABI_NET_PLUGIN)
#define UNDER_OP    (ABI_PROXY_OP | UNDER_STEP)
#define UNDER_COLL  (ABI_COLL | UNDER_OP | ABI_KERNEL_CH | ABI_KERNEL_PHASE)
#define UNDER_P2P   (ABI_P2P | UNDER_OP | ABI_KERNEL_CH | ABI_KERNEL_PHASE)
#define UNDER_CE    (ABI_CE_COLL | ABI_CE_SYNC | ABI_CE_BATCH)
#define UNDER_CAPI  (ABI_COLL_API | UNDER_COLL | UNDER_CE)
#define UNDER_PAPI  (ABI_P2P_API | UNDER_P2P)
#define UNDER_GROUP (ABI_GROUP | UNDER_COLL | UNDER_P2P)
#define UNDER_GAPI  (ABI_GROUP_API | ABI_KERNEL_LAUNCH | UNDER_CAPI | UNDER_PAPI | ABI_GROUP)

static const struct event_type types[] = {
	{"group", ABI_GROUP, 1, UNDER_GROUP},
	{"coll", ABI_COLL, 1, UNDER_COLL},
	{"p2p", ABI_P2P, 1, UNDER_P2P},
	{"op", ABI_PROXY_OP, 1, UNDER_OP},
	{"step", ABI_PROXY_STEP, 1, UNDER_STEP},
	{"ctrl", ABI_PROXY_CTRL, 1, ABI_PROXY_CTRL},
	{"kernel", ABI_KERNEL_CH, 3, ABI_KERNEL_CH | ABI_KERNEL_PHASE},
	{"net", ABI_NET_PLUGIN, 3, ABI_NET_PLUGIN},
	{"groupapi", ABI_GROUP_API, 5, UNDER_GAPI},
	{"collapi", ABI_COLL_API, 5, UNDER_CAPI},
	{"p2papi", ABI_P2P_API, 5, UNDER_PAPI},
	{"launch", ABI_KERNEL_LAUNCH, 5, ABI_KERNEL_LAUNCH},
	{"cecoll", ABI_CE_COLL, 6, UNDER_CE},
	{"cesync", ABI_CE_SYNC, 6, ABI_CE_SYNC},
	{"cebatch", ABI_CE_BATCH, 6, ABI_CE_BATCH},
	{"phase", ABI_KERNEL_PHASE, 7, ABI_KERNEL_PHASE},
};

static const struct {
	const char *name;
	int state;
} states[] = {
	{"gpuwait", ABI_SEND_GPU_WAIT},
	{"peerwait", ABI_SEND_PEER_WAIT},
	{"sendwait", ABI_SEND_WAIT},
	{"recvwait", ABI_RECV_WAIT},
	{"flushwait", ABI_RECV_FLUSH_WAIT},
	{"recvgpuwait", ABI_RECV_GPU_WAIT},
	{"idle", ABI_CTRL_IDLE},
	{"active", ABI_CTRL_ACTIVE},
	{"sleep", ABI_CTRL_SLEEP},
	{"wakeup", ABI_CTRL_WAKEUP},
	{"append", ABI_CTRL_APPEND},
	{"appendend", ABI_CTRL_APPEND_END},
	{"inprogress", ABI_OP_IN_PROGRESS},
	{"netupdate", ABI_NET_UPDATE},
	{"kernelstop", ABI_KERNEL_STOP},
	{"groupstartstop", ABI_GROUP_START_STOP},
	{"groupendstart", ABI_GROUP_END_START},
	{"phasestop", ABI_PHASE_STOP},
};

const struct event_type *event_type_find(const char *name)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

const struct event_type *event_type_of(uint64_t type)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

int event_state_find(const char *name)
{
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		if (!strcmp(states[i].name, name))
			return states[i].state;
	return -1;
}

/* ---- v1: functions and types are numbers -------------------------------------------------------
 */

static uint8_t index_of(const char *name, const char *const *names, uint8_t unknown)
{
	for (uint8_t i = 0; name && names[i]; i++)
		if (!strcmp(name, names[i]))
			return i;
	return unknown;
}

static uint8_t func_number(const char *name)
{
	static const char *const names[] = {"Broadcast",     "Reduce",	  "AllGather",
					    "ReduceScatter", "AllReduce", "SendRecv",
					    "Send",	     "Recv",	  NULL};

	return index_of(name, names, 8);
}

static uint8_t datatype_number(const char *name)
{
	static const char *const names[] = {"ncclInt8",	    "ncclUint8",   "ncclInt32",
					    "ncclUint32",   "ncclInt64",   "ncclUint64",
					    "ncclFloat16",  "ncclFloat32", "ncclFloat64",
					    "ncclBfloat16", NULL};

	return index_of(name, names, 255);
}

static void coll_v1(struct abi_coll_v1 *c, const struct event *e)
{
	c->name = e->comm_name;
	c->comm_hash = e->comm_hash;
	c->seq = (uint64_t)e->seq;
	c->func = func_number(e->func);
	c->send = c->recv = e->buffer;
	c->count = (size_t)e->count;
	c->root = (int)e->root;
	c->datatype = datatype_number(e->datatype);
	c->op = 0;
	c->traffic = 2 * (size_t)e->count;
	c->channels = (uint8_t)e->channels;
	c->warps = (uint8_t)e->warps;
	c->algo = 1;
	c->proto = 2;
	c->collnet = c->nvls = 0;
}

static void p2p_v1(struct abi_p2p_v1 *p, const struct event *e)
{
	p->name = e->comm_name;
	p->comm_hash = e->comm_hash;
	p->func = func_number(e->func);
	p->buff = e->buffer;
	p->datatype = datatype_number(e->datatype);
	p->count = (size_t)e->count;
	p->peer = (int)e->peer;
}

/* ---- v2, v3: strings; they differ in one member ------------------------------------------------
 */

#define COLL_STRINGS(c, e)                                                                         \
	do {                                                                                       \
		(c)->name = (e)->comm_name;                                                        \
		(c)->comm_hash = (e)->comm_hash;                                                   \
		(c)->seq = (uint64_t)(e)->seq;                                                     \
		(c)->func = (e)->func;                                                             \
		(c)->send = (c)->recv = (e)->buffer;                                               \
		(c)->count = (size_t)(e)->count;                                                   \
		(c)->root = (int)(e)->root;                                                        \
		(c)->datatype = (e)->datatype;                                                     \
		(c)->channels = (uint8_t)(e)->channels;                                            \
		(c)->warps = (uint8_t)(e)->warps;                                                  \
		(c)->algo = (e)->algo;                                                             \
		(c)->proto = (e)->proto;                                                           \
	} while (0)

static void p2p_v2(struct abi_p2p_v2 *p, const struct event *e)
{
	p->name = e->comm_name;
	p->comm_hash = e->comm_hash;
	p->func = e->func;
	p->buff = e->buffer;
	p->datatype = e->datatype;
	p->count = (size_t)e->count;
	p->peer = (int)e->peer;
}

/* ---- v4 and later ------------------------------------------------------------------------------
 */

static void coll(struct abi_coll *c, const struct event *e, int version)
{
	c->seq = (uint64_t)e->seq;
	c->func = e->func;
	c->send = c->recv = e->buffer;
	c->count = (size_t)e->count;
	c->root = (int)e->root;
	c->datatype = e->datatype;
	c->channels = (uint8_t)e->channels;
	c->warps = (uint8_t)e->warps;
	c->algo = e->algo;
	c->proto = e->proto;
	if (version >= 5)
		c->group = e->group;
	if (version >= 7) {
		c->variant = e->variant;
		c->symmetric = e->symmetric;
		c->tag = (uint64_t)e->tag;
	}
}

static void p2p(struct abi_p2p *p, const struct event *e, int version)
{
	p->func = e->func;
	p->buff = e->buffer;
	p->datatype = e->datatype;
	p->count = (size_t)e->count;
	p->peer = (int)e->peer;
	p->channels = (uint8_t)e->channels;
	if (version >= 5)
		p->group = e->group;
	if (version >= 7)
		p->tag = (uint64_t)e->tag;
}

static void coll_api(struct abi_coll_api *c, const struct event *e, int version)
{
	c->func = e->func;
	c->count = (size_t)e->count;
	c->datatype = e->datatype;
	c->root = (int)e->root;
	c->stream = e->stream;
	c->captured = e->captured;
	if (version >= 7)
		c->tag = (uint64_t)e->tag;
}

static void p2p_api(struct abi_p2p_api *p, const struct event *e, int version)
{
	p->func = e->func;
	p->count = (size_t)e->count;
	p->datatype = e->datatype;
	p->stream = e->stream;
	p->captured = e->captured;
	if (version >= 7)
		p->tag = (uint64_t)e->tag;
}

static void ce_coll(struct abi_ce_coll *c, const struct event *e, int version)
{
	c->seq = (uint64_t)e->seq;
	c->func = e->func;
	c->send = c->recv = e->buffer;
	c->count = (size_t)e->count;
	c->root = (int)e->root;
	c->datatype = e->datatype;
	c->strategy = e->strategy;
	c->intra_batch_sync = e->intra;
	c->batch_size = (uint32_t)e->batch;
	c->batches = (uint32_t)e->batches;
	c->ce_seq = (uint32_t)e->ce_seq;
	c->stream = e->stream;
	if (version >= 7)
		c->tag = (uint64_t)e->tag;
}

static void proxy_op(struct abi_proxy_op *o, const struct event *e)
{
	o->pid = (pid_t)e->pid;
	o->channel = (uint8_t)e->channel;
	o->peer = (int)e->peer;
	o->steps = (int)e->steps;
	o->chunk = (int)e->chunk;
	o->is_send = (int)e->is_send;
}

static void phase(struct abi_kernel_phase *p, const struct event *e)
{
	p->channel = (uint8_t)e->channel;
	p->id = (uint8_t)e->id;
	p->name = e->phase;
	p->ptimer = (uint64_t)e->ptimer;
}

static void operation(union abi_members *u, const struct event *e, int version)
{
	bool is_coll = e->type == ABI_COLL;

	if (version >= 4 && is_coll)
		coll(&u->coll, e, version);
	else if (version >= 4)
		p2p(&u->p2p, e, version);
	else if (version == 1 && is_coll)
		coll_v1(&u->coll_v1, e);
	else if (version == 1)
		p2p_v1(&u->p2p_v1, e);
	else if (!is_coll)
		p2p_v2(&u->p2p_v2, e);
	else if (version == 2) {
		COLL_STRINGS(&u->coll_v2, e);
		u->coll_v2.traffic = 2 * (size_t)e->count;
	} else
		COLL_STRINGS(&u->coll_v3, e);
}

static void members(union abi_members *u, const struct event *e, int version)
{
	switch (e->type) {
	case ABI_COLL:
	case ABI_P2P: operation(u, e, version); break;
	case ABI_PROXY_OP: proxy_op(&u->proxy_op, e); break;
	case ABI_PROXY_STEP: u->step = (int)e->step; break;
	case ABI_KERNEL_CH:
		u->kernel_ch.channel = (uint8_t)e->channel;
		if (version >= 4)
			u->kernel_ch.ptimer = (uint64_t)e->ptimer;
		break;
	case ABI_NET_PLUGIN: u->net = (struct abi_net_plugin){e->id, e->data}; break;
	case ABI_GROUP_API:
		u->group_api.captured = e->captured;
		u->group_api.depth = (int)e->depth;
		break;
	case ABI_COLL_API: coll_api(&u->coll_api, e, version); break;
	case ABI_P2P_API: p2p_api(&u->p2p_api, e, version); break;
	case ABI_KERNEL_LAUNCH: u->launch_stream = e->stream; break;
	case ABI_CE_COLL: ce_coll(&u->ce_coll, e, version); break;
	case ABI_CE_SYNC:
		u->ce_sync.complete = e->complete;
		u->ce_sync.ranks = (int)e->ranks;
		break;
	case ABI_CE_BATCH:
		u->ce_batch.ops = (int)e->ops;
		u->ce_batch.bytes = (size_t)e->bytes;
		u->ce_batch.intra_sync = e->intra;
		break;
	case ABI_KERNEL_PHASE: phase(&u->phase, e); break;
	}
}

static size_t union_bytes(int version)
{
	switch (version) {
	case 1: return sizeof(struct abi_coll_v1);
	case 2: return sizeof(struct abi_coll_v2);
	case 3: return sizeof(struct abi_coll_v3);
	case 4: return offsetof(struct abi_coll, group);
	case 5:
	case 6: return offsetof(struct abi_coll, variant);
	default: return sizeof(struct abi_coll);
	}
}

static void *garbage(size_t n)
{
	void *p = malloc(n);

	if (!p)
		abort();
	return memset(p, GARBAGE, n);
}

/* Before v5 a collective hung under its group, not under the API call. */
static void *parent_in(const struct event *e, int version)
{
	bool operation_event = e->type == ABI_COLL || e->type == ABI_P2P;

	return version < 5 && operation_event ? e->group : e->parent;
}

void *event_descr(const struct event *e, int version)
{
	union abi_members u;
	struct abi_descr_v5 *d = garbage(offsetof(struct abi_descr_v5, u) + union_bytes(version));

	if (version < 5)
		((struct abi_descr_v1 *)d)->type = (uint8_t)e->type;
	else
		d->type = e->type;
	d->parent = parent_in(e, version);
	d->rank = (int)e->rank;
	memset(&u, GARBAGE, sizeof u);
	members(&u, e, version);
	memcpy((char *)d + offsetof(struct abi_descr_v5, u), &u, union_bytes(version));
	return d;
}

void *event_args_make(const struct event_args *a, int state, int version)
{
	size_t bytes = version < 4 ? 16 : 8;
	union abi_args u, *made;

	if (a->none)
		return NULL;
	memset(&u, GARBAGE, sizeof u);
	if (state == ABI_KERNEL_STOP || state == ABI_PHASE_STOP)
		u.ptimer = (uint64_t)a->ptimer;
	else if (state == ABI_NET_UPDATE)
		u.data = a->data;
	else if (state >= ABI_CTRL_IDLE && state <= ABI_CTRL_APPEND_END)
		u.appended = (int)a->appended;
	else {
		u.step.bytes = (size_t)a->bytes;
		if (version < 4)
			u.step.steps = (int)a->steps;
	}
	made = garbage(bytes);
	memcpy(made, &u, bytes);
	return made;
}
