/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * planlink.h - the exchange with the planner (POST /v1/routes): a thread of its own sends one
 * report after the other and decodes the answers, so that the event loop never waits.
 *
 * One report at a time: while one is under way the loop makes no other. A report that does not
 * arrive is not sent again: the next one is newer. What the planner said last stays with the loop.
 */
#ifndef C4_AGENT_ROUTES_PLANLINK_H
#define C4_AGENT_ROUTES_PLANLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/daemon/routes/plan.h"

struct c4_planlink;

struct c4_planlink_config {
	const char *planner;	   /* HOST:PORT, kept */
	void (*notify)(void *arg); /* an exchange has ended; called from the thread */
	void *arg;
};

/* How the last exchange ended. */
struct c4_planlink_news {
	bool ended;	      /* one has, since the last call */
	bool delivered;	      /* … and the report arrived */
	struct c4_plan *plan; /* the answer, now the caller's; NULL: none */
};

/* NULL: out of memory, or the address is malformed. */
struct c4_planlink *c4_planlink_start(const struct c4_planlink_config *config);

/* False: one is under way; data stays the caller's. Otherwise it is taken. */
bool c4_planlink_send(struct c4_planlink *l, void *data, size_t len);
bool c4_planlink_busy(struct c4_planlink *l);
void c4_planlink_news(struct c4_planlink *l, struct c4_planlink_news *ret);

/* Ends the thread and frees l. False: a request in flight kept it longer than patience_ns; the
 * thread still runs, l is lost, and the process must end with _exit(2). */
bool c4_planlink_stop(struct c4_planlink *l, uint64_t patience_ns);

#endif
