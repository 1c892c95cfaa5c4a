/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ratings.h - what the collector says of the network between pairs of hosts: its incidents of
 * slow-link and congestion, and the matrix of the job that they are of (collector/API.md).
 *
 * A rating is all that goes from ranks on one host and rail to ranks on another, over all
 * communicators: the slowest of it, in times the usual time per byte. It is accused if a confirmed
 * incident means it: a slow-link both of whose ranks are its ends, or a congestion, which names
 * nobody: then whatever is slow and has no end that is named for another reason. One thread.
 */
#ifndef C4_PLANNER_RATINGS_H
#define C4_PLANNER_RATINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "planner/model/fabric/fabric.h"

#define C4_RATINGS_MAX	(1u << 18)
#define C4_RATINGS_JOBS 16u  /* whose incidents are looked into at a time */
#define C4_RATING_SLOW	1.3f /* times the usual: the collector's own margin */

struct c4_rating {
	uint32_t src, dst;	     /* hosts */
	uint32_t src_rail, dst_rail; /* C4_NONE: the ranks are near no single one */
	float slow;
	uint32_t connections; /* of the slowest cell */
	bool accused, shared; /* shared: of congestion only */
};

struct c4_ratings {
	struct c4_rating *v;
	uint32_t n, cap;
	uint32_t unknown; /* cells with an end on no host of the fabric */
};

/* Answers of the collector; what they say of other jobs is not looked at. */
struct c4_ratings_source {
	const char *job;
	const json_t *incidents, *ranks, *matrix;
};

/*
 * The jobs that confirmed incidents of the network are of, each once, in jobs[C4_RATINGS_JOBS];
 * strings of the answer. Their number; -EINVAL: it is no answer to /api/v1/incidents.
 */
int c4_ratings_jobs(const json_t *incidents, const char **jobs);

/* Adds those of one job. 0, -EINVAL if an answer is not of the collector's form (said in *notes),
 * -E2BIG or -ENOMEM. */
int c4_ratings_add(struct c4_ratings *r, const struct c4_fabric *f,
		   const struct c4_ratings_source *s, struct c4_buf *notes);

/* Several of the same ends become one; sorted by source and destination host, then rails. */
void c4_ratings_close(struct c4_ratings *r);

void c4_ratings_release(struct c4_ratings *r);

#endif
