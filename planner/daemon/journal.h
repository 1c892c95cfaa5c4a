/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * journal.h - the last changes of the plan, for followers that know an earlier version.
 *
 * Bounded in changes and in what they hold; whoever knows only what fell out reads everything.
 * Loop's thread.
 */
#ifndef C4_PLANNER_JOURNAL_H
#define C4_PLANNER_JOURNAL_H

#include "planner/daemon/edition.h"

#define C4_JOURNAL_DELTAS 64u
#define C4_JOURNAL_ITEMS  (1u << 18) /* moves and departures in all */

struct c4_journal {
	uint64_t base; /* the version before deltas[0]; 0: unknown */
	struct c4_delta *deltas[C4_JOURNAL_DELTAS];
	uint32_t n;
};

/* Holds d. One that does not follow the newest begins the journal anew. */
void c4_journal_add(struct c4_journal *j, struct c4_delta *d);
void c4_journal_release(struct c4_journal *j);

/* Index of the first delta after this version, j->n if it is the newest, -1 if it is not known. */
int c4_journal_since(const struct c4_journal *j, uint64_t version);

#endif
