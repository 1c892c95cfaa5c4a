/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replan.h - a plan that lives: connections come and go, links fail, weaken and return, and few
 * routes change.
 *
 * Under a limit of utilisation (a full link, or what counting says cannot be helped) a new QP takes
 * the emptiest way, and moves others along a Kempe chain only where there is none, never more than
 * the budget of the event. What does not fit within budget goes where it hurts least and is put
 * right by c4_replan_tick(). Nothing is moved for a gain below the hysteresis, nor while no link is
 * above its rate: a move costs a pause, an idle link costs nothing.
 *
 * Every QP has a backup by another spine, chosen when the QP is placed and told with the plan, so
 * that the first answer to a dead link is there before the planner has heard of it; the planner
 * then takes the backup wherever it fits. QPs of one link have their backups on different spines.
 *
 * A link that returns is not trusted at once: it is used again after `hold_ns`, doubled for each
 * time it failed within the last hour (flap damping), at most 64 times the hold.
 *
 * The fabric is the caller's and is changed here only: now_gbps of links, epochs of the switches
 * whose groups changed. Time is passed in. Pure, one thread; 56 bytes per QP in two tiers, 80 in
 * three, and 16 per connection.
 */
#ifndef C4_PLANNER_REPLAN_H
#define C4_PLANNER_REPLAN_H

#include <stdint.h>

#include "planner/model/plan.h"

enum c4_move_reason {
	C4_MOVE_ARRIVAL,   /* made room for a connection that came */
	C4_MOVE_LINK_DOWN, /* its link died */
	C4_MOVE_LINK_WEAK, /* its link carries less than before */
	C4_MOVE_MAKE_ROOM, /* made room for one whose link died or weakened */
	C4_MOVE_REBALANCE, /* a link above its rate was relieved */
	C4_MOVE_REASONS
};

/* "arrival", "link-down", … */
const char *c4_move_reason_name(enum c4_move_reason reason);

struct c4_move {
	uint32_t conn; /* handle */
	uint16_t qp;
	uint8_t reason; /* enum c4_move_reason */
	uint32_t cause; /* link of the fabric, or the handle of the connection that came; else
			   C4_NONE */
	struct c4_route from, to;
};

struct c4_replan_opts {
	uint32_t move_budget; /* other QPs moved per event; 0: 256 */
	double full;	      /* utilisation that counts as full; 0: 1.0 */
	double gain;	      /* least relative gain a rebalancing must have; 0: 0.05 */
	uint64_t hold_ns;     /* a returning link waits that long; 0: 30 s */
};

struct c4_replan_stats {
	uint32_t conns, qps;
	uint32_t unplaced; /* QPs */
	uint32_t forced;   /* QPs put above the limit because budget or chains ended */
	uint64_t moves[C4_MOVE_REASONS];
};

struct c4_replan;

/* -ENOMEM, or -E2BIG with the reason in *fault (see c4_net_init()). */
int c4_replan_new(struct c4_replan **ret, struct c4_fabric *f, const struct c4_replan_opts *o,
		  struct c4_fault *fault);
void c4_replan_free(struct c4_replan *r);

/*
 * A connection comes: a handle, or -ENOMEM, -EINVAL (weight or qps out of range), -E2BIG. A QP that
 * cannot be placed is not an error: its route says why, and it is tried again when links change.
 */
int64_t c4_replan_add(struct c4_replan *r, uint32_t src, uint32_t dst, double weight, uint32_t qps);

/* The same with routes to keep (from a full plan, or from before a restart) as far as they are
 * live; within the limit or not. */
int64_t c4_replan_adopt(struct c4_replan *r, uint32_t src, uint32_t dst, double weight,
			uint32_t qps, const struct c4_route *routes);
void c4_replan_remove(struct c4_replan *r, uint32_t conn);

/* Route of a QP (0 … qps-1); valid until the next call that changes something. The caller may set
 * its sport, which stays until the route moves, if only to a parallel link, and then is 0. */
struct c4_route *c4_replan_route(struct c4_replan *r, uint32_t conn, uint32_t qp);

/* The way of a QP if its spine or the links to it fail; state NO_PATH when there is no other. */
struct c4_route c4_replan_backup(const struct c4_replan *r, uint32_t conn, uint32_t qp);

/*
 * A link's rate now: 0 dead, less than nominal degraded, nominal repaired. QPs are moved at once
 * where the link carries less; a better link waits for its hold. 0, -EINVAL for no such link or
 * rate, -ENOMEM.
 */
int c4_replan_link(struct c4_replan *r, uint32_t link, double now_gbps, uint64_t now_ns);

/* What waits for time: links on hold, relief of links above the limit. Call about once a second;
 * returns the number of moves. */
uint32_t c4_replan_tick(struct c4_replan *r, uint64_t now_ns);

/* Moves since the last clear, in order. A QP moved twice is there twice. */
const struct c4_move *c4_replan_moves(const struct c4_replan *r, uint32_t *ret_n);
void c4_replan_clear_moves(struct c4_replan *r);

const struct c4_replan_stats *c4_replan_stats(const struct c4_replan *r);

/* Largest load and utilisation now; cost O(links). */
void c4_replan_measure(const struct c4_replan *r, double *ret_load, double *ret_util);

#endif
