// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/demand/pattern.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ID_BYTES 512

bool c4_pattern_parse(const char *name, enum c4_pattern *ret)
{
	static const char *const names[] = {[C4_PATTERN_RING] = "ring",
					    [C4_PATTERN_TREE] = "tree",
					    [C4_PATTERN_ALL_TO_ALL] = "all-to-all",
					    [C4_PATTERN_P2P] = "p2p"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name)) {
			*ret = (enum c4_pattern)i;
			return true;
		}
	return false;
}

/* ---- edges ----------------------------------------------------------------------------------- */

static int walk_ring(uint32_t n, c4_pattern_edge edge, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; n > 1 && i < n && !rc; i++)
		rc = edge(arg, i, (i + 1) % n, 0);
	return rc;
}

static int walk_all(uint32_t n, c4_pattern_edge edge, void *arg)
{
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++)
		for (uint32_t k = 0; k < n && !rc; k++)
			if (k != i)
				rc = edge(arg, i, k, 0);
	return rc;
}

/*
 * Parent of i > 0 in the in-order tree of n nodes with root 0: below a node with lowest bit b hang
 * the nodes at distance b/2. A parent out of bounds is passed over for the next one up.
 */
static uint32_t tree_parent(uint32_t i, uint32_t n)
{
	uint32_t bit = i & -i, up = (i ^ bit) | bit << 1;

	return up < n ? up : i ^ bit;
}

/* Node i of the first tree as a member of tree 0 or 1: inner nodes of one are leaves of the other.
 */
static uint32_t tree_member(uint32_t i, uint32_t n, uint32_t tree)
{
	if (!tree)
		return i;
	return n % 2 ? (i + 1) % n : n - 1 - i;
}

static int walk_trees(uint32_t n, c4_pattern_edge edge, void *arg)
{
	int rc = 0;

	for (uint32_t tree = 0; tree < 2; tree++)
		for (uint32_t i = 1; i < n && !rc; i++) {
			uint32_t child = tree_member(i, n, tree);
			uint32_t parent = tree_member(tree_parent(i, n), n, tree);

			rc = edge(arg, child, parent, tree);
			rc = rc ? rc : edge(arg, parent, child, tree);
		}
	return rc;
}

int c4_pattern_walk(enum c4_pattern pattern, uint32_t n, const struct c4_pair *pairs,
		    uint32_t n_pairs, c4_pattern_edge edge, void *arg)
{
	int rc = 0;

	switch (pattern) {
	case C4_PATTERN_RING: return walk_ring(n, edge, arg);
	case C4_PATTERN_TREE: return walk_trees(n, edge, arg);
	case C4_PATTERN_ALL_TO_ALL: return walk_all(n, edge, arg);
	case C4_PATTERN_P2P: break;
	}
	for (uint32_t i = 0; i < n_pairs && !rc; i++)
		rc = edge(arg, pairs[i].from, pairs[i].to, 0);
	return rc;
}

/* ---- connections ----------------------------------------------------------------------------- */

struct build {
	struct c4_demand *d;
	const struct c4_fabric *f;
	const struct c4_team *team;
	struct c4_fault *fault;
	int64_t added;
};

static int add_conn(struct build *b, uint32_t from, uint32_t to, uint32_t tree, uint32_t src,
		    uint32_t dst)
{
	const struct c4_team *t = b->team;
	const char *nic = b->f->nics[src].name;
	struct c4_fault fault;
	char id[ID_BYTES];
	int64_t rc;
	int n;

	if (t->pattern == C4_PATTERN_TREE)
		n = snprintf(id, sizeof id, "%s:t%u:%u>%u/%s", t->name, tree, from, to, nic);
	else
		n = snprintf(id, sizeof id, "%s:%u>%u/%s", t->name, from, to, nic);
	if (n < 0 || (size_t)n >= sizeof id)
		return c4_fault_set(b->fault, -E2BIG, "an id of more than %d bytes", ID_BYTES - 1);
	rc = c4_demand_add(b->d, id, t->job, src, dst, t->weight, t->qps, &fault);
	if (rc < 0)
		return c4_fault_set(b->fault, (int)rc, "connection \"%.60s\": %.120s", id,
				    fault.what);
	b->added++;
	return 0;
}

uint32_t c4_pattern_twin(const struct c4_fabric *f, uint32_t nic, uint32_t host)
{
	const struct c4_nic *want = &f->nics[nic];
	const struct c4_host *h = &f->hosts[host];

	for (uint32_t i = h->nic; i < h->nic + h->nics; i++)
		if (f->nics[i].rail == want->rail && f->nics[i].plane == want->plane)
			return i;
	return C4_NONE;
}

static int nothing_shared(struct build *b, const struct c4_member *a, const struct c4_member *z)
{
	return c4_fault_set(b->fault, -EINVAL,
			    "members %.70s and %.70s have no NIC of the same rail and plane",
			    b->f->hosts[a->host].name, b->f->hosts[z->host].name);
}

/* At least one end is a single NIC. */
static int add_single(struct build *b, uint32_t from, uint32_t to, uint32_t tree)
{
	const struct c4_member *a = &b->team->members[from], *z = &b->team->members[to];
	uint32_t src = a->nic != C4_NONE ? a->nic : c4_pattern_twin(b->f, z->nic, a->host);
	uint32_t dst = z->nic != C4_NONE ? z->nic : c4_pattern_twin(b->f, a->nic, z->host);

	if (src == C4_NONE || dst == C4_NONE)
		return nothing_shared(b, a, z);
	return add_conn(b, from, to, tree, src, dst);
}

static int add_rails(struct build *b, uint32_t from, uint32_t to, uint32_t tree)
{
	const struct c4_member *a = &b->team->members[from], *z = &b->team->members[to];
	const struct c4_host *h = &b->f->hosts[a->host];
	int64_t before = b->added;
	int rc = 0;

	for (uint32_t src = h->nic; src < h->nic + h->nics && !rc; src++) {
		uint32_t dst = c4_pattern_twin(b->f, src, z->host);
		bool meant = b->team->rail == C4_NONE || b->team->rail == b->f->nics[src].rail;

		if (meant && dst != C4_NONE)
			rc = add_conn(b, from, to, tree, src, dst);
	}
	return rc || b->added > before ? rc : nothing_shared(b, a, z);
}

static int on_edge(void *arg, uint32_t from, uint32_t to, uint32_t tree)
{
	struct build *b = arg;
	const struct c4_member *a = &b->team->members[from], *z = &b->team->members[to];

	if (a->host == z->host)
		return 0;
	if (a->nic == C4_NONE && z->nic == C4_NONE)
		return add_rails(b, from, to, tree);
	return add_single(b, from, to, tree);
}

int64_t c4_pattern_add(struct c4_demand *d, const struct c4_fabric *f, const struct c4_team *t,
		       struct c4_fault *fault)
{
	struct build b = {.d = d, .f = f, .team = t, .fault = fault};
	int rc = c4_pattern_walk(t->pattern, t->n_members, t->pairs, t->n_pairs, on_edge, &b);

	return rc ? rc : b.added;
}
