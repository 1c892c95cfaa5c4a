/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * qpshare.h - what queue pairs send, estimated: what the RDMA port that they leave from sends, in
 * equal parts. Where only the port's network interface counts, what TCP connections from its
 * addresses sent is taken away first. Queue pairs within the node have no part. Pure.
 */
#ifndef C4_AGENT_ROUTES_QPSHARE_H
#define C4_AGENT_ROUTES_QPSHARE_H

#include "agent/daemon/routes/flow.h"
#include "agent/daemon/routes/locals.h"
#include "agent/daemon/routes/qpairs.h"
#include "agent/daemon/routes/rdmaports.h"

#define C4_QPSHARE_OLD_NS 15000000000ull /* readings so old, or so far apart, say nothing */

struct c4_qpshare_scene {
	const struct c4_locals *locals;
	const struct c4_rdmaports *before, *now; /* the last two readings */
	const struct c4_qpair_group *groups;	 /* all of the node's queue pairs */
	uint32_t ngroups;
	const struct c4_flow *tcp; /* connections, over the same interval as is asked for */
	uint32_t ntcp;
	uint64_t now_ns, interval_ns;
};

struct c4_qpshare {
	const struct c4_rdmaports *ports;
	double bytes[C4_RDMAPORTS_MAX]; /* per queue pair, in the interval */
	bool missing;			/* some address is of no port that is known */
};

void c4_qpshare_make(struct c4_qpshare *ret, const struct c4_qpshare_scene *scene);

/* Bytes that g's queue pairs sent together; 0: none, or nobody can tell. */
uint64_t c4_qpshare_of(const struct c4_qpshare *s, const struct c4_qpair_group *g);

#endif
