/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * talk.h - the planner and the collector about links: what connections showed is told
 * (POST /v1/links), what the collector's own verdicts say of pairs of hosts is heard.
 *
 *	suspects ──► tell ──► collector ──► hear ──► ratings ──► suspects (routes/heard.h)
 *
 * Telling and hearing are one job each in libuv's pool, at most one at a time; a collector that does
 * not answer is asked again after a pause that grows. Loop's thread.
 */
#ifndef C4_PLANNER_TALK_H
#define C4_PLANNER_TALK_H

#include <uv.h>

#include "planner/daemon/ask.h"
#include "planner/daemon/pause.h"
#include "planner/daemon/routes/routes.h"

#define C4_TALK_TELL_S	   5u  /* between two words to the collector, while there is something */
#define C4_TALK_TELL_TTL_S 15u /* that it believes them */
#define C4_TALK_HEAR_MS	   1000u

struct c4_talk {
	uv_loop_t *loop;
	struct c4_routes *routes; /* belongs to the planner */
	struct {
		uv_work_t work;
		bool busy, standing;  /* the last one had links */
		struct c4_http *http; /* NULL: nobody to tell */
		char *body;
		int status; /* of the answer; < 0: none */
		char why[256];
		struct c4_pause pause;
	} tell;
	struct {
		uv_work_t work;
		bool busy;
		struct c4_asking *asking;   /* NULL: nobody to ask */
		struct c4_edition *edition; /* of the question under way */
		struct c4_ratings ratings;
		int rc;
		char why[256];
		struct c4_pause pause;
	} hear;
	uint64_t told, tell_errors, heard, hear_errors;
};

/* collector: HOST:PORT, not copied; NULL: there is none. 0, or -EINVAL for a malformed address or
 * without memory; release in any case. */
int c4_talk_init(struct c4_talk *t, uv_loop_t *loop, struct c4_routes *routes,
		 const char *collector);
/* After the loop. */
void c4_talk_release(struct c4_talk *t);

/* Begins what is due. */
void c4_talk_tick(struct c4_talk *t, uint64_t now_ns);

#endif
