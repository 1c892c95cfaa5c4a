/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * linktab.h - what planners said last of links (POST /v1/links), and the incidents that follow.
 *
 * A post replaces everything its planner said before; what is not said again within its time to
 * live is forgotten. The incidents are those of the job C4_LINKTAB_JOB, that nobody runs: a link
 * serves many. They live like all others: confirmed, resolved a while after the last word.
 * One thread; at most C4_LINKTAB_MAX links.
 */
#ifndef C4_COLLECTOR_LINKTAB_H
#define C4_COLLECTOR_LINKTAB_H

#include "collector/diag/link.h"
#include "collector/incident.h"

#define C4_LINKTAB_MAX	    1024u /* links of all planners */
#define C4_LINKTAB_BODY_MAX (1u << 20)
#define C4_LINKTAB_JOB	    "fabric"
#define C4_LINKTAB_SCHEMA   "c4.links/v1"

struct c4_linktab_row {
	uint64_t planner;    /* a hash of its instance */
	uint64_t expires_ns; /* the collector's time */
	uint64_t heard_ns;
	struct c4_link_found found; /* since_ns as of heard_ns */
};

struct c4_linktab {
	struct c4_linktab_row *rows;
	uint32_t n, cap;
	uint64_t posts, refused, lost; /* lost: links without room */
	struct c4_job *job;	       /* stands for the network; NULL before the first row */
};

void c4_linktab_release(struct c4_linktab *t);

/* 0, or -EINVAL with the reason in why[n] and nothing changed; -ENOMEM. */
int c4_linktab_post(struct c4_linktab *t, const void *body, size_t bytes, uint64_t now_ns,
		    char *why, size_t n);

/* Forgets what is old, brings the incidents up to date. */
void c4_linktab_look(struct c4_linktab *t, struct c4_incidents *set, uint64_t now_ns,
		     uint64_t wall_ns);

#endif
