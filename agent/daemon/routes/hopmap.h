/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hopmap.h - who answers at which address, and the epoch of every switch: raw answers to probes
 * become paths that can be compared with planned ones.
 *
 * A switch keeps its number for as long as the agent lives, whatever its place in an answer of the
 * planner. A path is the numbers of the switches that are a choice (all but the first and the last
 * leaf), packed into one word: 0 is "not known".
 */
#ifndef C4_AGENT_ROUTES_HOPMAP_H
#define C4_AGENT_ROUTES_HOPMAP_H

#include <stdint.h>

#include "agent/daemon/routes/plan.h"
#include "common/ds/map.h"
#include "common/ds/strmap.h"

#define C4_HOPS_CHOSEN_MAX 3u /* of a path: a number has 16 bits */

struct c4_hopmap {
	struct c4_strmap names; /* → number */
	struct c4_map addresses;
	uint64_t *epochs; /* by number - 1 */
	uint32_t n, cap;
};

void c4_hopmap_release(struct c4_hopmap *m);

/* Takes over switches, addresses and epochs of a plan. 0 or -ENOMEM (partly taken over). */
int c4_hopmap_take(struct c4_hopmap *m, const struct c4_plan *p);

/* Number of a switch, from 1; 0: unknown. */
uint16_t c4_hopmap_named(const struct c4_hopmap *m, const char *name);
uint16_t c4_hopmap_at(const struct c4_hopmap *m, uint32_t address);

/* Of n numbers in order; 0 if one is 0, or there are none or too many. */
uint64_t c4_path_pack(const uint16_t *numbers, uint32_t n);

/* The same switches in the other direction. */
uint64_t c4_path_reverse(uint64_t path);

/* Grows whenever an epoch of one of these switches does: what was seen under another stamp is
 * stale. near and far: leaves at the ends. */
uint64_t c4_hopmap_stamp(const struct c4_hopmap *m, uint16_t near, uint64_t path, uint16_t far);

#endif
