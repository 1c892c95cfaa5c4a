/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handle.h - what NCCL gets from us for an event or a communicator, and gives back: a number that
 * names a place in a pool and which of its lives is meant, never an address.
 *
 * So any handle may come back at any time: one of an event that is over, twice, or one of another
 * process of the node (PXN), is seen to be none of ours and ignored. 0 is "not followed".
 *
 *	bits 0-2 kind, 3-15 index in the pool, 16-23 sub (channel or step), 24-63 generation
 */
#ifndef C4_NCCL_HANDLE_H
#define C4_NCCL_HANDLE_H

#include <stdint.h>

enum c4_handle_kind {
	C4_HANDLE_NONE,
	C4_HANDLE_COMM,	  /* sub: unused, generation: of its id */
	C4_HANDLE_OP,	  /* a collective or a message */
	C4_HANDLE_KERNEL, /* a channel of one; index and generation are the operation's */
	C4_HANDLE_PROXY,  /* a proxy operation */
	C4_HANDLE_STEP,	  /* a step of one; index and generation are the proxy operation's */
};

#define C4_HANDLE_INDEXES  8192u
#define C4_HANDLE_GEN_MASK 0xffffffffffULL

struct c4_handle {
	uint64_t gen;
	uint16_t index;
	uint8_t kind; /* enum c4_handle_kind */
	uint8_t sub;
};

static inline void *c4_handle_make(struct c4_handle h)
{
	return (void *)(uintptr_t)((h.gen & C4_HANDLE_GEN_MASK) << 24 | (uint64_t)h.sub << 16 |
				   (uint64_t)h.index << 3 | h.kind);
}

static inline struct c4_handle c4_handle_read(const void *handle)
{
	uint64_t x = (uintptr_t)handle;

	return (struct c4_handle){.gen = x >> 24,
				  .sub = (uint8_t)(x >> 16),
				  .index = (uint16_t)(x >> 3 & (C4_HANDLE_INDEXES - 1)),
				  .kind = x & 7};
}

#endif
