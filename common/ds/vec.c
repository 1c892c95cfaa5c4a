// SPDX-License-Identifier: BSD-3-Clause
#include "common/ds/vec.h"

#include <stdlib.h>

void *c4_vec_reserve(void *data, uint32_t *cap, uint32_t need, uint32_t limit, size_t item)
{
	uint64_t more = *cap ? *cap : 4;
	void *grown;

	if (need <= *cap && data)
		return data;
	if (need > limit)
		return NULL;
	while (more < need)
		more *= 2;
	if (more > limit)
		more = limit;
	grown = reallocarray(data, more, item);
	if (grown)
		*cap = (uint32_t)more;
	return grown;
}

void *c4_vec_reserve_tight(void *data, uint32_t *cap, uint32_t need, uint32_t limit, size_t item)
{
	uint64_t enough = (uint64_t)need + need / 32 + 16;

	return c4_vec_reserve(data, cap, need, enough < limit ? (uint32_t)enough : limit, item);
}
