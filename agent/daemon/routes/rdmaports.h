/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rdmaports.h - which RDMA ports this node's addresses are of, and how much each one sends.
 *
 * Nobody counts what a single queue pair carries, but ports count, and which port an address is of
 * is in its table of GIDs. Soft-RoCE counts no bytes: there the network interface below does, with
 * all else that it carries (`shared`). All of it is in sysfs, where reading may block while
 * firmware answers: on a worker. Bounded; one reading belongs to one thread at a time.
 */
#ifndef C4_AGENT_ROUTES_RDMAPORTS_H
#define C4_AGENT_ROUTES_RDMAPORTS_H

#include <stdbool.h>
#include <stdint.h>

#define C4_RDMAPORTS_MAX       32u
#define C4_RDMAPORTS_ADDRESSES 256u
#define C4_RDMAPORTS_NAME      64

struct c4_rdmaport {
	char device[C4_RDMAPORTS_NAME], port[8];
	char net[C4_RDMAPORTS_NAME]; /* its interface; "" unknown */
	bool counts;		     /* sent_bytes is known */
	bool shared;		     /* … and of its interface */
	uint64_t sent_bytes;	     /* since ever */
};

struct c4_rdmaports {
	uint64_t read_ns; /* 0: never */
	uint32_t n, naddresses;
	struct c4_rdmaport v[C4_RDMAPORTS_MAX];
	uint32_t address[C4_RDMAPORTS_ADDRESSES]; /* IPv4 */
	uint8_t of[C4_RDMAPORTS_ADDRESSES];	  /* place in v */
};

/* Finds the ports and their addresses anew. root: where sysfs is mounted. */
void c4_rdmaports_find(struct c4_rdmaports *p, const char *root);

/* Reads the counters of those found. */
void c4_rdmaports_read(struct c4_rdmaports *p, const char *root, uint64_t now_ns);

/* NULL: no port has it. */
const struct c4_rdmaport *c4_rdmaports_of(const struct c4_rdmaports *p, uint32_t address);

/*
 * Bytes per second that the port of `now` has sent since the reading `before`; negative: not to be
 * told (it was not there, or counts anew).
 */
double c4_rdmaports_rate(const struct c4_rdmaports *before, const struct c4_rdmaports *now,
			 const struct c4_rdmaport *port);

#endif
