/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group.h - what a thread has put into a NCCL group that it has not ended yet: NCCL makes the
 * communicators and launches the operations when the outermost group ends.
 */
#ifndef C4_NCCL_API_GROUP_H
#define C4_NCCL_API_GROUP_H

#include <stdint.h>

#include "agent/hook/record.h"
#include "agent/nccl/api/types.h"

#define C4_GROUP_CREATIONS 32u
#define C4_GROUP_OPS	   128u

struct c4_group {
	uint32_t depth; /* groups within groups */
	uint32_t ncreations;
	uint32_t nops;
	struct {
		uint32_t slot; /* or what a look-up would say */
		struct c4_nccl_comm **made;
	} creations[C4_GROUP_CREATIONS];
	struct {
		uint32_t slot, ticket; /* timing.h */
		void *stream;
	} ops[C4_GROUP_OPS];
};

extern _Thread_local struct c4_group c4_group __attribute__((visibility("hidden")));

/* Shows the thread inside operation opno of call->slot; c4_other_leave() hides it. */
void c4_api_show(struct c4_call *call, uint8_t kind, uint64_t opno);

#endif
