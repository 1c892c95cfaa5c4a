/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seats.h - where the ranks of the jobs are that the collector sees (collector/API.md:
 * /api/v1/ranks): host of the fabric, and which of the job's ranks there. One thread.
 */
#ifndef C4_PLANNER_SEATS_H
#define C4_PLANNER_SEATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/ds/strmap.h"
#include "planner/io/complaint.h"
#include "planner/model/fabric/fabric.h"

#define C4_SEATS_RANKS_MAX (1u << 20) /* of a job, as the collector's own limit */

struct c4_seat {
	const char *node; /* as reported; NULL: nobody has reported this rank */
	uint32_t host;	  /* of the fabric, or C4_NONE */
	uint32_t local;	  /* which of the job's ranks on this host */
	uint32_t of;	  /* how many there are */
};

struct c4_seat_job {
	const char *name;
	struct c4_seat *seats;
	uint32_t n, cap;
	bool running;
};

/* Names of nodes are those of the answer read, which has to stay. */
struct c4_seats {
	const struct c4_fabric *f;
	struct c4_seat_job *jobs;
	uint32_t n, cap;
	struct c4_strmap by_name; /* index + 1 */
	uint32_t *on_host;	  /* per host; all 0 between uses: scratch, of callers too */
};

/*
 * Fills *s, zeros before. 0, -EINVAL if the answer is not of the collector's form (a line in
 * *notes), or -ENOMEM; release in any case.
 */
int c4_seats_read(struct c4_seats *s, const struct c4_fabric *f, const json_t *ranks,
		  struct c4_complaints *notes);
void c4_seats_release(struct c4_seats *s);

/* The job's place in s->jobs; C4_NONE: no rank of it was told. */
uint32_t c4_seats_job(const struct c4_seats *s, const char *name);

/* NULL: nobody has reported it. */
const struct c4_seat *c4_seat_of(const struct c4_seat_job *j, json_int_t rank);

/* Of a host: its rails; rank k of n on a host is near rail k·rails/n. */
uint32_t c4_seats_rails(const struct c4_fabric *f, uint32_t host);
uint32_t c4_seat_rail(const struct c4_fabric *f, const struct c4_seat *s);

#endif
