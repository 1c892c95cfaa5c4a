/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place_caps.h - what links still carry, for place.c: under one limit of utilisation, less what
 * other layers put there. Nobody else includes this. Pure.
 */
#ifndef C4_PLANNER_PLACE_CAPS_H
#define C4_PLANNER_PLACE_CAPS_H

#include <stdbool.h>

#include "planner/model/assign/place.h"

/* What the other layers put on the links of a place, in weight. */
double c4_place_others(const struct c4_place *p, uint32_t layer, bool over, int side, uint64_t at);

/* All capacities of a layer. */
void c4_place_recap_layer(struct c4_place *p, uint32_t layer);

/* Other layers have that much less, or more, room on the links of a changed edge. */
void c4_place_recap_others(struct c4_place *p, uint32_t layer, const struct c4_kempe *k, bool over,
			   const struct c4_kempe_change *c);

#endif
