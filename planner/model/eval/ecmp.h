/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ecmp.h - equal-cost next hops: among which links a switch chooses on the way to a leaf.
 *
 * Shortest live paths up and down the tiers, as routing protocols in a Clos find them: leaf, spine,
 * leaf inside a pod, leaf, spine, core, spine, leaf between pods; a spine whose link to the
 * destination is dead is not offered to that destination. Parallel links are members of their own.
 * Tables are for one destination at a time: ask for pairs sorted by destination leaf.
 * Pure, one thread.
 */
#ifndef C4_PLANNER_ECMP_H
#define C4_PLANNER_ECMP_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/fabric/fabric.h"

struct c4_ecmp_member {
	uint32_t link;
	uint32_t to; /* switch at its end */
	bool live;   /* usable now: the link is up and leads on to the destination */
};

/* Links in the order of the switch's link list. */
struct c4_ecmp_group {
	const struct c4_ecmp_member *members;
	uint32_t n;	/* live ones first … */
	uint32_t n_all; /* … then again all that are configured, dead ones too, in order */
};

struct c4_ecmp {
	const struct c4_fabric *fabric;
	bool has_cores;
	uint32_t leaf;	     /* destination the tables are for, C4_NONE: none */
	uint8_t *distance;   /* hops to it, 0 for itself and for those that cannot reach it */
	uint32_t *seen;	     /* switches with a distance … */
	uint32_t n_seen;     /* … and how many */
	uint32_t *group_at;  /* per switch: into members, C4_NONE: not built yet */
	uint32_t *group_n;   /* live members */
	uint32_t *group_all; /* configured members */
	uint32_t *built;     /* switches that have a group */
	uint32_t n_built;
	uint32_t *paths; /* of switches that have a group; 0: not counted yet */
	struct c4_ecmp_member *members;
	uint32_t n_members;
};

/* 0 or -ENOMEM. The fabric must outlive it. */
int c4_ecmp_init(struct c4_ecmp *e, const struct c4_fabric *f);
void c4_ecmp_release(struct c4_ecmp *e);

/* Links have changed: nothing kept is true any more. */
void c4_ecmp_forget(struct c4_ecmp *e);

/* Makes `leaf` the destination. Groups handed out for another one are gone. */
void c4_ecmp_toward(struct c4_ecmp *e, uint32_t leaf);

/* Next hops of switch s to the destination; n is 0 where there is none. */
struct c4_ecmp_group c4_ecmp_group(struct c4_ecmp *e, uint32_t s);

/* Live paths from s to the destination, saturating at UINT32_MAX. */
uint32_t c4_ecmp_paths(struct c4_ecmp *e, uint32_t s);

#endif
