/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mover.h - live queue pairs follow the plan.
 *
 * One thread, made with the first queue pair that connects while an agent lives (whoever uses verbs
 * has threads already), with all signals blocked. It sleeps until the table changes, a second at
 * most; where a slot's `moved` has grown and a queue pair's port is not among the slot's any more,
 * the queue pair gets the new best one. One that was not planned when it was made takes a slot as
 * soon as there is one for its peer. Ports change through mlx5dv_modify_qp_udp_sport where that is
 * there, else
 *
 *	RTS -> SQD    the send queue pauses; the other direction goes on
 *	AV            with the new label, even while requests are under way: they are repeated there
 *	SQD -> RTS    refused while requests are under way, so tried until it is done
 *
 * soft-RoCE then needs a doorbell, because it does not look at requests that came in between.
 * A device that refuses the first or second step leaves the queue pair on its old path: counted,
 * and not tried again. One that does not come back at once is tried again every few milliseconds,
 * until it does or its program changes or destroys it.
 *
 * It is also who tells the agent again of all queue pairs (tell.h).
 *
 * After fork() the child has no such thread, and we do nothing there.
 */
#ifndef C4_ROUTE_MOVER_H
#define C4_ROUTE_MOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/route/rtable.h"

/* Any thread, any number of times; 0 or a negative errno. Preserves errno. */
int c4_mover_start(void);

/* Whether there is the thread: since then queue pairs are remembered even while no agent lives. */
bool c4_mover_runs(void);

/* Whether this process is a child of one whose queue pairs we look after. */
bool c4_mover_in_child(void);

/*
 * Claims the emptiest slot of d (the copy of place `at`) that has a port which a label can stand
 * for: that port and *ret_slot. 0: there is none.
 */
uint16_t c4_route_claim_port(const struct c4_rtable *t, int at, const struct c4_route_dest *d,
			     uint64_t now_ns, int *ret_slot);

#endif
