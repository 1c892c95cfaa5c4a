/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * absent.h - links that switches stopped using (planner/model/sense/absence.h): planned as dead, and
 * looked for until somebody meets them again.
 *
 * While a link is planned as dead nobody has a reason to try it: so an agent under its leaf that may
 * send raw packets is asked to trace a random port, another one each second (Watch). Where nobody
 * can, it is tried again after `hold` like a slow one (suspects.h). Loop's thread.
 */
#ifndef C4_PLANNER_ABSENT_H
#define C4_PLANNER_ABSENT_H

#include "planner/daemon/routes/agents.h"
#include "planner/daemon/routes/suspects.h"
#include "planner/model/oracle/path.h"
#include "planner/model/sense/absence.h"

#define C4_ABSENT_LOOK_NS 1000000000ull

struct c4_absent {
	struct c4_absence *absence; /* NULL: without memory nothing is found */
	uint64_t looked_ns, random;
	uint32_t turn;
};

void c4_absent_release(struct c4_absent *x);

/* Another fabric: what was met means nothing any more. It must stay until the next one comes. */
void c4_absent_follow(struct c4_absent *x, const struct c4_fabric *f);

/* An observation between two NICs; path NULL: nobody answered. drawn: of a random port. */
void c4_absent_note(struct c4_absent *x, const struct c4_edition *e, uint32_t src, uint32_t dst,
		    const struct c4_path *path, bool drawn);

/* Accuses, acquits, and asks agents to look. */
void c4_absent_look(struct c4_absent *x, struct c4_suspects *s, const struct c4_edition *e,
		    const struct c4_agents *agents, uint64_t now_ns);

#endif
