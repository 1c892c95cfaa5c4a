/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_read.h - reads c4.plan/v1: as records for those who show it, or as a plan of a fabric and
 * demand that are at hand. Nothing in it is believed: names that are not in the fabric, links that
 * do not exist and numbers out of range do not become routes. One thread.
 */
#ifndef C4_PLANNER_PLAN_READ_H
#define C4_PLANNER_PLAN_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "planner/io/plan_json.h"

/* One item of "routes", "moves" or "unplaced"; strings are valid during the call. */
struct c4_plan_record {
	const char *id;
	const char *job; /* NULL: not told */
	uint32_t qp, plane;
	const char *path[C4_WAY_MAX]; /* of a route, or where a move goes */
	uint32_t n_path;
	const char *from[C4_WAY_MAX]; /* of a move: the way before */
	uint32_t n_from;
	uint32_t parallel[C4_HOPS_MAX]; /* which of parallel links, per hop */
	uint16_t sport;			/* 0: none */
	double load;			/* NAN: not told */
	const char *reason;		/* of a move, or of what is not placed */
};

/* What the document says of the whole; NAN where it does not. */
struct c4_plan_summary {
	double max_load, lower_bound, max_util, util_bound;
	uint64_t version; /* of a running planner; 0: none */
	uint64_t n_routes, n_moves, n_unplaced;
};

/* Any may be NULL; non-zero stops the reading. */
struct c4_plan_visitor {
	int (*route)(void *arg, const struct c4_plan_record *r);
	int (*move)(void *arg, const struct c4_plan_record *r);
	int (*unplaced)(void *arg, const struct c4_plan_record *r);
	void *arg;
};

/*
 * 0, what a visitor returned, or -EINVAL with lines "NAME:LINE: what, expected what" in *errors;
 * the visitors may then have seen a part. *ret is set on success.
 */
int c4_plan_read(const char *name, const char *text, size_t n, const struct c4_plan_visitor *v,
		 struct c4_plan_summary *ret, struct c4_buf *errors);

/*
 * The plan of this demand on this fabric: routes that the text has under the same id and QP, as far
 * as they are possible here, NONE elsewhere. *ret is initialised on success; *ret_unknown counts
 * routes of the text that found no place in it. 0, -EINVAL as above, or -ENOMEM.
 */
int c4_plan_read_onto(const struct c4_fabric *f, const struct c4_demand *d, const char *name,
		      const char *text, size_t n, struct c4_plan *ret, uint64_t *ret_unknown,
		      struct c4_buf *errors);

/*
 * For documents with items of the same kind. Reads one: NULL, or what is wrong with it; way: key of
 * the path; id may be NULL. Strings live as long as o.
 */
const char *c4_plan_record_parse(const json_t *o, const char *way, struct c4_plan_record *ret);

/* The route of the record's path from the connection's source to its destination. False, and *ret
 * untouched, if the fabric has no such way. */
bool c4_plan_record_route(const struct c4_fabric *f, const struct c4_conn *c,
			  const struct c4_plan_record *in, struct c4_route *ret);

#endif
