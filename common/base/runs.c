// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/runs.h"

int c4_runs_append(struct c4_seg_run *runs, size_t used, size_t cap, int32_t rank)
{
	struct c4_seg_run *last = used ? &runs[used - 1] : NULL;

	if (last && last->count == 1)
		last->stride = rank - last->first;
	if (last && rank == last->first + (int32_t)last->count * last->stride) {
		last->count++;
		return (int)used;
	}
	if (used == cap)
		return -1;
	runs[used] = (struct c4_seg_run){rank, 1, 1};
	return (int)used + 1;
}

int c4_runs_encode(const int32_t *ranks, size_t n, struct c4_seg_run *runs, size_t cap)
{
	int used = 0;

	for (size_t i = 0; i < n && used >= 0; i++)
		used = c4_runs_append(runs, (size_t)used, cap, ranks[i]);
	return used;
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
