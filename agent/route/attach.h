/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * attach.h - the plan table of this node, found and mapped when it is first needed.
 *
 * While there is none, or its agent no longer lives, the file is looked for at most once a second
 * (a new agent makes a new file); all other calls cost a look at the clock and two atomic
 * additions. Mappings are counted: one that has been replaced is given back when nobody is in it
 * any more. After fork() the child shares them, which is what a table is for.
 *
 * Only a regular file that belongs to this user or to root and that nobody else may write is
 * mapped. Who may write it could also cut it off under us, which no check prevents: agents never
 * do, they make a new file.
 *
 * Any thread, no lock, nothing allocated; errno is preserved.
 */
#ifndef C4_ROUTE_ATTACH_H
#define C4_ROUTE_ATTACH_H

#include "agent/route/rtable.h"

/* Where to look. Once, before the others; without it, and with C4_HOOK=0, there is never a table.
 */
void c4_attach_init(void);

/* The table if there is one and its agent lives, else NULL. To be put back. */
const struct c4_rtable *c4_attach_get(uint64_t now_ns);

/* NULL is allowed. */
void c4_attach_put(const struct c4_rtable *t);

/*
 * Sends the agent a datagram, without waiting. 0; -EAGAIN: it is there, but its queue is full; or
 * another negative errno: it is certain that nobody listens.
 */
int c4_attach_send(const void *datagram, size_t n);

/* Asks the agent for ports, or for others than those in the table (taken). 0, or a negative errno
 * if it is certain that nobody listens. */
int c4_attach_ask(uint8_t proto, uint32_t dst, uint16_t dport, bool taken);

#endif
