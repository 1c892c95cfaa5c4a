/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * epochs.h - the epochs of switches as agents see them.
 *
 * The plan counts a switch's changes from the number in the fabric file, anew after each restart or
 * new file. Here a switch gets the wall clock's milliseconds whenever that number changed, so
 * that what was probed under an epoch stays known over restarts, and no epoch ever comes twice. A
 * switch that never changed has one more than the file's number. Loop's thread.
 */
#ifndef C4_PLANNER_EPOCHS_H
#define C4_PLANNER_EPOCHS_H

#include <stdint.h>

#include "planner/daemon/edition.h"

struct c4_epochs {
	uint64_t *v; /* per switch of the newest edition */
	uint32_t n;
};

void c4_epochs_release(struct c4_epochs *e);

/* What they are after one edition (without a fabric, or NULL: none) was followed by the next. 0 or
 * -ENOMEM. */
int c4_epochs_next(const struct c4_epochs *e, const struct c4_edition *was,
		   const struct c4_edition *is, uint64_t wall_ms, struct c4_epochs *ret);

#endif
