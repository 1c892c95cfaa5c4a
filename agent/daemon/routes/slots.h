/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slots.h - which ports go into which slot of a destination: given what is known of its ports and
 * what the plan wishes, a port goes to one slot only, and within a slot
 *	those that take both planned paths first,
 *	then those that take the way there (or, where only the way back is planned, that one)
 * and of equals, ports in use last. Where the way back is planned and nobody could tell it, the
 * same switches as on the way there are assumed. Pure.
 */
#ifndef C4_AGENT_ROUTES_SLOTS_H
#define C4_AGENT_ROUTES_SLOTS_H

#include <stdint.h>

#include "agent/daemon/routes/pairs.h"
#include "agent/daemon/routes/pathcache.h"

enum c4_fit {
	C4_FIT_EXACT, /* all that is planned */
	C4_FIT_HALF,  /* the direction that matters more, or by assumption */
	C4_FIT_NONE
};

struct c4_slot_fill {
	uint16_t port[C4_ROUTE_PORTS];
	uint8_t nports;
	uint8_t free, free_exact; /* of them: not in use; and with all that is planned */
};

struct c4_fill {
	struct c4_slot_fill slot[C4_ROUTE_SLOTS];
	uint8_t nslots;
	uint8_t least, least_exact; /* free ports of the slot that has fewest */
};

enum c4_fit c4_slot_fit(const struct c4_wish *w, const struct c4_portpath *x);

void c4_slots_fill(const struct c4_pair *pair, const struct c4_pathcache *c, struct c4_fill *ret);

#endif
