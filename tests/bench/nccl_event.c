// SPDX-License-Identifier: BSD-3-Clause
/*
 * nccl_event KIND N [nothing]: N operations, as NCCL tells of them, into the profiler plugin; only
 * the events of one kind are made inside measured(), whose instructions callgrind counts. With
 * "nothing" they go into functions that do nothing.
 *
 *	call (an API call), group, coll, coll-stop, kernel, kernel-time, kernel-stop, proxy,
 *	proxy-stop, step, gpu-wait, gpu-ready, peer-wait (told again and again), state, step-stop
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/nccl/abi.h"

extern const struct c4_abi_profiler_v6 ncclProfiler_v6;
static const struct c4_abi_profiler_v6 *nccl = &ncclProfiler_v6;

/* One call NCCL makes. */
struct event {
	const char *kind;
	void *ctx, *handle;
	struct c4_abi_descr_v6 *descr; /* NULL: it stops, or is in a state */
	int state;		       /* 0: it stops */
	uint64_t value;
};

static const char *wanted;

static int no_start(void *ctx, void **handle, struct c4_abi_descr_v6 *descr)
{
	(void)ctx, (void)handle, (void)descr;
	return 0;
}

static int no_stop(void *handle)
{
	(void)handle;
	return 0;
}

static int no_state(void *handle, int state, union c4_abi_args_v4 *args)
{
	(void)handle, (void)state, (void)args;
	return 0;
}

/* What the calls themselves cost. */
static const struct c4_abi_profiler_v6 nothing = {
	.start = no_start, .stop = no_stop, .state = no_state};

static void *tell(struct event *e)
{
	union c4_abi_args_v4 args = {.kernel_ch = {e->value}};

	if (e->descr)
		nccl->start(e->ctx, &e->handle, e->descr);
	else if (e->state)
		nccl->state(e->handle, e->state, &args);
	else
		nccl->stop(e->handle);
	return e->handle;
}

static __attribute__((noinline)) void *measured(struct event *e)
{
	return tell(e);
}

static void *event(struct event e)
{
	return strcmp(e.kind, wanted) == 0 ? measured(&e) : tell(&e);
}

#define START(name, context, ...)                                                                  \
	event((struct event){.kind = (name),                                                       \
			     .ctx = (context),                                                     \
			     .descr = &(struct c4_abi_descr_v6){__VA_ARGS__}})
#define STATE(name, what, number, with)                                                            \
	event((struct event){.kind = (name), .handle = (what), .state = (number), .value = (with)})
#define STOP(name, what) event((struct event){.kind = (name), .handle = (what)})

static void transfer(void *ctx, void *coll)
{
	void *proxy = START("proxy", ctx, .type = C4_ABI_PROXY_OP, .parent = coll,
			    .proxy_op = {.pid = getpid(), .peer = 1, .steps = 8, .is_send = 1});

	for (int i = 0; i < 8; i++) {
		void *step = START("step", ctx, .type = C4_ABI_PROXY_STEP, .parent = proxy,
				   .proxy_step = {i});

		STATE("gpu-wait", step, C4_ABI_SEND_GPU_WAIT, 0);
		STATE("gpu-ready", step, C4_ABI_SEND_PEER_WAIT, 0);
		STATE("peer-wait", step, C4_ABI_SEND_PEER_WAIT, 0);
		STATE("state", step, C4_ABI_SEND_WAIT, 65536);
		STOP("step-stop", step);
	}
	STOP("proxy-stop", proxy);
}

static void operation(void *ctx, uint64_t gpu_ns)
{
	void *coll, *kernel;

	START("call", ctx, .type = C4_ABI_COLL_API, .coll_api = {.func = "ReduceScatter"});
	START("group", ctx, .type = C4_ABI_GROUP);
	coll = START("coll", ctx, .type = C4_ABI_COLL,
		     .coll = {.func = "ReduceScatter",
			      .dtype = "ncclBfloat16",
			      .count = 1 << 20,
			      .channels = 1});
	STOP("coll-stop", coll);
	kernel = START("kernel", ctx, .type = C4_ABI_KERNEL_CH, .parent = coll,
		       .kernel_ch = {0, gpu_ns});
	transfer(ctx, coll);
	STATE("kernel-time", kernel, C4_ABI_KERNEL_CH_STOP, gpu_ns + 100000);
	STOP("kernel-stop", kernel);
}

int main(int argc, char **argv)
{
	void *ctx = NULL;
	int mask = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: nccl_event KIND N [nothing]\n");
		return 2;
	}
	wanted = argv[1];
	if (argc > 3)
		nccl = &nothing;
	ncclProfiler_v6.init(&ctx, 1, &mask, "bench", 2, 8, 0, NULL);
	if (!ctx || !mask) {
		fprintf(stderr, "nccl_event: the plugin does not record\n");
		return 1;
	}
	operation(ctx, 1000000); /* what happens once: pages, the connection */
	for (uint64_t i = 1; i <= strtoull(argv[2], NULL, 10); i++)
		operation(ctx, 1000000 + i * 200000);
	ncclProfiler_v6.finalize(ctx);
	return 0;
}
