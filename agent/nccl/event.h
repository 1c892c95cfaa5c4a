/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * event.h - what NCCL tells of, whichever version of its profiler interface it speaks.
 *
 * An adapter (adapt.c) fills one in on its stack; what it points to is read during the call only.
 */
#ifndef C4_NCCL_EVENT_H
#define C4_NCCL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#define C4_PROF_MAX_CHANNELS 64u

/* A collective or a message that was handed to a stream. */
struct c4_prof_task {
	uint8_t kind;	    /* enum c4_op; C4_OP_NONE: one we do not know */
	uint8_t dtype;	    /* ncclDataType_t + 1, 0 unknown */
	uint8_t channels;   /* that will run it, 0 if not known for sure */
	bool copy_engine;   /* no kernel runs it */
	int32_t root;	    /* messages: the peer */
	uint64_t count;	    /* elements as NCCL counts them */
	const char *name;   /* versions 1 to 3: the communicator's, may be NULL */
	uint64_t comm_hash; /* … and its hash */
};

struct c4_prof_proxy_op {
	int32_t pid; /* of the process that the parent is a handle of */
	int32_t peer;
	uint8_t channel;
	bool sends;
};

struct c4_prof_event {
	uint32_t type; /* enum c4_abi_event, one bit, but for steps; others are ignored */
	int32_t rank;
	void *parent;
	union {
		struct c4_prof_task task; /* COLL, P2P, CE_COLL */
		struct c4_prof_proxy_op proxy_op;
		bool captured; /* COLL_API: goes into a graph, not to a stream */
		struct {
			uint8_t channel;
			uint64_t gpu_ns; /* 0: this version does not say */
		} kernel;
	};
};

#endif
