/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gpu.h - the health of this node's GPUs, as the driver's library tells it (nvml.h).
 *
 * No library, no driver, a call that fails or is missing: then that is not known and reads 0; it is
 * never an error. All calls may block: they belong on a worker, one at a time.
 */
#ifndef C4_AGENT_GPU_H
#define C4_AGENT_GPU_H

#include <stdint.h>

#define C4_GPUS_MAX	  64u
#define C4_GPU_BUS_BYTES  16
#define C4_GPU_NAME_BYTES 64

/* As message Gpu. */
struct c4_gpu {
	uint32_t index;
	char bus[C4_GPU_BUS_BYTES]; /* "0000:3b:00.0" */
	char name[C4_GPU_NAME_BYTES];
	uint32_t sm_mhz, sm_max_mhz;
	uint64_t throttle;
	uint32_t celsius, watts;
	uint64_t ecc_uncorrected;
	uint64_t nvlink_errors;
	uint64_t xids;
	uint32_t last_xid;
	uint64_t last_xid_ns; /* CLOCK_MONOTONIC, as given to c4_gpus_read() */
};

struct c4_gpus;

/* library: NULL for the driver's. NULL: out of memory. */
struct c4_gpus *c4_gpus_new(const char *library);

/* Calls nothing in the library, which might block; for that reason it stays loaded. */
void c4_gpus_free(struct c4_gpus *s);

/*
 * Reads all of them into out[C4_GPUS_MAX]; returns how many there are. Looks for the library first
 * if it was not there yet, but not each time.
 */
uint32_t c4_gpus_read(struct c4_gpus *s, uint64_t now_ns, struct c4_gpu *out);

#endif
