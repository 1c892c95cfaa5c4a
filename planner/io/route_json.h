/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route_json.h - the pieces c4.plan/v1 is made of, for everybody who writes some of it. They append
 * to a buffer; names and ids were checked to be UTF-8 when they were read. One thread.
 */
#ifndef C4_PLANNER_ROUTE_JSON_H
#define C4_PLANNER_ROUTE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"
#include "planner/model/plan.h"

/* "text", quoted. */
void c4_json_text(struct c4_buf *out, const char *text);

/* ,"key":value; null for what JSON cannot say. */
void c4_json_real(struct c4_buf *out, const char *key, double v);

/* ,"key":["leaf0","spine3","leaf5"] */
void c4_json_way(struct c4_buf *out, const char *key, const struct c4_fabric *f,
		 const struct c4_way *w);

/* Begins an item of a list of QPs: {"id":…,"qp":…  *any tells whether it is the first, and is set.
 */
void c4_json_qp(struct c4_buf *out, bool *any, const char *id, uint32_t qp);

struct c4_json_route {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	const struct c4_conn *c;
	uint32_t qp;
	const struct c4_route *route;
	const struct c4_route *backup; /* NULL: none is told */
};

/* A whole item of "routes"; false and nothing for a QP without a place. */
bool c4_json_route(struct c4_buf *out, bool *any, const struct c4_json_route *r);

/* "no-path", "two-planes"; NULL for routes that are placed. */
const char *c4_json_unplaced(const struct c4_route *r);

#endif
