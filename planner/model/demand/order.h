/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * order.h - a rank order that keeps ring neighbours under one leaf.
 *
 * A ring over hosts sorted by pod and leaf leaves each leaf once, so that only as many connections
 * use spines as there are leaves, and only as many use cores as there are pods: no closed order
 * does with fewer. Hosts of several NICs are grouped by the leaf of their first rail (in
 * rail-optimised fabrics all rails agree), then of the next ones. Pods, leaves and hosts keep the
 * order in which the list first names them: rank 0 stays where it is unless its host is unknown.
 * Unknown hosts come last. Pure, one thread.
 */
#ifndef C4_PLANNER_ORDER_H
#define C4_PLANNER_ORDER_H

#include <stdint.h>

#include "planner/model/fabric/fabric.h"

struct c4_order_host {
	const char *name; /* the caller's */
	uint32_t host;	  /* of the fabric; C4_NONE: unknown. Each at most once */
	uint32_t slots;	  /* ranks it takes */
};

/* Sorts in place. 0 or -ENOMEM. */
int c4_order_sort(const struct c4_fabric *f, struct c4_order_host *hosts, uint32_t n);

/* The NIC of lowest rail and plane, C4_NONE for a host without any. */
uint32_t c4_order_first_nic(const struct c4_fabric *f, uint32_t host);

/* What the ring hosts[0] → hosts[1] → … → hosts[0] crosses. */
struct c4_crossings {
	uint64_t leaf;	  /* neighbours under different leaves, by their first rail */
	uint64_t pod;	  /* in different pods */
	uint64_t spine;	  /* connections, one per rail and plane, that leave their leaf */
	uint64_t core;	  /* of these, those that leave their pod */
	uint64_t unknown; /* neighbours of which one is unknown or has no NIC: not in the above */
};

void c4_order_count(const struct c4_fabric *f, const struct c4_order_host *hosts, uint32_t n,
		    struct c4_crossings *ret);

#endif
