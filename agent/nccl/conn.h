/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn.h - the segment's table of connections: (communicator, rank, peer, channel, direction).
 *
 * A connection is looked up once for each proxy operation, in a set-associative table without
 * locks; its place never moves while its communicator lives. Those of closed communicators keep
 * their contents, for late readers, until their place is wanted. No room: counted.
 */
#ifndef C4_NCCL_CONN_H
#define C4_NCCL_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/hook.h"
#include "agent/nccl/shared.h"

struct c4_prof_conn_key {
	uint64_t comm; /* id */
	int32_t rank, peer;
	uint16_t channel;
	bool sends;
	bool foreign; /* on behalf of another process */
};

/* Finds or registers it; NULL: no room. */
struct c4_seg_conn *c4_prof_conn(const struct c4_prof_conn_key *key);

/* The communicator is closed by this member of it. */
void c4_prof_conns_drop(uint64_t comm, int32_t rank);

#endif
