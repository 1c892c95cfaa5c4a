/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tell.h - what the agent hears of queue pairs (struct c4_route_qp): that one is there, and that it
 * is there no more. Nothing here waits, and what is lost is said again by the mover.
 * The caller holds the entry. Any thread; errno is preserved.
 */
#ifndef C4_ROUTE_TELL_H
#define C4_ROUTE_TELL_H

#include "agent/route/qps.h"
#include "agent/route/rtable.h"

/* A name for a queue pair that no other one of this process ever has. */
uint64_t c4_tell_id(void);

/* Whether the agent that made the table is to hear of it (again). */
bool c4_tell_due(const struct c4_rtable *t, const struct c4_qp_route *r, uint64_t now_ns);

/* -EAGAIN: the agent has no room for it now, it is still due. Else 0: it was told, or nobody
 * listens. */
int c4_tell_up(const struct c4_rtable *t, struct c4_qp *e, uint64_t now_ns);

/* Once: an agent that did not hear it learns it by silence. */
void c4_tell_gone(const struct c4_rtable *t, const struct c4_qp *e);

#endif
