// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/journal.h"

#include <string.h>

static void drop_oldest(struct c4_journal *j, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		j->base = j->deltas[i]->version;
		c4_delta_drop(j->deltas[i]);
	}
	j->n -= n;
	memmove(j->deltas, j->deltas + n, j->n * sizeof *j->deltas);
}

void c4_journal_release(struct c4_journal *j)
{
	drop_oldest(j, j->n);
	j->base = 0;
}

static uint64_t newest(const struct c4_journal *j)
{
	return j->n ? j->deltas[j->n - 1]->version : j->base;
}

static void keep_to_limits(struct c4_journal *j)
{
	uint64_t items = 0;
	uint32_t keep = 0;

	while (keep < j->n && items <= C4_JOURNAL_ITEMS) {
		const struct c4_delta *d = j->deltas[j->n - ++keep];

		items += (uint64_t)d->n_moves + d->n_gone;
	}
	/* the newest is always kept: it is what every answer tells */
	if (items > C4_JOURNAL_ITEMS && keep > 1)
		drop_oldest(j, j->n - keep + 1);
}

void c4_journal_add(struct c4_journal *j, struct c4_delta *d)
{
	if (newest(j) != d->follows || d->partial) {
		c4_journal_release(j);
		j->base = d->partial ? 0 : d->follows;
	}
	if (j->n == C4_JOURNAL_DELTAS)
		drop_oldest(j, 1);
	j->deltas[j->n++] = c4_delta_hold(d);
	keep_to_limits(j);
}

int c4_journal_since(const struct c4_journal *j, uint64_t version)
{
	if (!version)
		return -1;
	if (version == j->base)
		return 0;
	for (uint32_t i = 0; i < j->n; i++)
		if (j->deltas[i]->version == version)
			return (int)i + 1;
	return -1;
}
