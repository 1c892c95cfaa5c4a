/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle_linear.h - a path oracle that learns the hash of a leaf from few probes, where it is
 * linear (CRC, XOR; "hashing linearity", Zhang et al., USENIX ATC 2021).
 *
 * With 2^m equal next hops a linear hash picks hop A·port ⊕ c over GF(2): A, 14 columns, is the
 * same for all pairs of NICs under that leaf, c is the pair's own. Nobody knows in which order a
 * switch numbers its hops, so numbers are given here: the hop of the reference port is 0, the hop
 * of the first port bit that leads elsewhere is 1, and so on. Learning a leaf takes about
 * 15 + 2^m + VERIFY probes of one pair, then two per pair (one to learn c, one to check it).
 *
 * Nothing is trusted before it predicted VERIFY other ports of its pair right; a single wrong
 * prediction later makes the leaf fall back to the table of what was observed, until its epoch
 * grows. So do leaves whose number of live uplinks is no power of two, and pairs whose path is not
 * decided by the leaf alone (three tiers, parallel links down).
 */
#ifndef C4_PLANNER_ORACLE_LINEAR_H
#define C4_PLANNER_ORACLE_LINEAR_H

#include "planner/model/oracle/oracle.h"

/* Observations are kept in a table (oracle_table.h) of this size. NULL when out of memory. */
struct c4_oracle *c4_oracle_linear_new(uint32_t cap);

/* The table inside. */
struct c4_oracle *c4_oracle_linear_table(struct c4_oracle *o);

/* Whether predictions for flows from this leaf are trusted now. */
bool c4_oracle_linear_trusts(struct c4_oracle *o, uint32_t leaf);

#endif
