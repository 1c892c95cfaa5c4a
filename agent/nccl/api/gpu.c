// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/gpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "agent/nccl/api/real.h"

#define NOT_READY    600 /* cudaErrorNotReady, hipErrorNotReady, CUDA_ERROR_NOT_READY */
#define MODE_RELAXED 2	 /* cudaStreamCaptureModeRelaxed and its like */
#define CAPTURE_NONE 0

/* The same calls under three names. */
#define CALLS(X)                                                                                   \
	X(create, (void **event, unsigned int flags))                                              \
	X(destroy, (void *event))                                                                  \
	X(record, (void *event, void *stream))                                                     \
	X(query, (void *event))                                                                    \
	X(elapsed, (float *ms, void *from, void *to))                                              \
	X(capturing, (void *stream, int *status))                                                  \
	X(device, (int *device))                                                                   \
	X(exchange, (int *mode))

static union {
	struct {
#define MEMBER(name, params) int(*name) params;
		CALLS(MEMBER)
#undef MEMBER
	} call;
	void *all[8];
} gpu;

static int (*peek_error)(void); /* NULL: this interface keeps none */
static int (*take_error)(void);
static bool usable;

static const struct family {
	const char *calls[sizeof gpu.all / sizeof gpu.all[0]];
	const char *errors[2];
	const char *sonames[5];
} families[] = {
	{{"cudaEventCreateWithFlags", "cudaEventDestroy", "cudaEventRecord", "cudaEventQuery",
	  "cudaEventElapsedTime", "cudaStreamIsCapturing", "cudaGetDevice",
	  "cudaThreadExchangeStreamCaptureMode"},
	 {"cudaPeekAtLastError", "cudaGetLastError"},
	 {"libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", NULL}},
	{{"hipEventCreateWithFlags", "hipEventDestroy", "hipEventRecord", "hipEventQuery",
	  "hipEventElapsedTime", "hipStreamIsCapturing", "hipGetDevice",
	  "hipThreadExchangeStreamCaptureMode"},
	 {"hipPeekAtLastError", "hipGetLastError"},
	 {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", NULL}},
	{{"cuEventCreate", "cuEventDestroy_v2", "cuEventRecord", "cuEventQuery",
	  "cuEventElapsedTime", "cuStreamIsCapturing", "cuCtxGetDevice",
	  "cuThreadExchangeStreamCaptureMode"},
	 {NULL, NULL},
	 {"libcuda.so.1", NULL}},
};

static_assert(sizeof gpu.call == sizeof gpu.all, "a pointer per name");

static void *find(const char *name, const void *caller, const struct family *f)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	return p ? p : c4_nccl_find(name, caller, f->sonames);
}

/* All of a family or nothing of it. */
static bool resolve_family(const struct family *f, const void *caller)
{
	for (size_t i = 0; i < sizeof gpu.all / sizeof gpu.all[0]; i++) {
		gpu.all[i] = find(f->calls[i], caller, f);
		if (!gpu.all[i])
			return false;
	}
	if (!f->errors[0])
		return true;
	peek_error = (int (*)(void))find(f->errors[0], caller, f);
	take_error = (int (*)(void))find(f->errors[1], caller, f);
	return peek_error && take_error;
}

void c4_gpu_resolve(const void *caller)
{
	for (size_t i = 0; !usable && i < sizeof families / sizeof families[0]; i++)
		usable = resolve_family(&families[i], caller);
}

bool c4_gpu_usable(void)
{
	return usable;
}

bool c4_gpu_enter(struct c4_gpu_visit *v)
{
	bool entered;

	if (!usable)
		return false;
	v->saved_errno = errno;
	v->mode = MODE_RELAXED;
	if (peek_error && peek_error())
		return false;
	entered = !gpu.call.exchange(&v->mode);
	if (!entered && take_error)
		take_error();
	if (!entered)
		errno = v->saved_errno;
	return entered;
}

void c4_gpu_leave(const struct c4_gpu_visit *v)
{
	int mode = v->mode;

	gpu.call.exchange(&mode);
	if (peek_error && peek_error())
		take_error();
	errno = v->saved_errno;
}

int c4_gpu_device(void)
{
	int device = -1;

	return gpu.call.device(&device) ? -1 : device;
}

int c4_gpu_capturing(void *stream)
{
	int status = CAPTURE_NONE;

	return gpu.call.capturing(stream, &status) ? -1 : status != CAPTURE_NONE;
}

void *c4_gpu_event_new(void)
{
	void *event = NULL;

	return gpu.call.create(&event, 0) ? NULL : event;
}

void c4_gpu_event_free(void *event)
{
	if (event)
		gpu.call.destroy(event);
}

bool c4_gpu_event_record(void *event, void *stream)
{
	return !gpu.call.record(event, stream);
}

int c4_gpu_event_done(void *event)
{
	int rc = gpu.call.query(event);

	return rc == 0 ? 1 : rc == NOT_READY ? 0 : -1;
}

double c4_gpu_event_ms(void *from, void *to)
{
	float ms = -1;

	return gpu.call.elapsed(&ms, from, to) ? -1 : (double)ms;
}
