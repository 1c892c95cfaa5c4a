/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * elephants.h - demand from what is seen: pairs of NICs whose connections carry something.
 *
 * A pair that carried at least the least rate for C4_ELEPHANT_PROVEN_NS in one direction is planned
 * as one connection: weight by its share of what its source sends, to a power of two; one QP per
 * connection that carries something, at most C4_ELEPHANT_QPS_MAX. Connections that share a 5-tuple
 * carry equal parts. It stays planned for `keep_ns`
 * after the last traffic, so that the next run of the same job finds its routes when it connects.
 * What is planned changes slowly: QPs grow at once and shrink after keep_ns, a weight must be
 * another one for C4_ELEPHANT_STEADY_NS. Loop's thread; at most C4_ELEPHANTS_MAX.
 */
#ifndef C4_PLANNER_ELEPHANTS_H
#define C4_PLANNER_ELEPHANTS_H

#include "planner/daemon/routes/flows.h"
#include "planner/model/demand/demand.h"

#define C4_ELEPHANTS_MAX      65536u
#define C4_ELEPHANT_QPS_MAX   8u /* slots that agents have for two hosts (c4/route.h) */
#define C4_ELEPHANT_PROVEN_NS 2000000000ull
/* A job that ended and one that began stand side by side for as long as reports are believed. */
#define C4_ELEPHANT_MORE_NS   (C4_FLOW_FRESH_NS + C4_ELEPHANT_PROVEN_NS)
#define C4_ELEPHANT_STEADY_NS 10000000000ull
#define C4_ELEPHANT_PREFIX    "flow:" /* of the connections' ids */

struct c4_elephants_config {
	uint64_t keep_ns;
	double least_gbps; /* 0: 1 % of the source's NIC, 1 Mb/s where that is unknown */
};

struct c4_elephant {
	uint32_t src, dst;  /* NICs */
	double gbps;	    /* in this round */
	uint32_t elephants; /* connections that carry something, in this round */
	uint64_t round;	    /* that they are of */
	uint64_t above_ns;  /* since when it carries enough; 0: it does not */
	uint64_t last_ns;   /* when it last did */
	uint64_t qps_ns;    /* when it last had so many */
	uint64_t other_ns;  /* since when the weight would be another; 0: it is right */
	uint64_t more_ns; /* since when there are more connections than planned; 0: there are not */
	float weight;
	uint32_t qps; /* 0: not planned */
};

/* As the plan worker gets it. */
struct c4_flow_conn {
	uint32_t src, dst; /* NICs */
	float weight;
	uint32_t qps;
};

struct c4_elephants {
	struct c4_elephants_config config;
	struct c4_map by_nics;
	double *out_gbps; /* per NIC: what it sends, in this round */
	uint32_t n_nics;
	uint32_t n, planned;
	uint64_t round, next_ns;
	bool changed; /* since the last list was taken */
	uint64_t lost;
};

void c4_elephants_release(struct c4_elephants *p);

/* Goes over to another fabric, by names; was may be NULL. -ENOMEM: as it was. */
int c4_elephants_follow(struct c4_elephants *p, const struct c4_fabric *was,
			const struct c4_fabric *is);

/* What an earlier run had found, from the plan that it left. */
void c4_elephants_adopt(struct c4_elephants *p, const struct c4_demand *d, uint64_t now_ns);

/* Looks at all flows, once a second. */
void c4_elephants_round(struct c4_elephants *p, const struct c4_fabric *f,
			const struct c4_flows *flows, uint64_t now_ns);

/* What is to be planned now, sorted; NULL without memory. The caller frees it. */
struct c4_flow_conn *c4_elephants_list(struct c4_elephants *p, uint32_t *ret_n);

#endif
