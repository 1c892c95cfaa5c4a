/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shared.h - words that the application's, the proxy's and NCCL's callback threads may touch at a
 * time. Plain moves on the machines we know; what has to be ordered says so where it is used.
 */
#ifndef C4_NCCL_SHARED_H
#define C4_NCCL_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#define c4_get(p)    __atomic_load_n((p), __ATOMIC_RELAXED)
#define c4_set(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/* What is rare is kept out of the way of what is not. */
#define C4_RARE __attribute__((noinline, cold))

/* Raises *p to v; true if it was lower. */
static inline bool c4_raise_u64(uint64_t *p, uint64_t v)
{
	uint64_t old = c4_get(p);

	while (old < v)
		if (__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return true;
	return false;
}

/* Lowers *p to v, where 0 stands for "nothing yet". */
static inline void c4_lower_u64(uint64_t *p, uint64_t v)
{
	uint64_t old = c4_get(p);

	while (!old || old > v)
		if (__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return;
}

#endif
