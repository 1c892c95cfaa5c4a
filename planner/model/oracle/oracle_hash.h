/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle_hash.h - a path oracle that knows the switches' hash, and so stands for the switches
 * themselves in simulations.
 *
 * Each switch hashes (sip, dip, sport, dport, proto) with its own seed, turns the value by 8 bits
 * per tier (as ASICs take other bits in other tiers) and takes it modulo the number of live next
 * hops (ecmp.h), or through a resilient table whose entries only change for members that die.
 * `alike`: one seed, no turning: tiers choose in step and some paths cannot be reached.
 * NICs without an address get 10.x by their index.
 */
#ifndef C4_PLANNER_ORACLE_HASH_H
#define C4_PLANNER_ORACLE_HASH_H

#include "planner/model/oracle/flowhash.h"
#include "planner/model/oracle/oracle.h"

#define C4_RESILIENT_MAX 65536u

struct c4_hash_model {
	enum c4_flowhash_kind kind;
	uint32_t seed;
	bool alike;
	uint32_t resilient; /* buckets of the table, 0: modulo */
	uint16_t dport;	    /* 0: RoCE v2 */
	uint8_t proto;	    /* 0: UDP */
};

/* NULL when out of memory. Free with c4_oracle_free(). */
struct c4_oracle *c4_oracle_hash_new(const struct c4_hash_model *model);

/* The address a NIC is hashed with. */
uint32_t c4_nic_address(const struct c4_fabric *f, uint32_t nic);

#endif
