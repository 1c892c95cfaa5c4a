/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle_spec.h - a path oracle from words on a command line.
 *
 *	HASH[,seed=N][,alike][,resilient=BUCKETS]    HASH: crc32, crc16, xor or jhash
 *	table, linear                                what probes tell (probes.h), as they came or
 *	                                             with a linear hash learned from them
 *	none                                         no ports
 */
#ifndef C4_PLANNER_ORACLE_SPEC_H
#define C4_PLANNER_ORACLE_SPEC_H

#include "planner/model/fabric/fabric.h"
#include "planner/model/oracle/oracle.h"
#include "planner/model/oracle/oracle_hash.h"

#define C4_HASH_SPEC_HELP   "crc32, crc16, xor or jhash, with seed=N, alike, resilient=N"
#define C4_ORACLE_SPEC_HELP C4_HASH_SPEC_HELP "; table; linear; or none"
#define C4_ORACLE_PROBES    (1u << 22) /* observations that a table holds */

/* HASH… only. 0, or -EINVAL or -ENOMEM with the reason in *fault. */
int c4_hash_spec(const char *spec, struct c4_hash_model *ret, struct c4_fault *fault);

/* *ret is NULL for "none"; the caller frees it. 0, or -EINVAL or -ENOMEM with the reason in *fault.
 */
int c4_oracle_spec(const char *spec, struct c4_oracle **ret, struct c4_fault *fault);

#endif
