/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * source.h - where the demand comes from: a file, or the collector. Fetching blocks: for workers.
 *
 * What was fetched is kept as it came, because the same answer means something else on another
 * fabric: it becomes a demand only together with one. One thread at a time.
 */
#ifndef C4_PLANNER_SOURCE_H
#define C4_PLANNER_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "planner/model/demand/demand.h"

/* News of the demand as they came. */
struct c4_source;

void c4_source_free(struct c4_source *s);

/* Initialises *d. 0, or a negative errno with the reason in why[n]. Names nobody knows are left out
 * of a live demand, and counted in *ret_skipped; in a file they are mistakes. */
int c4_source_demand(const struct c4_source *s, const struct c4_fabric *f, struct c4_demand *d,
		     uint64_t *ret_skipped, char *why, size_t n);

/* Who is asked. */
struct c4_demand_feed;

/* The file, or if that is NULL the collector ("HOST:PORT"); not copied. NULL: out of memory or a
 * malformed address. */
struct c4_demand_feed *c4_demand_feed_new(const char *file, const char *collector);
void c4_demand_feed_free(struct c4_demand_feed *f);

struct c4_fetch_opts {
	bool forced;  /* read the file even if it was not written again */
	bool patient; /* there are routes to lose: a collector that was just started is not believed
		       * yet, because no agent has told it of the jobs that run */
};

/*
 * 0 with *ret, which is NULL when nothing is new since the last one (a file that was not written
 * again, a collector not to be believed yet); or a negative errno with the reason in why[n].
 */
int c4_demand_feed_fetch(struct c4_demand_feed *f, const struct c4_fetch_opts *o,
			 struct c4_source **ret, char *why, size_t n);

#endif
