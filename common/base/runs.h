/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * runs.h - a communicator's members as runs of world ranks (first, stride, count), in order.
 * "All of 100 000" is one run, a column of a grid too. Pure; nothing allocates.
 */
#ifndef C4_BASE_RUNS_H
#define C4_BASE_RUNS_H

#include <stddef.h>
#include <stdint.h>

#include "c4/segment.h"

/* Adds one rank to runs[0…used): the new number of runs, or -1 if more than cap. */
int c4_runs_append(struct c4_seg_run *runs, size_t used, size_t cap, int32_t rank);

/* Greedy encoding of n ranks. Returns the number of runs, or -1 if more than cap (runs untouched
 * beyond cap). */
int c4_runs_encode(const int32_t *ranks, size_t n, struct c4_seg_run *runs, size_t cap);

/* Number of members, or -1 if any run is absurd (count 0 or beyond limit in total). */
long c4_runs_count(const struct c4_seg_run *runs, size_t nruns, long limit);

/* Writes the members; ranks holds c4_runs_count() of them. */
void c4_runs_decode(const struct c4_seg_run *runs, size_t nruns, int32_t *ranks);

#endif
