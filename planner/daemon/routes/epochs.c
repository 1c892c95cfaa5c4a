// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/routes/epochs.h"

#include <errno.h>
#include <stdlib.h>

void c4_epochs_release(struct c4_epochs *e)
{
	free(e->v);
	*e = (struct c4_epochs){0};
}

/* What switch s of the newer edition has now. */
static uint64_t next_of(const struct c4_epochs *e, const struct c4_edition *was,
			const struct c4_edition *is, uint32_t s, uint64_t wall_ms)
{
	uint32_t old = s;

	if (!was || !was->fabric)
		return (uint64_t)is->epochs[s] + 1;
	if (was->fabric != is->fabric)
		old = c4_fabric_switch(&was->fabric->fabric, is->fabric->fabric.switches[s].name);
	if (old == C4_NONE)
		return wall_ms;
	if (was->epochs[old] == is->epochs[s])
		return e->v[old];
	return wall_ms > e->v[old] ? wall_ms : e->v[old] + 1;
}

int c4_epochs_next(const struct c4_epochs *e, const struct c4_edition *was,
		   const struct c4_edition *is, uint64_t wall_ms, struct c4_epochs *ret)
{
	uint32_t n = is->fabric ? is->fabric->fabric.n_switches : 0;
	uint64_t *next = malloc(((size_t)n + 1) * sizeof *next);

	if (!next)
		return -ENOMEM;
	for (uint32_t s = 0; s < n; s++)
		next[s] = next_of(e, was, is, s, wall_ms);
	*ret = (struct c4_epochs){.v = next, .n = n};
	return 0;
}
