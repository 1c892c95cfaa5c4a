/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seek.h - the search for ports of one destination, a batch after the other: first those in the
 * table that must be looked at again, then new ones. Each port's way there is probed hop by hop;
 * where the plan has a way back, the other end is asked for it at the same time.
 */
#ifndef C4_AGENT_ROUTES_SEEK_H
#define C4_AGENT_ROUTES_SEEK_H

#include "agent/daemon/routes/dests.h"

/* Begins with a batch; nothing if it is under way. */
void c4_seek_start(struct c4_dests *s, struct c4_dest *d);

/* Chooses the next ports. */
void c4_seek_next(struct c4_dests *s, struct c4_dest *d);
void c4_seek_stop(struct c4_dests *s, struct c4_dest *d);

/* All ways there of the batch are known, as far as they will be. */
bool c4_seek_there_over(const struct c4_dest *d);

/* Sends what may be sent. False: not now (rate limit). May end the search. */
bool c4_seek_pump(struct c4_dests *s, struct c4_dest *d);

/* The way back of a port was told (0: it cannot be). */
void c4_seek_back(struct c4_dests *s, struct c4_dest *d, uint16_t port, uint64_t path);

#endif
