/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qpairs.h - the connected queue pairs of this node's processes, as these tell (struct
 * c4_route_qp): the kernel shows nobody's.
 *
 *	up ──► known ──► gone | its process ended | nobody spoke of it for C4_ROUTE_QP_KEEP_MS
 *
 * A queue pair is known by its process and its name there. The process is the one that the kernel
 * says has sent the datagram: nobody speaks for another. Where it cannot say (another pid
 * namespace), the process's own word stands, and only silence ends its queue pairs. Bounded; what
 * there is no room for is counted. Time is passed in; one thread.
 */
#ifndef C4_AGENT_ROUTES_QPAIRS_H
#define C4_AGENT_ROUTES_QPAIRS_H

#include <stdbool.h>
#include <stdint.h>

#include "c4/route.h"
#include "common/ds/map.h"

#define C4_QPAIRS_MAX	 16384u
#define C4_QPAIRS_PIDFDS 1024u /* processes watched by a descriptor; others by their pid */

/* A process that queue pairs are of, and that we can see. */
struct c4_qpair_owner {
	uint32_t pid;
	int fd; /* of the process, readable when it has ended; -1: none to be had */
	uint32_t n;
	bool ended;
};

struct c4_qpair {
	uint64_t id;
	uint32_t pid;
	struct c4_qpair_owner *owner; /* NULL: not to be seen */
	uint32_t src, dst, qpn, peer_qpn;
	uint16_t sport;
	uint8_t slot; /* that it claims; C4_ROUTE_SLOTS: none */
	uint64_t told_ns;
};

/* Those from one port to one host: one path. */
struct c4_qpair_group {
	uint32_t src, dst;
	uint16_t sport;
	uint32_t n;
};

struct c4_qpairs {
	struct c4_map by_name; /* → struct c4_qpair */
	struct c4_map owners;  /* → struct c4_qpair_owner, by pid */
	uint32_t n, nfds;
	struct c4_qpair_group *groups;
	uint32_t groups_cap;
	uint64_t crowded;	 /* not taken: no room */
	uint64_t expired, ended; /* nobody spoke of them; their process ended */
};

/* Of {0}. */
void c4_qpairs_release(struct c4_qpairs *s);

/* What a process of this pid tells (0: the kernel did not know), its fields within their bounds. */
void c4_qpairs_take(struct c4_qpairs *s, const struct c4_route_qp *m, uint32_t pid,
		    uint64_t now_ns);

/* Forgets those that are there no more. Once a second or so. */
void c4_qpairs_sweep(struct c4_qpairs *s, uint64_t now_ns);

/* All of them, by src, dst and sport in this order; valid until the next call. Returns how many. */
uint32_t c4_qpairs_group(struct c4_qpairs *s, const struct c4_qpair_group **ret);

#endif
