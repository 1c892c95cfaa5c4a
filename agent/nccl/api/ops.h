/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ops.h - collectives, messages and groups, between the wrappers and the segment.
 *
 * A collective takes its number when it is called, and is over when its kernel is (timing.h). The
 * thread is shown inside the call meanwhile: NCCL connects to peers at first use, and can hang
 * there. Operations captured into a graph are called once and run many times, unseen by us: they
 * are counted as calls only.
 */
#ifndef C4_NCCL_API_OPS_H
#define C4_NCCL_API_OPS_H

#include "agent/hook/record.h"
#include "agent/nccl/api/group.h"
#include "agent/nccl/api/types.h"

/* The _begin functions take a call that was opened, in the frame of the wrapper (record.h); the
 * _end functions one that may not be open. */

enum c4_parts { C4_PART_ONE, C4_PART_ALL };

struct c4_coll {
	struct c4_call call;
	uint32_t ticket;
	void *stream;
};

/* args->bytes: of one part. */
void c4_coll_begin(struct c4_coll *o, struct c4_nccl_comm *comm, void *stream,
		   struct c4_op_args args, enum c4_parts parts);
void c4_coll_end(struct c4_coll *o, int rc);

void c4_message_begin(struct c4_call *call, struct c4_nccl_comm *comm, uint8_t kind,
		      uint64_t bytes);
void c4_message_end(struct c4_call *call, int rc);

/* The thread's group was opened once more; is about to be closed, with something in it; was. */
void c4_group_started(int rc);
void c4_group_end_begin(struct c4_call *call);
void c4_group_end_end(struct c4_call *call, int rc);

#endif
