/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ncclapi_scene.h - for tests of the hook on NCCL's calls, with stand-ins for NCCL and the CUDA
 * runtime behind it: the segment it writes, and a communicator whose two members are both of this
 * process.
 */
#ifndef C4_TESTS_NCCLAPI_SCENE_H
#define C4_TESTS_NCCLAPI_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/hook/comm.h"
#include "agent/hook/thread.h"
#include "c4/op.h"
#include "common/base/clock.h"
#include "common/base/segread.h"
#include "tests/nccl/fake/cudart.h"
#include "tests/nccl/fake/nccl.h"

#define KERNEL_MS 2 /* an operation alone */

static char dir[64];
static struct c4_seg_reader reader;

static inline int scene_setup(void **state)
{
	int version;

	(void)state;
	strcpy(dir, "/tmp/c4-ncclapi-XXXXXX");
	if (!mkdtemp(dir) || setenv("C4_RUNTIME_DIR", dir, 1) || setenv("STANDIN_DIR", dir, 1) ||
	    setenv("STANDIN_KERNEL_US", "2000", 1))
		return -1;
	unsetenv("OMPI_COMM_WORLD_RANK");
	unsetenv("RANK");
	if (c4_hook.seg.base || ncclGetVersion(&version) || !c4_hook.seg.base)
		return -1; /* nothing before the first call, then a segment */
	return c4_seg_reader_open(&reader, c4_hook.seg.path);
}

static inline int scene_teardown(void **state)
{
	char command[96];

	(void)state;
	c4_seg_reader_close(&reader);
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static inline struct c4_seg_comm *comm_of(ncclComm_t comm)
{
	uint32_t slot = c4_comm_find((uintptr_t)comm);

	assert_true(slot < C4_SEG_COMMS);
	return &c4_hook.seg.comms[slot];
}

static inline void skip_events(void)
{
	struct c4_event ev[64];

	while (c4_seg_read_events(&reader, ev, 64) > 0)
		;
}

/* Until the stream has done what it has; the stand-in's clock is the host's. */
static inline void pass_stream(void *stream)
{
	uint64_t end = standinStreamEnd(stream);

	while (c4_mono_ns() <= end)
		;
}

static inline int ask(ncclComm_t comm)
{
	int error;

	assert_int_equal(ncclCommGetAsyncError(comm, &error), 0);
	return error;
}

static inline int all_reduce(ncclComm_t comm, size_t count, void *stream)
{
	return ncclAllReduce(NULL, NULL, count, ncclFloat32, ncclSum, comm, stream);
}

/* ---- a communicator of two, both of this process: NCCL allows it in groups ------------------- */

static ncclComm_t pair[2];
static void *streams[2];

static inline void pair_make(void)
{
	ncclUniqueId id;

	ncclGetUniqueId(&id);
	ncclGroupStart();
	for (int i = 0; i < 2; i++) {
		cudaStreamCreate(&streams[i]);
		assert_int_equal(ncclCommInitRank(&pair[i], 2, id, i), 0);
	}
	assert_int_equal(ncclGroupEnd(), 0);
	skip_events();
}

static inline void streams_drop(void)
{
	for (int i = 0; i < 2; i++)
		cudaStreamDestroy(streams[i]);
}

static inline void pair_drop(void)
{
	for (int i = 0; i < 2; i++)
		ncclCommDestroy(pair[i]);
	streams_drop();
}

static inline void pair_reduce(size_t count)
{
	ncclGroupStart();
	for (int i = 0; i < 2; i++)
		assert_int_equal(all_reduce(pair[i], count, streams[i]), 0);
	assert_int_equal(ncclGroupEnd(), 0);
}

/* ---- looking at what other threads write, as an agent does ----------------------------------- */

#define ONLOOKER __attribute__((no_sanitize("thread")))

ONLOOKER static inline struct c4_seg_thread *thread_inside(uint8_t kind)
{
	for (;;)
		for (uint32_t i = 0; i < C4_SEG_THREADS; i++)
			if (__atomic_load_n(&c4_hook.seg.threads[i].kind, __ATOMIC_ACQUIRE) == kind)
				return &c4_hook.seg.threads[i];
}

#endif
