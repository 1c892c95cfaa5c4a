/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clos.h - makes regular fabrics: leaf–spine per plane, or pods of leaf–spine joined by cores.
 *
 * With L leaves per rail and plane, S spines, H hosts per leaf, R rails, P planes:
 *	host i (0 … L·H − 1)     h<i>, in group i / H
 *	its NIC r<r>p<p>         under leaf<(p·R + r)·L + i / H>
 *	spines of plane p        spine<p·S> …, one link to each leaf of the plane, shared by rails
 *
 * With N ≥ 2 pods each rail's L leaves are cut into N equal runs, S counts the spines of one
 * plane of one pod: spine<(p·N + pod)·S + s>, linked to the leaves of its pod only. Core group s of
 * a plane, core<(p·S + s)·C> …, joins spine s of each of the plane's pods, one link each. Pure.
 */
#ifndef C4_PLANNER_CLOS_H
#define C4_PLANNER_CLOS_H

#include <stdint.h>

#include "planner/model/fabric/fabric.h"

struct c4_clos {
	uint32_t leaves; /* of one rail of one plane */
	uint32_t spines; /* of one plane (of one pod) */
	uint32_t hosts_per_leaf;
	uint32_t rails, planes;
	uint32_t pods;	/* 0 or 1: two tiers */
	uint32_t cores; /* per core group; 0: as many as a spine has leaves, i.e. nothing lost */
	double gbps;	/* of every link */
};

/*
 * Fills an initialised, empty fabric and finishes it. 0, or a negative errno with the reason in
 * *fault: -EINVAL for a shape that cannot be, -E2BIG beyond the limits of fabric.h, -ENOMEM. After
 * a failure the fabric may hold a part: release it.
 */
int c4_clos_make(struct c4_fabric *f, const struct c4_clos *shape, struct c4_fault *fault);

#endif
