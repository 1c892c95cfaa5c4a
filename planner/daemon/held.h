/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * held.h - a fabric and a demand that several plans speak of: freed with the last holder.
 *
 * Names, indices and connections never change once held, so that the loop may show what a worker
 * plans with. Links' capacities and switches' epochs do change: they belong to the worker, the
 * loop never reads them. Counting is atomic; everything else is read-only.
 */
#ifndef C4_PLANNER_HELD_H
#define C4_PLANNER_HELD_H

#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

struct c4_held_fabric {
	int holders;
	uint64_t digest;       /* of names and who is joined to whom, in order; not of capacities */
	uint64_t file_rates;   /* c4_fabric_rates() as the file has it */
	uint64_t addresses;    /* a digest of addresses, NICs' rates and epochs in the file */
	uint32_t *nic_by_ipv4; /* NICs that have an address, sorted by it */
	uint32_t n_nic_by_ipv4;
	float *file_gbps; /* per link: its now_gbps in the file */
	struct c4_fabric fabric;
};

struct c4_held_demand {
	int holders;
	struct c4_demand demand;
};

/* Takes what is in *f (finished) or *d, which is empty afterwards. NULL: out of memory, nothing
 * taken. The caller is the first holder. */
struct c4_held_fabric *c4_held_fabric_new(struct c4_fabric *f);
struct c4_held_demand *c4_held_demand_new(struct c4_demand *d);

/* NULL is fine; each returns its argument. */
struct c4_held_fabric *c4_held_fabric_hold(struct c4_held_fabric *h);
struct c4_held_demand *c4_held_demand_hold(struct c4_held_demand *h);
void c4_held_fabric_drop(struct c4_held_fabric *h);
void c4_held_demand_drop(struct c4_held_demand *h);

/* The NIC of this address, C4_NONE: nobody has it, or it is 0. */
uint32_t c4_held_fabric_nic_at(const struct c4_held_fabric *h, uint32_t ipv4);

/* A digest of the present rates of all links. */
uint64_t c4_fabric_rates(const struct c4_fabric *f);

/* The same connections, in the same order, of the same jobs. */
bool c4_demand_equal(const struct c4_demand *a, const struct c4_demand *b);

/* Index of the connection of this id, C4_NONE if there is none. */
uint32_t c4_demand_find(const struct c4_demand *d, const char *id);

#endif
