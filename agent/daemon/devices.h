/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devices.h - GPUs and network interfaces of this node: when they are read, and what of it is to be
 * told.
 *
 *	tick → a worker reads (gpu.h, nic.h) → the loop takes the result → due → told
 *
 * Reading may block for as long as a driver likes, so each kind has a request of its own in the
 * loop's pool of workers: at most one under way, the next no sooner than C4_DEVICES_READ_NS after
 * it. A driver that never comes back costs one worker and nothing else. A device is told when
 * something about it changed, or every C4_DEVICES_TELL_NS.
 *
 * Everything but the reading itself runs on the loop's thread.
 */
#ifndef C4_AGENT_DEVICES_H
#define C4_AGENT_DEVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "agent/daemon/gpu.h"
#include "agent/daemon/nic.h"

#define C4_DEVICES_READ_NS 5000000000ull
#define C4_DEVICES_TELL_NS 30000000000ull

struct c4_devices_config {
	const char *nvml; /* NULL: the driver's; tests have their own */
	struct c4_nic_source nics;
	void (*idle)(void *arg); /* a reading has ended */
	void *arg;
};

struct c4_devices_gpu {
	struct c4_gpu now, told;
	uint64_t told_ns; /* 0: not told */
};

struct c4_devices_nic {
	struct c4_nic now, told;
	uint64_t told_ns;
};

struct c4_devices_reading {
	struct c4_devices *owner;
	uv_work_t work;
	bool under_way;
	uint64_t begun_ns; /* of the last one, 0: none yet */
};

struct c4_devices {
	uv_loop_t *loop;
	struct c4_devices_config config;

	struct c4_devices_reading gpu_reading, nic_reading;
	struct c4_gpus *source;		 /* the worker's, while gpu_reading is under way */
	struct c4_gpu gpus[C4_GPUS_MAX]; /* likewise */
	uint32_t gpus_read;		 /* likewise */
	struct c4_nic nics[C4_NICS_MAX]; /* likewise, of nic_reading */
	uint32_t nics_read;		 /* likewise; may exceed C4_NICS_MAX */

	struct c4_devices_gpu gpu[C4_GPUS_MAX];
	struct c4_devices_nic nic[C4_NICS_MAX];
	uint32_t ngpus, nnics;
	bool crowded; /* there are more interfaces, which was logged */
};

/* 0 or -ENOMEM. */
int c4_devices_init(struct c4_devices *d, uv_loop_t *loop, const struct c4_devices_config *config);

/* None may be under way. */
void c4_devices_release(struct c4_devices *d);

/* Begins what is due. */
void c4_devices_tick(struct c4_devices *d, uint64_t now_ns);

/* A worker is reading. Its loop must not be closed, nor the process end but with _exit(2). */
bool c4_devices_busy(const struct c4_devices *d);

bool c4_devices_gpu_due(const struct c4_devices_gpu *g, uint64_t now_ns);
bool c4_devices_nic_due(const struct c4_devices_nic *n, uint64_t now_ns);

/* All that were due are in a post now. */
void c4_devices_told(struct c4_devices *d, uint64_t now_ns);

/* The collector knows nothing of them (any more). */
void c4_devices_forget_told(struct c4_devices *d);

#endif
