// SPDX-License-Identifier: BSD-3-Clause
/*
 * A stand-in for the CUDA runtime, for machines without a GPU: streams are time lines on the host's
 * clock, and nothing is computed. Work is put on a stream by standinStreamExtend(); an event passes
 * when the line's end at its recording is reached. Only what the stand-in for NCCL and the tests
 * need; error codes are the real ones.
 *
 * As the real one does, it keeps the last error of a thread for the program to find, changes errno
 * in passing, and refuses questions about events while a capture is going on unless the thread has
 * relaxed its capture mode.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/nccl/fake/cudart.h"

enum { OK = 0, INVALID_VALUE = 1, NOT_READY = 600, UNSUPPORTED = 900 };
enum { MODE_GLOBAL = 0, MODE_RELAXED = 2 };

struct stream {
	uint64_t end_ns; /* atomic */
	int capturing;
};

struct event {
	uint64_t at_ns; /* 0: never recorded */
};

static struct stream null_stream;
static int captures; /* atomic: going on in the process */
static _Thread_local int last_error, mode = MODE_GLOBAL, device;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct stream *of(void *stream)
{
	return stream ? stream : &null_stream;
}

static int fail(int error)
{
	errno = EIO;
	if (error)
		last_error = error;
	return error;
}

static int refused(void)
{
	return __atomic_load_n(&captures, __ATOMIC_RELAXED) && mode != MODE_RELAXED;
}

int cudaStreamCreate(void **stream)
{
	*stream = calloc(1, sizeof(struct stream));
	return fail(*stream ? OK : INVALID_VALUE);
}

int cudaStreamDestroy(void *stream)
{
	free(stream);
	return OK;
}

uint64_t standinStreamEnd(void *stream)
{
	uint64_t end = __atomic_load_n(&of(stream)->end_ns, __ATOMIC_RELAXED), now = now_ns();

	return end > now ? end : now;
}

void standinStreamExtend(void *stream, uint64_t end_ns)
{
	__atomic_store_n(&of(stream)->end_ns, end_ns, __ATOMIC_RELAXED);
}

void standinStreamCapture(void *stream, int on)
{
	of(stream)->capturing = on;
	__atomic_fetch_add(&captures, on ? 1 : -1, __ATOMIC_RELAXED);
}

int cudaStreamIsCapturing(void *stream, int *status)
{
	*status = of(stream)->capturing;
	return fail(OK);
}

int cudaThreadExchangeStreamCaptureMode(int *swap)
{
	int old = mode;

	mode = *swap;
	*swap = old;
	return fail(OK);
}

int cudaGetDevice(int *ret)
{
	*ret = device;
	return fail(OK);
}

int cudaSetDevice(int d)
{
	device = d;
	return fail(OK);
}

int cudaEventCreateWithFlags(void **event, unsigned int flags)
{
	(void)flags;
	if (refused())
		return fail(UNSUPPORTED);
	*event = calloc(1, sizeof(struct event));
	return fail(*event ? OK : INVALID_VALUE);
}

int cudaEventDestroy(void *event)
{
	free(event);
	return fail(OK);
}

int cudaEventRecord(void *event, void *stream)
{
	struct event *e = event;

	if (of(stream)->capturing)
		return fail(UNSUPPORTED);
	e->at_ns = standinStreamEnd(stream);
	return fail(OK);
}

int cudaEventQuery(void *event)
{
	const struct event *e = event;

	if (refused())
		return fail(UNSUPPORTED);
	return fail(e->at_ns <= now_ns() ? OK : NOT_READY);
}

int cudaEventElapsedTime(float *ms, void *from, void *to)
{
	const struct event *a = from, *b = to;

	if (!a->at_ns || !b->at_ns)
		return fail(INVALID_VALUE);
	if (b->at_ns > now_ns() || a->at_ns > now_ns())
		return fail(NOT_READY);
	*ms = (float)((double)(int64_t)(b->at_ns - a->at_ns) / 1e6);
	return fail(OK);
}

/* ---- what tests/gpu/nccl_job.c needs besides: memory is the host's
 * -------------------------------
 */

int cudaGetDeviceCount(int *n)
{
	*n = 1;
	return fail(OK);
}

const char *cudaGetErrorString(int error)
{
	return error ? "an error of the stand-in" : "no error";
}

int cudaStreamCreateWithFlags(void **stream, unsigned int flags)
{
	(void)flags;
	return cudaStreamCreate(stream);
}

int cudaStreamSynchronize(void *stream)
{
	for (uint64_t end = standinStreamEnd(stream), now; (now = now_ns()) < end;)
		nanosleep(&(struct timespec){.tv_nsec = (long)((end - now) % 1000000000u)}, NULL);
	return fail(OK);
}

int cudaMalloc(void **memory, size_t n)
{
	*memory = calloc(1, n);
	return fail(*memory ? OK : INVALID_VALUE);
}

int cudaMemset(void *memory, int value, size_t n)
{
	memset(memory, value, n);
	return fail(OK);
}

int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream)
{
	(void)kind;
	(void)stream;
	memcpy(to, from, n);
	return fail(OK);
}

/* ---- errors --------------------------------------------------------------------------------- */

int cudaPeekAtLastError(void)
{
	return last_error;
}

int cudaGetLastError(void)
{
	int error = last_error;

	last_error = OK;
	return error;
}
