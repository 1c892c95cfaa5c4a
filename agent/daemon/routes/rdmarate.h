/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rdmarate.h - the last two readings of this node's RDMA ports (rdmaports.h), made by a worker: at
 * most one is under way. A driver that never comes back costs one worker and nothing else.
 * Everything but the reading itself runs on the loop's thread.
 */
#ifndef C4_AGENT_ROUTES_RDMARATE_H
#define C4_AGENT_ROUTES_RDMARATE_H

#include <uv.h>

#include "agent/daemon/routes/rdmaports.h"

#define C4_RDMARATE_FIND_NS 60000000000ull /* ports and addresses are looked for anew */
#define C4_RDMARATE_MISS_NS 5000000000ull  /* … or so soon, when an address was not among them */

struct c4_rdmarate {
	uv_loop_t *loop;
	const char *root;
	void (*idle)(void *arg); /* a reading has ended */
	void *arg;

	uv_work_t work;
	bool under_way, find;
	uint64_t found_ns;		 /* 0: not yet */
	struct c4_rdmaports reading;	 /* the worker's, while under_way */
	struct c4_rdmaports before, now; /* the last two */
};

/* Begins to read, unless that is under way. missing: an address that is not among the ports'. */
void c4_rdmarate_read(struct c4_rdmarate *r, bool missing, uint64_t now_ns);

/* A worker is reading: the loop must not be closed. */
static inline bool c4_rdmarate_busy(const struct c4_rdmarate *r)
{
	return r->under_way;
}

#endif
