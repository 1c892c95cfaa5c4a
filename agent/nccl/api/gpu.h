/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gpu.h - the few calls of the GPU's runtime that time an operation, taken from whatever the
 * program has loaded: the CUDA or HIP runtime, or, where that is linked into the program, the CUDA
 * driver (streams and events are the same objects to it). We never load any of them.
 *
 * Manners: nothing here blocks. A stream that is being captured into a graph is not touched, and
 * the thread's capture mode is relaxed meanwhile, so that another thread's capture survives our
 * questions. The runtimes keep their last error for the program: with one pending we do nothing,
 * and our own are taken away again.
 */
#ifndef C4_NCCL_API_GPU_H
#define C4_NCCL_API_GPU_H

#include <stdbool.h>

/* Finds them; none is fine. May change errno. Once, before any other. */
void c4_gpu_resolve(const void *caller);
bool c4_gpu_usable(void);

/* Every use of the calls below is between these two; false: leave the GPU alone. */
struct c4_gpu_visit {
	int mode; /* the thread's capture mode */
	int saved_errno;
};
bool c4_gpu_enter(struct c4_gpu_visit *v);
void c4_gpu_leave(const struct c4_gpu_visit *v);

int c4_gpu_device(void);	     /* current device, -1: not known */
int c4_gpu_capturing(void *stream);  /* 1: yes, 0: no, -1: nobody can tell */
void *c4_gpu_event_new(void);	     /* on the current device; NULL: no */
void c4_gpu_event_free(void *event); /* NULL is fine */
bool c4_gpu_event_record(void *event, void *stream);
int c4_gpu_event_done(void *event);	      /* 1: passed, 0: not yet, -1: error */
double c4_gpu_event_ms(void *from, void *to); /* both passed; negative: error */

#endif
