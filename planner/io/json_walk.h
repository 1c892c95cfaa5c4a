/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json_walk.h - a large JSON document piece by piece: one object whose long arrays are handed over
 * element by element, so that a million of them never stand in memory at once; and complaints of
 * those who read it so. One thread.
 */
#ifndef C4_PLANNER_JSON_WALK_H
#define C4_PLANNER_JSON_WALK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/io/complaint.h"

struct c4_json_item {
	const char *key;     /* member of the document */
	int64_t index;	     /* in its array; -1: the member as a whole */
	const json_t *value; /* valid during the call; NULL: the streamed array of key begins */
	uint32_t line;	     /* where it begins */
};

/* Non-zero stops the walk. */
typedef int (*c4_json_on_item)(void *arg, const struct c4_json_item *item);

struct c4_json_mistake {
	uint32_t line, column; /* from 1 */
	char what[200];
};

/* Where a reader is, for its complaints. */
struct c4_json_place {
	struct c4_complaints *complaints;
	const struct c4_json_item *item;
};

/*
 * `FILE:LINE: connections[3] (id "c3"): …`: the item is named by its "id", else its "job"; a member
 * as a whole by its line only. Always -EINVAL.
 */
int c4_json_complain(const struct c4_json_place *at, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Tells the syntax error that ended a walk. False: there was none. */
bool c4_json_complain_mistake(struct c4_complaints *c, const struct c4_json_mistake *mistake);

/*
 * streamed: keys, NULL at the end; a member of this name that is no array comes as a whole. Members
 * come in the document's order; a key may come twice. 0, what on_item returned, or -EINVAL with
 * the syntax error in *mistake.
 */
int c4_json_walk(const char *text, size_t n, const char *const *streamed, c4_json_on_item on_item,
		 void *arg, struct c4_json_mistake *mistake);

#endif
