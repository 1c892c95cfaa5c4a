/* SPDX-License-Identifier: BSD-3-Clause */
/* hash.h - small non-cryptographic hashes, equal on every machine of a job. Pure. */
#ifndef C4_BASE_HASH_H
#define C4_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection that spreads every bit. */
static inline uint64_t c4_mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Order matters: combine(combine(h, a), b) differs from combine(combine(h, b), a). */
static inline uint64_t c4_hash_u64(uint64_t h, uint64_t x)
{
	return c4_mix64(h ^ c4_mix64(x));
}

/* FNV-1a, then mixed. */
static inline uint64_t c4_hash_bytes(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	h ^= 0xcbf29ce484222325ULL;
	while (n--)
		h = (h ^ *p++) * 0x100000001b3ULL;
	return c4_mix64(h);
}

#endif
