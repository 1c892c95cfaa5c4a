/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.h - sums over finished operations of one communicator, as message Block (c4.proto) says
 * what they mean. Pure, nothing allocates.
 */
#ifndef C4_AGENT_BLOCK_H
#define C4_AGENT_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "c4/op.h"
#include "c4/segment.h"

#define C4_BLOCK_BUCKETS 32 /* of the histogram: the last begins at 2^31 µs, 36 minutes */
#define C4_BLOCK_BUSES	 (C4_BUS_FULL + 1)

/* As message Block; bytes by enum c4_op_bus instead of bus bytes, which need the size. */
struct c4_block {
	uint64_t comm;
	uint64_t first;
	uint32_t count; /* operations covered, the missing ones too */
	uint32_t missing;
	uint8_t level;
	uint8_t kind;
	bool partial;
	uint32_t errors;
	uint32_t sync_count;
	uint32_t span_count;
	uint64_t sync_sum_ns, sync_min_ns, sync_max_ns;
	uint64_t span_sum_ns, span_max_ns;
	uint64_t own_sum_ns, own_max_ns;
	uint64_t elsewhere_sum_ns;
	uint64_t inside_sum_ns;
	uint64_t bytes;
	uint64_t sync_bytes[C4_BLOCK_BUSES];
	uint64_t signature;
	uint32_t sync_hist[C4_BLOCK_BUCKETS];
};

/* How long one operation took; inside + elsewhere <= span. */
struct c4_op_times {
	uint64_t inside_ns;
	bool span_known;
	uint64_t span_ns;
	uint64_t elsewhere_ns;
};

/* Empty, to begin at operation `first`. */
void c4_block_init(struct c4_block *b, uint64_t comm, uint64_t first, uint8_t level);

/* Adds an operation's figures; count and missing are the caller's. */
void c4_block_account(struct c4_block *b, const struct c4_event *ev, const struct c4_op_times *t);

#endif
