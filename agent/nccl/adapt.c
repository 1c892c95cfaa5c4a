// SPDX-License-Identifier: BSD-3-Clause
/*
 * The tables NCCL looks for, one per version: each function only turns what its version says into
 * what plugin.h takes.
 */
#include "agent/nccl/abi.h"
#include "agent/nccl/next.h"
#include "agent/nccl/plugin.h"
#include "agent/nccl/text.h"

#define EXPORT __attribute__((visibility("default")))

/* ---- parts that are equal in all versions ---------------------------------------------------- */

static void take_proxy_op(struct c4_prof_event *ev, const struct c4_abi_proxy_op *d)
{
	ev->proxy_op = (struct c4_prof_proxy_op){
		.pid = d->pid, .peer = d->peer, .channel = d->channel, .sends = d->is_send != 0};
}

static void take_kernel(struct c4_prof_event *ev, uint8_t channel, uint64_t gpu_ns)
{
	ev->kernel.channel = channel;
	ev->kernel.gpu_ns = gpu_ns;
}

static const struct c4_next_layout layout_v1 = {.bytes = sizeof(struct c4_abi_descr_v1)};
static const struct c4_next_layout layout_v2 = {.bytes = sizeof(struct c4_abi_descr_v2)};
static const struct c4_next_layout layout_v3 = {.bytes = sizeof(struct c4_abi_descr_v3)};
static const struct c4_next_layout layout_v4 = {.bytes = sizeof(struct c4_abi_descr_v4)};
static const struct c4_next_layout layout_v6 = {
	.bytes = sizeof(struct c4_abi_descr_v6),
	.coll_group = offsetof(struct c4_abi_descr_v6, coll.group),
	.p2p_group = offsetof(struct c4_abi_descr_v6, p2p.group),
};

/* What all descriptors begin with. */
#define EVENT(d)                                                                                   \
	{                                                                                          \
		.type = (uint32_t)(d)->type, .rank = (d)->rank,                                    \
		.parent = c4_next_ours((d)->parent)                                                \
	}

/* descr: as NCCL gave it, for a plugin behind us. */
static inline __attribute__((always_inline)) int start(void *ctx, void **handle,
						       const struct c4_prof_event *ev,
						       const void *descr,
						       const struct c4_next_layout *layout)
{
	void *made = c4_prof_start(ctx, ev);

	if (c4_next_on())
		made = c4_next_start(made, ctx, ev->type, descr, layout);
	if (handle)
		*handle = made;
	return 0;
}

/* The most frequent event, on the data path: no way round. */
static inline __attribute__((always_inline)) int start_step(void *ctx, void **handle,
							    const struct c4_abi_proxy_step *d,
							    void *parent, const void *descr,
							    const struct c4_next_layout *layout)
{
	void *made = c4_prof_step(c4_next_ours(parent), (uint32_t)d->step);

	if (c4_next_on())
		made = c4_next_start(made, ctx, C4_ABI_PROXY_STEP, descr, layout);
	if (handle)
		*handle = made;
	return 0;
}

/* Functions and types as texts, from version 2 on. */
#define TAKE_TASK(ev, d, root_or_peer)                                                             \
	((ev)->task.kind = c4_prof_kind((d)->func), (ev)->task.dtype = c4_prof_dtype((d)->dtype),  \
	 (ev)->task.root = (root_or_peer), (ev)->task.count = (d)->count)
#define TAKE_COLL(ev, d) TAKE_TASK(ev, d, (d)->root)
#define TAKE_P2P(ev, d)	 TAKE_TASK(ev, d, (d)->peer)
/* The communicator with each operation, to version 3. */
#define TAKE_COMM(ev, d) ((ev)->task.name = (d)->name, (ev)->task.comm_hash = (d)->comm_hash)

static int stop(void *handle)
{
	if (c4_next_on())
		handle = c4_next_stop(handle);
	c4_prof_stop(handle);
	return 0;
}

static int finalize(void *ctx)
{
	c4_next_close(ctx);
	c4_prof_finalize(ctx);
	return 0;
}

/* What init leaves to NCCL; handles and contexts are never left as they were. */
static int begin(void **ctx, const struct c4_prof_init *init, int nodes)
{
	void *made = c4_prof_init(init);

	made = c4_next_open(&(struct c4_next_init){.version = init->version,
						   .mask = init->mask,
						   .name = init->comm_name,
						   .id = init->comm_id,
						   .nodes = nodes,
						   .ranks = init->ranks,
						   .rank = init->rank,
						   .log = init->log},
			    made);
	if (ctx)
		*ctx = made;
	return 0;
}

/* ---- versions 1 to 3 ------------------------------------------------------------------------- */

static int state_v1(void *handle, int state, union c4_abi_args_v1 *args)
{
	if (c4_next_on())
		handle = c4_next_state(handle, state, args);
	if (state >= C4_ABI_SEND_GPU_WAIT)
		c4_prof_state(handle, state, 0);
	else if (args)
		c4_prof_old_state(handle, state, args->proxy_op.steps, args->proxy_op.trans_bytes);
	return 0;
}

static int init_v1(void **ctx, int *mask)
{
	return begin(ctx, &(struct c4_prof_init){.mask = mask, .version = 1}, 0);
}

static int init_v2(void **ctx, int *mask)
{
	return begin(ctx, &(struct c4_prof_init){.mask = mask, .version = 2}, 0);
}

static int init_v3(void **ctx, int *mask)
{
	return begin(ctx, &(struct c4_prof_init){.mask = mask, .version = 3}, 0);
}

/* Version 1 has functions and types as numbers. */
static void take_coll_v1(struct c4_prof_event *ev, const struct c4_abi_descr_v1 *d)
{
	ev->task = (struct c4_prof_task){.kind = c4_prof_kind_number(d->coll.func),
					 .dtype = c4_prof_dtype_number(d->coll.dtype),
					 .root = d->coll.root,
					 .count = d->coll.count};
	TAKE_COMM(ev, &d->coll);
}

static void take_p2p_v1(struct c4_prof_event *ev, const struct c4_abi_descr_v1 *d)
{
	ev->task = (struct c4_prof_task){.kind = c4_prof_kind_number(d->p2p.func),
					 .dtype = c4_prof_dtype_number(d->p2p.dtype),
					 .root = d->p2p.peer,
					 .count = d->p2p.count};
	TAKE_COMM(ev, &d->p2p);
}

static int start_v1(void *ctx, void **handle, struct c4_abi_descr_v1 *d)
{
	struct c4_prof_event ev = EVENT(d);

	if (d->type == C4_ABI_PROXY_STEP)
		return start_step(ctx, handle, &d->proxy_step, d->parent, d, &layout_v1);
	switch (d->type) {
	case C4_ABI_COLL: take_coll_v1(&ev, d); break;
	case C4_ABI_P2P: take_p2p_v1(&ev, d); break;
	case C4_ABI_PROXY_OP: take_proxy_op(&ev, &d->proxy_op); break;
	default: break;
	}
	return start(ctx, handle, &ev, d, &layout_v1);
}

/* The number of channels is an upper bound in versions 2 and 3: not taken. */
static int start_v2(void *ctx, void **handle, struct c4_abi_descr_v2 *d)
{
	struct c4_prof_event ev = EVENT(d);

	if (d->type == C4_ABI_PROXY_STEP)
		return start_step(ctx, handle, &d->proxy_step, d->parent, d, &layout_v2);
	switch (d->type) {
	case C4_ABI_COLL: TAKE_COLL(&ev, &d->coll), TAKE_COMM(&ev, &d->coll); break;
	case C4_ABI_P2P: TAKE_P2P(&ev, &d->p2p), TAKE_COMM(&ev, &d->p2p); break;
	case C4_ABI_PROXY_OP: take_proxy_op(&ev, &d->proxy_op); break;
	default: break;
	}
	return start(ctx, handle, &ev, d, &layout_v2);
}

static int start_v3(void *ctx, void **handle, struct c4_abi_descr_v3 *d)
{
	struct c4_prof_event ev = EVENT(d);

	if (d->type == C4_ABI_PROXY_STEP)
		return start_step(ctx, handle, &d->proxy_step, d->parent, d, &layout_v3);
	switch (d->type) {
	case C4_ABI_COLL: TAKE_COLL(&ev, &d->coll), TAKE_COMM(&ev, &d->coll); break;
	case C4_ABI_P2P: TAKE_P2P(&ev, &d->p2p), TAKE_COMM(&ev, &d->p2p); break;
	case C4_ABI_PROXY_OP: take_proxy_op(&ev, &d->proxy_op); break;
	case C4_ABI_KERNEL_CH: take_kernel(&ev, d->kernel_ch.channel, 0); break;
	default: break;
	}
	return start(ctx, handle, &ev, d, &layout_v3);
}

/* ---- versions 4 to 6 ------------------------------------------------------------------------- */

static int state_v4(void *handle, int state, union c4_abi_args_v4 *args)
{
	if (c4_next_on())
		handle = c4_next_state(handle, state, args);
	/* a step's bytes lie in the same place */
	c4_prof_state(handle, state, args ? args->kernel_ch.gpu_ns : 0);
	return 0;
}

static int init_v4(void **ctx, int *mask, const char *name, uint64_t hash, int nodes, int ranks,
		   int rank, c4_abi_log log)
{
	return begin(ctx,
		     &(struct c4_prof_init){.comm_id = hash,
					    .ranks = ranks,
					    .rank = rank,
					    .comm_name = name,
					    .mask = mask,
					    .log = log,
					    .version = 4},
		     nodes);
}

static int init_later(uint32_t version, void **ctx, uint64_t id, int *mask, const char *name,
		      int nodes, int ranks, int rank, c4_abi_log log)
{
	return begin(ctx,
		     &(struct c4_prof_init){.comm_id = id,
					    .ranks = ranks,
					    .rank = rank,
					    .comm_name = name,
					    .mask = mask,
					    .log = log,
					    .version = version},
		     nodes);
}

static int init_v5(void **ctx, uint64_t id, int *mask, const char *name, int nodes, int ranks,
		   int rank, c4_abi_log log)
{
	return init_later(5, ctx, id, mask, name, nodes, ranks, rank, log);
}

static int init_v6(void **ctx, uint64_t id, int *mask, const char *name, int nodes, int ranks,
		   int rank, c4_abi_log log)
{
	return init_later(6, ctx, id, mask, name, nodes, ranks, rank, log);
}

static int start_v4(void *ctx, void **handle, struct c4_abi_descr_v4 *d)
{
	struct c4_prof_event ev = EVENT(d);

	if (d->type == C4_ABI_PROXY_STEP)
		return start_step(ctx, handle, &d->proxy_step, d->parent, d, &layout_v4);
	switch (d->type) {
	case C4_ABI_COLL:
		TAKE_COLL(&ev, &d->coll);
		ev.task.channels = d->coll.channels;
		break;
	case C4_ABI_P2P: TAKE_P2P(&ev, &d->p2p); break;
	case C4_ABI_PROXY_OP: take_proxy_op(&ev, &d->proxy_op); break;
	case C4_ABI_KERNEL_CH: take_kernel(&ev, d->kernel_ch.channel, d->kernel_ch.gpu_ns); break;
	default: break;
	}
	return start(ctx, handle, &ev, d, &layout_v4);
}

static int start_v6(void *ctx, void **handle, struct c4_abi_descr_v6 *d)
{
	struct c4_prof_event ev = EVENT(d);

	if (d->type == C4_ABI_PROXY_STEP)
		return start_step(ctx, handle, &d->proxy_step, d->parent, d, &layout_v6);
	switch (d->type) {
	case C4_ABI_COLL:
		TAKE_COLL(&ev, &d->coll);
		ev.task.channels = d->coll.channels;
		break;
	case C4_ABI_CE_COLL:
		TAKE_COLL(&ev, &d->ce_coll);
		ev.task.copy_engine = true;
		break;
	case C4_ABI_P2P: TAKE_P2P(&ev, &d->p2p); break;
	case C4_ABI_PROXY_OP: take_proxy_op(&ev, &d->proxy_op); break;
	case C4_ABI_KERNEL_CH: take_kernel(&ev, d->kernel_ch.channel, d->kernel_ch.gpu_ns); break;
	case C4_ABI_COLL_API: ev.captured = d->coll_api.captured; break;
	case C4_ABI_P2P_API: ev.captured = d->p2p_api.captured; break;
	default: break;
	}
	return start(ctx, handle, &ev, d, &layout_v6);
}

/* ---- what NCCL looks for --------------------------------------------------------------------- */

#define TABLE(type_version, version, args_version, descr_version)                                  \
	extern const struct c4_abi_profiler_v##type_version ncclProfiler_v##version;               \
	EXPORT const struct c4_abi_profiler_v##type_version ncclProfiler_v##version = {            \
		.name = "c4",                                                                      \
		.init = init_v##version,                                                           \
		.start = start_v##descr_version,                                                   \
		.stop = stop,                                                                      \
		.state = state_v##args_version,                                                    \
		.finalize = finalize,                                                              \
	}

TABLE(1, 1, 1, 1);
TABLE(2, 2, 1, 2);
TABLE(3, 3, 1, 3);
TABLE(4, 4, 4, 4);
TABLE(6, 5, 4, 6);
TABLE(6, 6, 4, 6);
