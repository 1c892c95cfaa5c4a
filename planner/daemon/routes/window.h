/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * window.h - what all connections carried in a second, as planner/model/sense wants it; and what
 * those may do to a link that show nothing of it by their rate. Loop's thread.
 */
#ifndef C4_PLANNER_WINDOW_H
#define C4_PLANNER_WINDOW_H

#include "planner/daemon/edition.h"
#include "planner/daemon/routes/watches.h"
#include "planner/model/sense/sense.h"

#define C4_WINDOW_NS 1000000000ull

struct c4_window {
	struct c4_sense_flow *input;
	struct c4_flow **of; /* per input: the connection, valid until flows expire */
	uint8_t *from;	     /* … and its direction */
	uint32_t n;
	float *nic_gbps;
	uint64_t ended_ns;
};

void c4_window_release(struct c4_window *w);

/* Another fabric. -ENOMEM. */
int c4_window_follow(struct c4_window *w, const struct c4_fabric *f);

void c4_window_gather(struct c4_window *w, const struct c4_edition *e, const struct c4_flows *f,
		      uint64_t now_ns);

/*
 * Connections that show nothing of links by their rate: of unknown way, or queue pairs, whose rates
 * are estimates. What of them may be on a directed link, in Gb/s; `placed`: those count, too, whose
 * way is known to be there. Ways nobody has seen are watched.
 */
double c4_window_strays(const struct c4_window *w, struct c4_watches *watches,
			const struct c4_edition *e, uint32_t link, bool placed, uint64_t now_ns);

#endif
