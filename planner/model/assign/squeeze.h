/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * squeeze.h - room for a QP where a chain finds none: the search that a full plan can afford.
 *
 * First every spine in turn with a chain at either end; then, between pods, a QP that fills the
 * cores of a spine gives its way to the new one and looks for another (an ejection). Chains balance
 * leaves, ejections balance pods. Bounded by the number of tries. Pure, one thread.
 */
#ifndef C4_PLANNER_SQUEEZE_H
#define C4_PLANNER_SQUEEZE_H

#include "planner/model/assign/place.h"

/* For a QP that c4_place_insert() could not place: 0, or -ENOSPC with every QP where it was (some
 * of them touched). Chains move at most `budget` QPs each. */
int c4_squeeze(struct c4_place *p, struct c4_placed at, uint32_t budget);

#endif
