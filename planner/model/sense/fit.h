/* SPDX-License-Identifier: BSD-3-Clause */
/* fit.h - one window of sense.h: who is slow, and what explains it. Pure, one thread. */
#ifndef C4_PLANNER_SENSE_FIT_H
#define C4_PLANNER_SENSE_FIT_H

#include "planner/model/sense/sense.h"

/* A link that one window says something bad of. */
struct c4_fit_bad {
	uint32_t link;
	enum c4_sense_kind kind;
	uint32_t flows, alike;
	double gbps, speed, peers;
};

struct c4_fit {
	struct c4_map index; /* directed link, or NIC as sender or receiver → place + 1 */
	struct c4_sense_link *places; /* links first met first; then hosts are among them, too */
	uint32_t n_places, cap_places;
	double *speed; /* per flow; < 0: it says nothing */
	double *sorted;
	uint32_t *covers; /* per place: slow flows it would explain */
	uint32_t cap_flows, cap_covers;
	struct c4_fit_bad bad[C4_SENSE_FINDINGS];
	uint32_t n_bad;
	uint32_t watches[C4_SENSE_WATCHES];
	uint32_t n_watches;
};

void c4_fit_release(struct c4_fit *x);
/* 0 or -ENOMEM. */
int c4_fit_window(struct c4_fit *x, const struct c4_sense_input *in);

#endif
