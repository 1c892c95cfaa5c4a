/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answer.h - a plan as c4.plan/v1, whole, of one host, or what is new since a version; written
 * piece by piece while it is sent. The edition and the deltas it tells of are held meanwhile, so
 * a plan that changes does not disturb an answer under way. Loop's thread.
 */
#ifndef C4_PLANNER_ANSWER_H
#define C4_PLANNER_ANSWER_H

#include "common/request.h"
#include "planner/daemon/journal.h"

struct c4_answer_opts {
	const char *instance, *standing; /* static, or as long-lived as the planner */
	uint32_t host;			 /* only routes from here; C4_NONE: all */
	uint64_t
		since; /* only what is newer; 0, or a version that the journal does not know: all */
};

/* NULL: out of memory. */
struct c4_stream *c4_answer_new(struct c4_edition *e, const struct c4_journal *j,
				const struct c4_answer_opts *o);

#endif
