/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - the little of NCCL's interface that its wrappers need, declared by ourselves so that
 * nothing of NCCL or CUDA has to be installed. RCCL has the same names and layouts.
 */
#ifndef C4_NCCL_API_TYPES_H
#define C4_NCCL_API_TYPES_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct c4_nccl_comm;   /* ncclComm_t points to it */
struct c4_nccl_config; /* ncclConfig_t */

/* ncclUniqueId: passed by value. */
struct c4_nccl_id {
	char bytes[128];
};

static_assert(sizeof(struct c4_nccl_id) == 128, "NCCL_UNIQUE_ID_BYTES");

/* ncclResult_t, as far as it matters: anything else is an error. */
enum c4_nccl_result {
	C4_NCCL_SUCCESS = 0,
	C4_NCCL_INVALID_USAGE = 5,
	C4_NCCL_IN_PROGRESS = 7, /* a nonblocking communicator is at it */
};

static inline int c4_nccl_failed(int rc)
{
	return rc != C4_NCCL_SUCCESS && rc != C4_NCCL_IN_PROGRESS;
}

#define C4_NCCL_NOCOLOR (-1) /* ncclCommSplit: not part of any child */

/* Bytes of an element of ncclDataType_t; 0: unknown. */
static inline uint32_t c4_nccl_type_bytes(int type)
{
	static const uint8_t bytes[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2, 1, 1};

	return (unsigned int)type < sizeof bytes ? bytes[type] : 0;
}

#endif
