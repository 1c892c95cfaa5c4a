/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pattern.h - how the members of a communicator talk: its pattern turned into connections.
 *
 *	ring         i → i + 1, the last one → 0
 *	tree         the double binary tree of NCCL (Sanders, Speck, Träff 2009): in-order binary
 *	             tree over 0 … n-1 and its mirror (n even) or its shift by one (n odd); each
 *	             edge in both directions, as reduce goes up and broadcast down
 *	all-to-all   everybody → everybody else
 *	p2p          the listed pairs only
 *
 * A member is one NIC, or a host with all its NICs: then each edge is one connection per rail and
 * plane that both ends have, as one NCCL channel per NIC is. Edges inside one host do not
 * use the network and are left out. Pure, one thread.
 */
#ifndef C4_PLANNER_PATTERN_H
#define C4_PLANNER_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "planner/model/demand/demand.h"
#include "planner/model/fabric/fabric.h"

enum c4_pattern { C4_PATTERN_RING, C4_PATTERN_TREE, C4_PATTERN_ALL_TO_ALL, C4_PATTERN_P2P };

#define C4_PATTERN_NAMES "ring, tree, all-to-all or p2p"

bool c4_pattern_parse(const char *name, enum c4_pattern *ret);

struct c4_pair {
	uint32_t from, to; /* members */
};

/* tree: 0, and 1 for the second of the double tree. Non-zero stops the walk. */
typedef int (*c4_pattern_edge)(void *arg, uint32_t from, uint32_t to, uint32_t tree);

/* Calls edge for each directed edge among n members; pairs are read for p2p only and must be below
 * n. 0, or what edge returned. */
int c4_pattern_walk(enum c4_pattern pattern, uint32_t n, const struct c4_pair *pairs,
		    uint32_t n_pairs, c4_pattern_edge edge, void *arg);

struct c4_member {
	uint32_t host;
	uint32_t nic; /* C4_NONE: all NICs of the host */
};

/* The host's NIC of the same rail and plane as this one, C4_NONE if it has none. */
uint32_t c4_pattern_twin(const struct c4_fabric *f, uint32_t nic, uint32_t host);

struct c4_team {
	const char *name; /* ids begin with it */
	uint32_t job;
	enum c4_pattern pattern;
	const struct c4_member *members; /* in rank order */
	uint32_t n_members;
	const struct c4_pair *pairs;
	uint32_t n_pairs;
	double weight; /* of each connection */
	uint32_t qps;
	uint32_t rail; /* of hosts with all NICs only those of this rail; C4_NONE: of all rails */
};

/*
 * Adds the team's connections, named NAME:FROM>TO/NIC (NAME:tK:FROM>TO/NIC in tree K) by the
 * members' numbers and the source's NIC. The number of connections, or a negative errno with the
 * reason in *fault; some connections may then have been added.
 */
int64_t c4_pattern_add(struct c4_demand *d, const struct c4_fabric *f, const struct c4_team *t,
		       struct c4_fault *fault);

#endif
