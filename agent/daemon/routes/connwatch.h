/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connwatch.h - which connections this node has with other hosts of the fabric, and what each
 * carried since the last look: the planner's demand, and the truth about claims of slots. TCP's from
 * the kernel's list; queue pairs from what processes tell (qpairs.h), those of one port to one host
 * as one flow, with bytes that are estimated (qpshare.h).
 *
 * Counters of a connection are those of the kernel; what we keep is what they were at the last
 * look. Bounded; connections beyond it are counted and not told. One thread (the loop's).
 */
#ifndef C4_AGENT_ROUTES_CONNWATCH_H
#define C4_AGENT_ROUTES_CONNWATCH_H

#include "agent/daemon/routes/dests.h"
#include "agent/daemon/routes/flow.h"
#include "agent/daemon/routes/locals.h"
#include "agent/daemon/routes/plan.h"
#include "agent/daemon/routes/qpairs.h"
#include "agent/daemon/routes/rdmaports.h"
#include "agent/daemon/routes/sockdiag.h"
#include "common/ds/map.h"

#define C4_CONNWATCH_MAX 16384u

struct c4_conn_seen {
	struct c4_sock last;
	uint32_t round;
	bool initiated;
};

struct c4_connwatch {
	struct mnl_socket *nl; /* NULL: the kernel tells nothing */
	struct c4_map conns;   /* by cookie */
	uint32_t round;
	uint64_t looked_ns;
	uint64_t listening[65536 / 64]; /* bits: somebody listens there */
	struct c4_flow *flows;		/* of the last look, those that carry most first */
	uint32_t nflows, flows_cap;
	uint64_t crowded;  /* connections there was no room for */
	bool port_missing; /* a queue pair's address is of no RDMA port that is known */
};

/* What a look needs to know. plan: NULL while there is none. */
struct c4_connwatch_scene {
	const struct c4_locals *locals;
	const struct c4_plan *plan;
	struct c4_dests *dests;
	struct c4_qpairs *qpairs;
	const struct c4_rdmaports *ports_before, *ports; /* the last two readings */
};

/* 0 or a negative errno: the kernel's list is not to be had. */
int c4_connwatch_open(struct c4_connwatch *w);
void c4_connwatch_close(struct c4_connwatch *w);

/* Looks at all connections; flows are those of since the last look. */
void c4_connwatch_look(struct c4_connwatch *w, const struct c4_connwatch_scene *scene,
		       uint64_t now_ns);

/* What x has carried since `last` was seen (zeros: from its beginning). Pure. */
struct c4_flow c4_connwatch_delta(const struct c4_sock *last, const struct c4_sock *x,
				  uint64_t interval_ns);

#endif
