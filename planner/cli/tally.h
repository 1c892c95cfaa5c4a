/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tally.h - a plan as people look at it: who is on which spine, the fullest links, what moved and
 * why, what found no place. Counts everything, keeps names up to the limits below. One thread.
 */
#ifndef C4_PLANNER_TALLY_H
#define C4_PLANNER_TALLY_H

#include <stdint.h>
#include <stdio.h>

#include "common/ds/strmap.h"
#include "planner/io/plan_read.h"

#define C4_TALLY_JOBS_MAX (1u << 20) /* pairs of spine and job */
#define C4_TALLY_LINES	  16u	     /* links, moves, unplaced: lines of each list */

struct c4_tally_seat; /* QPs of a job on a spine */

struct c4_tally_spine {
	const char *name;
	uint64_t qps, jobs;
	double load;
	struct c4_tally_seat *seats; /* newest first */
};

struct c4_tally_link {
	const char *from, *to;
	uint64_t qps;
	double load;
};

struct c4_tally {
	struct c4_tally_spine *spines;
	struct c4_tally_link *links; /* one per direction */
	uint32_t n_spines, cap_spines, n_links, cap_links;
	uint32_t n_seats;
	struct c4_strmap names, spine_of, link_of, seat_of, reasons;
	uint64_t n_local;
	char *moves[C4_TALLY_LINES], *unplaced[C4_TALLY_LINES];
	uint64_t n_moves, n_unplaced;
	int failed; /* out of memory: counts are not complete */
};

void c4_tally_init(struct c4_tally *t);
void c4_tally_release(struct c4_tally *t);

/* Visitors (plan_read.h); always 0. */
int c4_tally_route(void *tally, const struct c4_plan_record *r);
int c4_tally_move(void *tally, const struct c4_plan_record *r);
int c4_tally_unplaced(void *tally, const struct c4_plan_record *r);

/* One line: load against bound, unplaced, moved. */
void c4_tally_headline(const struct c4_tally *t, const struct c4_plan_summary *sum, FILE *f);
void c4_tally_spines(struct c4_tally *t, FILE *f);
void c4_tally_links(struct c4_tally *t, FILE *f); /* the fullest ones */
void c4_tally_moves(const struct c4_tally *t, FILE *f);
void c4_tally_not_placed(const struct c4_tally *t, FILE *f);

#endif
