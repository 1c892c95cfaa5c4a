// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/block.h"

#include <string.h>

void c4_block_init(struct c4_block *b, uint64_t comm, uint64_t first, uint8_t level)
{
	memset(b, 0, sizeof *b);
	b->comm = comm;
	b->first = first;
	b->level = level;
}

static unsigned int bucket(uint64_t ns)
{
	uint64_t us = ns / 1000;
	unsigned int i = us < 2 ? 0 : 63 - (unsigned int)__builtin_clzll(us);

	return i < C4_BLOCK_BUCKETS ? i : C4_BLOCK_BUCKETS - 1;
}

static void account_sync(struct c4_block *b, const struct c4_event *ev, uint64_t ns)
{
	if (!b->sync_count || ns < b->sync_min_ns)
		b->sync_min_ns = ns;
	if (ns > b->sync_max_ns)
		b->sync_max_ns = ns;
	b->sync_sum_ns += ns;
	b->sync_count++;
	b->sync_hist[bucket(ns)]++;
	b->sync_bytes[c4_op_info(ev->kind)->bus] += ev->bytes;
}

static void account_span(struct c4_block *b, const struct c4_op_times *t)
{
	uint64_t own = t->span_ns - t->inside_ns - t->elsewhere_ns;

	b->span_count++;
	b->span_sum_ns += t->span_ns;
	b->own_sum_ns += own;
	b->elsewhere_sum_ns += t->elsewhere_ns;
	if (t->span_ns > b->span_max_ns)
		b->span_max_ns = t->span_ns;
	if (own > b->own_max_ns)
		b->own_max_ns = own;
}

void c4_block_account(struct c4_block *b, const struct c4_event *ev, const struct c4_op_times *t)
{
	bool blocking = !(ev->flags & C4_EV_NONBLOCKING);

	if (blocking && c4_op_info(ev->kind)->cls == C4_CLASS_SYNC)
		account_sync(b, ev, t->inside_ns);
	if (t->span_known)
		account_span(b, t);
	b->inside_sum_ns += t->inside_ns;
	b->bytes += ev->bytes;
	b->signature += c4_op_signature(ev->opno, ev->kind, ev->bytes, ev->root);
	b->errors += !!(ev->flags & C4_EV_ERROR);
	if (c4_op_info(ev->kind)->cls == C4_CLASS_SYNC || c4_op_info(b->kind)->cls != C4_CLASS_SYNC)
		b->kind = ev->kind;
}
