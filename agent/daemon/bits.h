/* SPDX-License-Identifier: BSD-3-Clause */
/* bits.h - sets of slots, as the segment reader fills them: slot i is bit i % 64 of word i / 64. */
#ifndef C4_AGENT_BITS_H
#define C4_AGENT_BITS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool c4_bit_test(const uint64_t *bits, uint32_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

/* The first one set in [i, cap), cap if none is. */
static inline uint32_t c4_bit_next(const uint64_t *bits, uint32_t i, uint32_t cap)
{
	while (i < cap) {
		uint64_t rest = bits[i / 64] >> i % 64;

		if (rest) {
			i += (uint32_t)__builtin_ctzll(rest);
			return i < cap ? i : cap;
		}
		i = (i | 63) + 1;
	}
	return cap;
}

#define c4_bit_for_each(i, bits, cap)                                                              \
	for (uint32_t i = c4_bit_next(bits, 0, cap); i < (cap); i = c4_bit_next(bits, i + 1, cap))

#endif
