// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/request.h"

#include <assert.h>

#define FREE  0u
#define TAKEN 1u /* no handle: addresses are even and larger, Fortran's numbers begin at 3 */

static uint64_t keys[C4_REQ_CELLS] __attribute__((aligned(128)));
static struct c4_request cells[C4_REQ_CELLS];

static uint32_t bucket(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 54) * C4_REQ_WAYS;
}

static_assert(C4_REQ_CELLS / C4_REQ_WAYS == 1u << (64 - 54), "buckets and hash bits agree");

int32_t c4_request_find(uint64_t key)
{
	uint32_t first = bucket(key);

	for (uint32_t i = first; i < first + C4_REQ_WAYS; i++)
		if (__atomic_load_n(&keys[i], __ATOMIC_ACQUIRE) == key)
			return (int32_t)i;
	return -1;
}

int32_t c4_request_take(uint64_t key)
{
	int32_t cell = key > TAKEN ? c4_request_find(key) : -1;

	if (cell >= 0)
		__atomic_store_n(&keys[cell], TAKEN, __ATOMIC_RELAXED);
	return cell;
}

/* Claims a free cell of the key's bucket, or -1. */
static int32_t claim(uint64_t key)
{
	uint32_t first = bucket(key);

	for (uint32_t i = first; i < first + C4_REQ_WAYS; i++) {
		uint64_t expected = FREE;

		if (__atomic_load_n(&keys[i], __ATOMIC_RELAXED) == FREE &&
		    __atomic_compare_exchange_n(&keys[i], &expected, TAKEN, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return (int32_t)i;
	}
	return -1;
}

bool c4_request_add(uint64_t key, const struct c4_request *r, struct c4_request *stale,
		    bool *was_stale)
{
	int32_t cell = c4_request_take(key);

	*was_stale = cell >= 0;
	if (cell >= 0)
		*stale = cells[cell];
	else
		cell = claim(key);
	if (cell < 0)
		return false;
	cells[cell] = *r;
	c4_request_put(cell, key);
	return true;
}

void c4_request_put(int32_t cell, uint64_t key)
{
	__atomic_store_n(&keys[cell], key, __ATOMIC_RELEASE);
}

void c4_request_drop(int32_t cell)
{
	__atomic_store_n(&keys[cell], FREE, __ATOMIC_RELEASE);
}

struct c4_request *c4_request_at(int32_t cell)
{
	return &cells[cell];
}
