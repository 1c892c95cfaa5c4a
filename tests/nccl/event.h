/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.h - profiler events without a version, and how each version of the interface writes them.
 */
#ifndef C4_TESTS_NCCL_EVENT_H
#define C4_TESTS_NCCL_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/nccl/abi.h"

/* What a start tells of an event: the union of what all types have. */
struct event {
	uint64_t type; /* enum abi_type, or whatever a newer NCCL might send */
	void *parent;  /* handles of the plugin */
	void *group;
	int64_t rank;
	const char *comm_name; /* v1 … v3: the communicator travels with the event */
	uint64_t comm_hash;
	const char *func, *datatype, *algo, *proto, *strategy, *phase, *variant;
	int64_t seq, count, root, channels, warps, peer, pid, channel, steps, chunk, is_send;
	int64_t step, ptimer, id, captured, depth, tag, symmetric;
	int64_t intra, batch, batches, ce_seq, complete, ranks, ops, bytes;
	void *buffer, *stream, *data;
};

/* What a state tells. */
struct event_args {
	int64_t bytes, steps, appended, ptimer;
	void *data;
	bool none; /* NULL is passed */
};

/* A type's name in streams, the version it came with, and the types that want it as an ancestor. */
struct event_type {
	const char *name;
	uint64_t type;
	int since;
	uint64_t wanted; /* delivered if any of these bits is set */
};

const struct event_type *event_type_find(const char *name);
const struct event_type *event_type_of(uint64_t type);

/* Number of a state by name, or -1. */
int event_state_find(const char *name);

/*
 * The descriptor of one version, of exactly the size it has there and with garbage in all padding,
 * so that reading what is not there is found out. free() it.
 */
void *event_descr(const struct event *e, int version);
void *event_args_make(const struct event_args *a, int state, int version);

#endif
