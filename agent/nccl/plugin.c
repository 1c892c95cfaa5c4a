// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/plugin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/hook/comm.h"
#include "agent/hook/hook.h"
#include "agent/nccl/comm.h"
#include "agent/nccl/conn.h"
#include "agent/nccl/detail.h"
#include "agent/nccl/handle.h"
#include "agent/nccl/op.h"
#include "agent/nccl/proxy.h"
#include "agent/nccl/shared.h"
#include "c4/env.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define CALLS_FROM 5u /* version that tells of the program's calls */
#define LOCK_TRIES                                                                                 \
	1000 /* creations of many communicators at a time, the first makes the segment             \
	      */

static bool opened; /* this process, or the one it was forked from, recorded */

/* ---- life ------------------------------------------------------------------------------------ */

/* The process's own exit: a status other than 0 stays what it looks like, a crash. */
static void at_exit(int status, void *arg)
{
	(void)arg;
	if (status || !c4_hook_live())
		return;
	c4_hook_stop();
	c4_hook_phase(C4_PHASE_FINALIZED);
	c4_hook_finish();
}

static void open_hook(void)
{
	uint64_t salt;

	if (c4_hook_open_for(&(struct c4_seg_want){.hook = "nccl", .conns = true}))
		return;
	salt = c4_hash_u64(c4_hook.seg.hdr->start_jiffies, c4_hook.seg.hdr->pid);
	c4_prof_comms_init();
	c4_prof_ops_init(salt);
	c4_prof_proxies_init(c4_mix64(salt), (int32_t)c4_hook.seg.hdr->pid);
	c4_prof_detail_init();
	on_exit(at_exit, NULL);
	c4_hook_start();
	c4_set(&opened, true);
}

static void warn_once(c4_abi_log log)
{
	static bool warned;
	const char *off = getenv(C4_ENV_HOOK);

	if (warned || !log || (off && off[0] == '0' && !off[1]))
		return;
	warned = true;
	log(C4_ABI_LOG_WARN, C4_ABI_LOG_ALL, __FILE__, __LINE__,
	    "c4: this process is not watched: no segment could be made in C4_RUNTIME_DIR or "
	    "/dev/shm");
}

static bool lock(void)
{
	for (int i = 0; i < LOCK_TRIES; i++)
		if (c4_comm_lock())
			return true;
	return false;
}

static void *open_comm(const struct c4_prof_init *init)
{
	const struct c4_prof_comm *c;
	void *ctx;

	c4_hook_phase(C4_PHASE_RUN);
	ctx = c4_prof_comm_open(&(struct c4_prof_comm_desc){.id = init->comm_id,
							    .ranks = init->ranks,
							    .rank = init->rank,
							    .name = init->comm_name,
							    .mask = init->mask,
							    .version = init->version});
	c = c4_prof_comm_find(ctx);
	if (c && c4_prof_comm_known(c))
		c4_prof_detail_called(c, false);
	else
		c4_prof_detail_look(init->mask, init->version, c4_ticks(c4_hook.clock));
	return ctx;
}

/* Opens the hook at the first communicator; false: there is none, or not in this process. */
static bool ready(void)
{
	static bool tried;

	if (!tried)
		open_hook();
	tried = true;
	return c4_hook_live();
}

/* A child of a process that recorded: whatever it does, it is not watched. */
static bool in_child(void)
{
	return c4_get(&opened) && !c4_hook_live();
}

/*
 * Not recorded: the process, so nothing need be told. Or this communicator alone, because another
 * thread has been making one for seconds: the mask is that of the others, too, and stays.
 */
static void do_without(const struct c4_prof_init *init)
{
	if (c4_hook_live())
		c4_seg_lose(&c4_hook.seg, C4_LOST_COMMS);
	else if (init->mask)
		c4_set(init->mask, 0);
}

void *c4_prof_init(const struct c4_prof_init *init)
{
	int saved = errno;
	void *ctx = NULL;

	if (!in_child() && lock()) {
		if (ready())
			ctx = open_comm(init);
		else
			warn_once(init->log);
		c4_comm_unlock();
	}
	if (!ctx)
		do_without(init);
	errno = saved;
	return ctx;
}

static void close_comm(const void *ctx)
{
	struct c4_prof_comm *c = c4_prof_comm_find(ctx);
	bool last = c4_prof_comm_close(ctx);

	if (c) {
		c4_prof_proxies_drop(c);
		c4_prof_ops_drop(c);
		c4_prof_conns_drop(c->id, c->rank);
	}
	if (last)
		c4_hook_phase(C4_PHASE_FINALIZED);
}

void c4_prof_finalize(const void *ctx)
{
	int saved = errno;

	if (c4_hook_live() && lock()) {
		close_comm(ctx);
		c4_comm_unlock();
	}
	errno = saved;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The program calls a collective; NCCL has read the mask for it. */
static void called(const void *ctx, bool captured)
{
	struct c4_prof_comm *c = c4_prof_comm_find(ctx);

	if (!c || !c4_prof_comm_known(c))
		return;
	if (!captured)
		c4_seg_add(&c4_prof_comm_seg(c)->api_calls, 1);
	c4_prof_detail_called(c, captured);
}

static void called_message(const void *ctx)
{
	struct c4_prof_comm *c = c4_prof_comm_find(ctx);

	if (c && c4_prof_comm_known(c))
		c4_prof_detail_look(c->mask, c->version, c4_ticks(c4_hook.clock));
}

static void *handed_over(const void *ctx, const struct c4_prof_event *ev)
{
	struct c4_prof_comm *c = c4_prof_comm_find(ctx);

	if (!c)
		return NULL;
	if (!c4_prof_comm_known(c))
		c4_prof_comm_learn(c, ev->task.comm_hash, ev->rank, ev->task.name);
	if (!c4_prof_comm_known(c))
		return NULL;
	if (c->version < CALLS_FROM)
		c4_prof_detail_called(c, false);
	return c4_prof_op_begin(c, ev);
}

static void planned(const void *ctx)
{
	struct c4_prof_comm *c = c4_prof_comm_find(ctx);

	if (!c)
		return;
	__atomic_fetch_add(&c->plan, 1, __ATOMIC_RELAXED);
	c4_prof_detail_plan(c);
}

void *c4_prof_start(const void *ctx, const struct c4_prof_event *ev)
{
	if (!c4_hook_live())
		return NULL;
	switch (ev->type) {
	case C4_ABI_PROXY_OP: return c4_prof_proxy_begin(ctx, ev);
	case C4_ABI_KERNEL_CH:
		return c4_prof_kernel_begin(ev->parent, ev->kernel.channel, ev->kernel.gpu_ns);
	case C4_ABI_COLL:
	case C4_ABI_P2P:
	case C4_ABI_CE_COLL: return handed_over(ctx, ev);
	case C4_ABI_COLL_API: called(ctx, ev->captured); return NULL;
	case C4_ABI_P2P_API: called_message(ctx); return NULL;
	case C4_ABI_GROUP: planned(ctx); return NULL;
	default: return NULL;
	}
}

void *c4_prof_step(const void *proxy, uint32_t number)
{
	return c4_hook_live() ? c4_prof_step_begin(proxy, number) : NULL;
}

void c4_prof_stop(const void *handle)
{
	if (!c4_hook_live())
		return;
	switch (c4_handle_read(handle).kind) {
	case C4_HANDLE_OP: c4_prof_op_end(handle); break;
	case C4_HANDLE_KERNEL: c4_prof_kernel_end(handle); break;
	case C4_HANDLE_PROXY: c4_prof_proxy_end(handle); break;
	case C4_HANDLE_STEP: c4_prof_step_end(handle); break;
	default: break;
	}
}

void c4_prof_state(const void *handle, int state, uint64_t value)
{
	uint8_t kind = c4_handle_read(handle).kind;

	if (!c4_hook_live())
		return;
	if (kind == C4_HANDLE_STEP)
		c4_prof_step_state(handle, state, value);
	else if (kind == C4_HANDLE_KERNEL && state == C4_ABI_KERNEL_CH_STOP)
		c4_prof_kernel_time(handle, value);
	else if (kind == C4_HANDLE_PROXY && state == C4_ABI_PROXY_IN_PROGRESS)
		c4_prof_proxy_progresses(handle);
}

void c4_prof_old_state(const void *handle, int state, int steps, uint64_t bytes)
{
	if (c4_hook_live())
		c4_prof_proxy_state(handle, state, steps, bytes);
}
