/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qps.h - the process's queue pairs that the plan may mean: remembered so that they can follow it,
 * and that each agent hears of them.
 *
 * A fixed table, hashed by the program's pointer. Each entry has a holder: the program's thread
 * that changes or destroys the queue pair, or the one that moves it. So a queue pair is never
 * destroyed while it is being moved: its owner waits the few milliseconds that this takes. A queue
 * pair that finds no room is labelled all the same but stays where it is, and no agent hears of it.
 */
#ifndef C4_ROUTE_QPS_H
#define C4_ROUTE_QPS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/route/ibv.h"

#define C4_QPS 4096u

/* What is known of it; belongs to the entry's holder. */
struct c4_qp_route {
	struct c4_ibv_ah ah; /* as it was given, with our label if it has one */
	uint32_t src, dst, qpn, peer_qpn;
	uint64_t id;
	uint64_t told_instance, told_ns; /* which agent heard of it as it is now, and when */
	uint64_t instance;		 /* of the agent whose slot it is */
	int at, slot;			 /* slot -1: none, it has the label of its program */
	uint32_t moved;			 /* of the slot, that we follow */
	uint16_t port;
	bool sends; /* the program has brought it to RTS */
	bool waits; /* we have it in SQD and could not bring it back yet */
	bool stuck; /* its device refused */
};

struct c4_qp {
	struct c4_ibv_qp *qp; /* atomic; NULL: free */
	uint32_t holder;      /* atomic; a futex: 0 nobody, 1 somebody, 2 … and somebody waits */
	struct c4_qp_route r;
};

/* The entry of qp, held by the caller, or NULL. */
struct c4_qp *c4_qps_hold(const struct c4_ibv_qp *qp);

/* Entry i < C4_QPS likewise, if it is in use. */
struct c4_qp *c4_qps_hold_at(uint32_t i);

void c4_qps_release(struct c4_qp *e);

/* Remembers qp, which must not be there yet: its entry, held by the caller. NULL: there is no room
 * near its place. */
struct c4_qp *c4_qps_add(struct c4_ibv_qp *qp, const struct c4_qp_route *r);

/* Of a held entry: it is nobody's any more, and released. */
void c4_qps_forget(struct c4_qp *e);

#endif
