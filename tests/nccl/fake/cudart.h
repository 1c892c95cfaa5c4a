/* SPDX-License-Identifier: BSD-3-Clause */
/* cudart.h - the part of the CUDA runtime's interface that cudart.c stands in for. */
#ifndef STANDIN_CUDART_H
#define STANDIN_CUDART_H

#include <stddef.h>
#include <stdint.h>

int cudaStreamCreate(void **stream);
int cudaStreamDestroy(void *stream);
int cudaStreamIsCapturing(void *stream, int *status);
int cudaThreadExchangeStreamCaptureMode(int *swap);
int cudaGetDevice(int *ret);
int cudaSetDevice(int d);
int cudaEventCreateWithFlags(void **event, unsigned int flags);
int cudaEventDestroy(void *event);
int cudaEventRecord(void *event, void *stream);
int cudaEventQuery(void *event);
int cudaEventElapsedTime(float *ms, void *from, void *to);
int cudaGetDeviceCount(int *n);
const char *cudaGetErrorString(int error);
int cudaStreamCreateWithFlags(void **stream, unsigned int flags);
int cudaStreamSynchronize(void *stream);
int cudaMalloc(void **memory, size_t n);
int cudaMemset(void *memory, int value, size_t n);
int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *stream);
int cudaPeekAtLastError(void);
int cudaGetLastError(void);

/* When the stream will have done all it has, on CLOCK_MONOTONIC; never in the past. */
uint64_t standinStreamEnd(void *stream);
void standinStreamExtend(void *stream, uint64_t end_ns);
void standinStreamCapture(void *stream, int on);

#endif
