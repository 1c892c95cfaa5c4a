/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - what methods of routing achieved: outcomes of trials summed up, a row per method, and
 * rows as text, markdown or JSON. One thread.
 */
#ifndef C4_PLANNER_CLI_ROWS_H
#define C4_PLANNER_CLI_ROWS_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "planner/cli/trial.h"

#define C4_ROWS_MAX 20u

/* Rates are fractions of full speed, 1 = the job's connections run at their weight. */
struct c4_row {
	const char *method;
	uint32_t qps_least, qps_most; /* per connection */
	double slowest, worst;	      /* the slowest job: mean over seeds, and of all */
	double mean, p5;	      /* over jobs and seeds */
	double util, util_worst;      /* of the fullest link: mean over seeds, and worst */
	double bound;		      /* of the slowest job: mean over seeds */
	double of_bound;	      /* slowest / bound: worst of all seeds */
	double job_gbps;	      /* mean bus bandwidth, NAN: the scene has no such thing */
	double unpinned;	      /* share of QPs whose path no known port takes */
	double probes;		      /* per connection, NAN: none were made */
	double moves, moves_p95;      /* QPs per event, NAN: nothing moves */
};

struct c4_rows {
	struct c4_row row[C4_ROWS_MAX];
	uint32_t n;
};

/* Sums over seeds and events, while they come in. */
struct c4_summing {
	struct c4_row row; /* sums */
	double *rates, *moves;
	uint32_t n_rates, cap_rates, n_moves, cap_moves;
	uint32_t trials;
	uint64_t n_qps, unpinned, conns, probes;
};

/* 0 or -ENOMEM. */
int c4_summing_add(struct c4_summing *s, const struct c4_outcome *o, uint32_t conns);
int c4_summing_move(struct c4_summing *s, uint32_t moved);

/* The row; frees the rest. */
struct c4_row c4_summing_end(struct c4_summing *s, const char *method, double job_gbps);

void c4_rows_print(const struct c4_rows *rows, FILE *f);
void c4_rows_markdown(const struct c4_rows *rows, FILE *f);
json_t *c4_rows_json(const struct c4_rows *rows);

#endif
