// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/conn.h"

#include <stddef.h>

#include "common/base/clock.h"
#include "common/base/fence.h"
#include "common/base/hash.h"

#define WAYS 16u

/* What a place's key may be instead of a hash. */
#define FREE  0u
#define TAKEN 1u /* being registered */
#define DEAD  2u

static uint64_t keys[C4_SEG_CONNS] __attribute__((aligned(128)));

static uint64_t hash_key(const struct c4_prof_conn_key *k)
{
	uint64_t ends = (uint64_t)(uint32_t)k->rank << 32 | (uint32_t)k->peer;
	uint64_t rest = (uint64_t)k->channel << 2 | (uint64_t)k->sends << 1 | k->foreign;
	uint64_t h = c4_mix64(k->comm ^ c4_mix64(ends ^ c4_mix64(rest)));

	return h > DEAD ? h : h + DEAD + 1;
}

static uint32_t bucket(uint64_t hash)
{
	return (uint32_t)(hash >> 32) % (C4_SEG_CONNS / WAYS) * WAYS;
}

/* The place that holds `wanted`, C4_SEG_CONNS if none of the bucket does. */
static uint32_t find(uint64_t hash, uint64_t wanted)
{
	uint32_t first = bucket(hash);

	for (uint32_t i = first; i < first + WAYS; i++)
		if (__atomic_load_n(&keys[i], __ATOMIC_ACQUIRE) == wanted)
			return i;
	return C4_SEG_CONNS;
}

static void write_begin(struct c4_seg_conn *c)
{
	__atomic_store_n(&c->gen, c->gen + 1, __ATOMIC_RELAXED);
	c4_fence_release();
}

static void write_end(struct c4_seg_conn *c)
{
	__atomic_store_n(&c->gen, c->gen + 1, __ATOMIC_RELEASE);
}

static void clear_sums(struct c4_seg_conn *c)
{
	c4_set(&c->opno, 0);
	c4_set(&c->phase, C4_CONN_IDLE);
	c4_set(&c->active, 0);
	c4_set(&c->posted, 0);
	c4_set(&c->transmitted, 0);
	c4_set(&c->done, 0);
	c4_set(&c->bytes, 0);
	c4_set(&c->max_us, 0);
	c4_set(&c->busy_ticks, 0);
	c4_set(&c->gpu_ticks, 0);
	c4_set(&c->peer_ticks, 0);
}

static void fill(struct c4_seg_conn *c, const struct c4_prof_conn_key *k)
{
	write_begin(c);
	clear_sums(c);
	c->comm = k->comm;
	c->rank = k->rank;
	c->peer = k->peer;
	c->channel = k->channel;
	c->sends = k->sends;
	c->flags = k->foreign ? C4_CONN_FOREIGN : 0;
	c4_set(&c->change_ticks, c4_ticks(c4_hook.clock));
	c4_set(&c->state, C4_COMM_LIVE);
	write_end(c);
}

/* A place of the bucket for a new connection: a free one, else a dead one. */
static uint32_t claim(uint64_t hash)
{
	const uint64_t wanted[] = {FREE, DEAD};

	for (uint32_t n = 0; n < 2 * WAYS; n++) {
		uint64_t expected = wanted[n / WAYS];
		uint32_t i = find(hash, expected);

		if (i < C4_SEG_CONNS &&
		    __atomic_compare_exchange_n(&keys[i], &expected, TAKEN, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return i;
	}
	return C4_SEG_CONNS;
}

struct c4_seg_conn *c4_prof_conn(const struct c4_prof_conn_key *key)
{
	uint64_t hash = hash_key(key);
	uint32_t i = find(hash, hash);

	if (i < C4_SEG_CONNS)
		return &c4_hook.seg.conns[i];
	i = claim(hash);
	if (i == C4_SEG_CONNS) {
		c4_seg_lose(&c4_hook.seg, C4_LOST_CONNS);
		return NULL;
	}
	fill(&c4_hook.seg.conns[i], key);
	__atomic_store_n(&keys[i], hash, __ATOMIC_RELEASE);
	return &c4_hook.seg.conns[i];
}

void c4_prof_conns_drop(uint64_t comm, int32_t rank)
{
	for (uint32_t i = 0; i < C4_SEG_CONNS; i++) {
		struct c4_seg_conn *c = &c4_hook.seg.conns[i];

		if (__atomic_load_n(&keys[i], __ATOMIC_ACQUIRE) <= DEAD || c->comm != comm ||
		    (c->rank != rank && !(c->flags & C4_CONN_FOREIGN)))
			continue;
		write_begin(c);
		c4_set(&c->state, C4_COMM_DEAD);
		write_end(c);
		__atomic_store_n(&keys[i], DEAD, __ATOMIC_RELEASE);
	}
}
