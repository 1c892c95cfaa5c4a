// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/runs.h"

int c4_runs_encode(const int32_t *ranks, size_t n, struct c4_seg_run *runs, size_t cap)
{
	size_t used = 0, i = 0;

	while (i < n) {
		struct c4_seg_run run = {ranks[i], 1, 1};
		size_t j = i + 1;

		if (j < n)
			run.stride = ranks[j] - ranks[i];
		while (j < n && ranks[j] - ranks[j - 1] == run.stride)
			j++;
		run.count = (uint32_t)(j - i);
		if (used == cap)
			return -1;
		runs[used++] = run;
		i = j;
	}
	return (int)used;
}

long c4_runs_count(const struct c4_seg_run *runs, size_t nruns, long limit)
{
	long total = 0;

	for (size_t i = 0; i < nruns; i++) {
		if (runs[i].count == 0 || runs[i].count > limit - total)
			return -1;
		total += runs[i].count;
	}
	return total;
}

void c4_runs_decode(const struct c4_seg_run *runs, size_t nruns, int32_t *ranks)
{
	for (size_t i = 0; i < nruns; i++)
		for (uint32_t k = 0; k < runs[i].count; k++)
			/* unsigned: a hostile stride wraps instead of being undefined */
			*ranks++ =
				(int32_t)((uint32_t)runs[i].first + k * (uint32_t)runs[i].stride);
}
