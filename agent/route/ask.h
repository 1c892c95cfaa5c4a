/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask.h - ports for a destination: from the table, else from the agent, which is given the table's
 * wait_us (at most C4_ROUTE_WAIT_MAX_US) to find them.
 *
 * Who waits sleeps on the table's generation. A destination that nobody knows ports for, an agent
 * that does not listen, has just ended, or was late three times running within the last second
 * costs no waiting. Any thread; errno is preserved.
 */
#ifndef C4_ROUTE_ASK_H
#define C4_ROUTE_ASK_H

#include "agent/route/rtable.h"

/* The destination's place and its copy in *ret, or a negative errno: go on unplanned. Counts what
 * happened in the table. */
int c4_route_ports(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
		   struct c4_route_dest *ret);

/* Likewise, when all ports of *d are in use: answers as soon as there are others. Leaves it to the
 * caller to count that there are none. */
int c4_route_more_ports(const struct c4_rtable *t, uint8_t proto, uint32_t dst, uint16_t dport,
			struct c4_route_dest *d);

/* Sleeps until the table's generation is not `seen` any more, or the time is over. */
void c4_route_wait(const struct c4_rtable *t, uint32_t seen, uint64_t ns);

#endif
