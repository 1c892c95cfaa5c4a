/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slurm_topology.h - reading Slurm's topology.conf (tree plugin): lines of
 *	SwitchName=NAME Nodes=HOSTLIST | Switches=HOSTLIST [LinkSpeed=GBPS]
 *
 * A switch with nodes is a leaf, one above leaves a spine, one above spines a core; several
 * switches above one are allowed. A line's LinkSpeed, if it is a number above 0, is the rate of
 * the links it lists, else they get C4_SLURM_GBPS. A node below k leaves gets NICs r0p0 … r<k-1>p0
 * in order of lines. Silent: mistakes go to the complaints. One thread.
 */
#ifndef C4_PLANNER_IO_SLURM_TOPOLOGY_H
#define C4_PLANNER_IO_SLURM_TOPOLOGY_H

#include <stddef.h>

#include "planner/io/complaint.h"
#include "planner/model/fabric/fabric.h"

#define C4_SLURM_GBPS 100.0

/* Fills an initialised fabric and finishes it. 0 or a negative errno with complaints. */
int c4_fabric_read_slurm(struct c4_fabric *f, const char *text, size_t len,
			 struct c4_complaints *c);

#endif
