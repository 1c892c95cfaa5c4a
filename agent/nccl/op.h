/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op.h - operations between the moment they are handed to a stream and the end of their kernel.
 *
 *	begin            handed to a stream: number, `entered`
 *	kernel begin     first channel: gpu_started
 *	end              NCCL is done handing it over; it may still be running, or not even have
 *			 begun: what runs it (kernel channels, proxies) comes before and after
 *	kernel end       last channel: `finished`, record
 *
 * When is it over? With as many channels ended as NCCL said there are. Where it does not say, or
 * says too many (messages: those with nothing to send never begin), when all that began have
 * ended and it was handed over completely; at the latest when a kernel of a later plan begins. One
 * without kernel events (symmetric kernels, NCCL before 2.26, copy engines) is timed on the host,
 * and is over with its proxies or at once; but where kernels are usually seen only when a later
 * one proves it, or after SILENT_NS.
 *
 * An operation lives in a fixed pool until it is over and handed over. What refers to it later is
 * told by its handle that it is gone. Any thread; every field that two may touch is atomic.
 */
#ifndef C4_NCCL_OP_H
#define C4_NCCL_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/nccl/comm.h"
#include "agent/nccl/event.h"

/* Once, before all else. salt: differs between processes. */
void c4_prof_ops_init(uint64_t salt);

/* Handles, NULL: not followed. */
void *c4_prof_op_begin(struct c4_prof_comm *c, const struct c4_prof_event *ev);
void *c4_prof_kernel_begin(const void *op, uint32_t channel, uint64_t gpu_ns);

/* These take handles of theirs; any that is over, or somebody else's, is ignored. */
void c4_prof_op_end(const void *op);
void c4_prof_kernel_time(const void *kernel, uint64_t gpu_ns);
void c4_prof_kernel_end(const void *kernel);

/* What a proxy operation wants to know of its parent. */
struct c4_prof_parent {
	struct c4_prof_comm *comm;
	uint64_t opno;
	bool refused; /* its steps are not to be told: the proxy operation is not counted */
};

/* A proxy operation begins for it: false if it is not ours or gone, then *ret is untouched. */
bool c4_prof_op_proxy_begin(const void *op, struct c4_prof_parent *ret);
void c4_prof_op_proxy_end(const void *op);

bool c4_prof_op_alive(const void *op);

/* The communicator is closed: nothing more is recorded of its operations. */
void c4_prof_ops_drop(const struct c4_prof_comm *c);

#endif
