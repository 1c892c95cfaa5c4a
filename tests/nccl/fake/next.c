// SPDX-License-Identifier: BSD-3-Clause
/*
 * A user's own profiler plugin, to stand behind ours (C4_NEXT_PROFILER), versions 1 to 6. It asks
 * for what STANDIN_NEXT_MASK says, and looks at every handle it is given: they must be its own, of
 * events that it started. What it saw goes into the file STANDIN_NEXT when the process ends:
 *
 *	contexts N  starts N  stops N  states N  bad N
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/nccl/abi.h"

#define EVENTS (1 << 20)

#define CONTEXT 0

struct event {
	uint64_t type;
};

static struct event events[EVENTS];
static uint64_t made;
static uint64_t contexts, starts, stops, states, bad;

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static bool is_mine(const void *handle)
{
	return (uintptr_t)handle >= (uintptr_t)events &&
	       (uintptr_t)handle < (uintptr_t)&events[__atomic_load_n(&made, __ATOMIC_ACQUIRE)] &&
	       ((uintptr_t)handle - (uintptr_t)events) % sizeof *events == 0;
}

static void check(const void *handle, bool may_be_null)
{
	if (handle ? !is_mine(handle) : !may_be_null)
		count(&bad);
}

static struct event *event_new(uint64_t type)
{
	uint64_t at = __atomic_fetch_add(&made, 1, __ATOMIC_ACQ_REL);

	if (at >= EVENTS)
		abort();
	events[at].type = type;
	return &events[at];
}

static void report(void)
{
	const char *path = getenv("STANDIN_NEXT");
	FILE *f = path ? fopen(path, "we") : NULL;

	if (!f)
		return;
	fprintf(f, "contexts %llu starts %llu stops %llu states %llu bad %llu\n",
		(unsigned long long)contexts, (unsigned long long)starts, (unsigned long long)stops,
		(unsigned long long)states, (unsigned long long)bad);
	fclose(f);
}

static void report_at_end(void)
{
	atexit(report);
}

static int init(void **ctx, int *mask)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *want = getenv("STANDIN_NEXT_MASK");

	pthread_once(&once, report_at_end);
	count(&contexts);
	*mask = want ? atoi(want) : C4_ABI_COLL;
	*ctx = event_new(CONTEXT);
	return 0;
}

static int init_v4(void **ctx, int *mask, const char *name, uint64_t hash, int nodes, int ranks,
		   int rank, c4_abi_log log)
{
	(void)name, (void)hash, (void)log;
	if (rank < 0 || rank >= ranks || nodes < 0 || nodes > ranks)
		count(&bad);
	return init(ctx, mask);
}

static int init_v6(void **ctx, uint64_t id, int *mask, const char *name, int nodes, int ranks,
		   int rank, c4_abi_log log)
{
	return init_v4(ctx, mask, name, id, nodes, ranks, rank, log);
}

static int start(void *ctx, void **handle, uint64_t type, const void *parent)
{
	check(ctx, false);
	check(parent, true);
	count(&starts);
	*handle = event_new(type);
	return 0;
}

#define START(version)                                                                             \
	static int start_v##version(void *ctx, void **handle, struct c4_abi_descr_v##version *d)   \
	{                                                                                          \
		return start(ctx, handle, d->type, d->parent);                                     \
	}
START(1)
START(2)
START(3)
START(4)

static int start_v6(void *ctx, void **handle, struct c4_abi_descr_v6 *d)
{
	if (d->type == C4_ABI_COLL)
		check(d->coll.group, true);
	if (d->type == C4_ABI_P2P)
		check(d->p2p.group, true);
	return start(ctx, handle, d->type, d->parent);
}

static int stop(void *handle)
{
	check(handle, false);
	count(&stops);
	return 0;
}

static int state_v1(void *handle, int state, union c4_abi_args_v1 *args)
{
	(void)state, (void)args;
	check(handle, false);
	count(&states);
	return 0;
}

static int state_v4(void *handle, int state, union c4_abi_args_v4 *args)
{
	(void)args;
	return state_v1(handle, state, NULL);
}

static int finalize(void *ctx)
{
	check(ctx, false);
	return 0;
}

#define TABLE(type_version, version, init_version, state_version, start_version)                   \
	extern const struct c4_abi_profiler_v##type_version ncclProfiler_v##version;               \
	const struct c4_abi_profiler_v##type_version ncclProfiler_v##version = {                   \
		"standin", init_version,	   start_v##start_version,                         \
		stop,	   state_v##state_version, finalize}
TABLE(1, 1, init, 1, 1);
TABLE(2, 2, init, 1, 2);
TABLE(3, 3, init, 1, 3);
TABLE(4, 4, init_v4, 4, 4);
TABLE(6, 5, init_v6, 4, 6);
TABLE(6, 6, init_v6, 4, 6);
