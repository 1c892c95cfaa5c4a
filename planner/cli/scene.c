// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/scene.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "planner/model/fabric/clos.h"
#include "planner/model/demand/pattern.h"

#define GBPS 200.0

/* ---- parts of worlds --------------------------------------------------------------------- */

uint32_t c4_world_draw(struct c4_world *w, uint32_t n)
{
	w->rng += 1;
	return (uint32_t)(((c4_mix64(w->rng) >> 32) * n) >> 32);
}

void c4_world_shuffle(struct c4_world *w, uint32_t *hosts, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = c4_world_draw(w, i), swap = hosts[i - 1];

		hosts[i - 1] = hosts[k];
		hosts[k] = swap;
	}
}

static int flat(struct c4_world *w, uint32_t leaves, uint32_t spines, uint32_t hosts,
		struct c4_fault *fault)
{
	struct c4_clos shape = {leaves, spines, hosts, 1, 1, 0, 0, GBPS};

	return c4_clos_make(&w->f, &shape, fault);
}

/* All hosts, in random order. Free it. */
static uint32_t *random_hosts(struct c4_world *w)
{
	uint32_t *hosts = malloc(((size_t)w->f.n_hosts + 1) * sizeof *hosts);

	for (uint32_t i = 0; hosts && i < w->f.n_hosts; i++)
		hosts[i] = i;
	if (hosts)
		c4_world_shuffle(w, hosts, w->f.n_hosts);
	return hosts;
}

static int add_job(struct c4_world *w, enum c4_pattern pattern, const uint32_t *hosts, uint32_t n,
		   double weight, struct c4_fault *fault)
{
	struct c4_member *members = malloc(n * sizeof *members);
	char name[24];
	struct c4_team team = {.name = name,
			       .pattern = pattern,
			       .members = members,
			       .n_members = n,
			       .weight = weight,
			       .qps = 1,
			       .rail = C4_NONE};
	int64_t rc = -ENOMEM;

	if (!members)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct c4_member){hosts[i], C4_NONE};
	snprintf(name, sizeof name, "job%u", w->d.n_jobs);
	rc = c4_demand_job(&w->d, name);
	team.job = (uint32_t)rc;
	if (rc >= 0)
		rc = c4_pattern_add(&w->d, &w->f, &team, fault);
	free(members);
	return rc < 0 ? (int)rc : 0;
}

/* Jobs of `size` hosts each, wherever the scheduler found hosts free: on all of them. */
static int fragmented(struct c4_world *w, enum c4_pattern pattern, uint32_t size, double weight,
		      struct c4_fault *fault)
{
	uint32_t *hosts = random_hosts(w);
	int rc = hosts ? 0 : c4_fault_set(fault, -ENOMEM, "out of memory");

	for (uint32_t i = 0; rc == 0 && i + size <= w->f.n_hosts; i += size)
		rc = add_job(w, pattern, hosts + i, size, weight, fault);
	free(hosts);
	return rc;
}

static uint32_t link_of(const struct c4_fabric *f, const char *leaf, const char *spine)
{
	uint32_t a = c4_fabric_switch(f, leaf), b = c4_fabric_switch(f, spine), i = 0;

	while (i < f->n_links && (f->links[i].a != a || f->links[i].b != b))
		i++;
	return i;
}

/* ---- C4's testbed ------------------------------------------------------------------------ */

/* 16 hosts with 8 two-port NICs under two groups of leaves; 8 jobs of two hosts, one of each
 * group. */
static int testbed(struct c4_world *w, uint32_t spines, struct c4_fault *fault)
{
	struct c4_clos shape = {2, spines, 8, 8, 2, 0, 0, GBPS};
	uint32_t right[8], pair[2];
	int rc = c4_clos_make(&w->f, &shape, fault);

	for (uint32_t i = 0; i < 8; i++)
		right[i] = 8 + i;
	c4_world_shuffle(w, right, 8);
	for (uint32_t i = 0; rc == 0 && i < 8; i++) {
		pair[0] = i;
		pair[1] = right[i];
		rc = add_job(w, C4_PATTERN_RING, pair, 2, 1, fault);
	}
	return rc;
}

static int build_c4_full(struct c4_world *w, struct c4_fault *fault)
{
	return testbed(w, 8, fault);
}

static int build_c4_half(struct c4_world *w, struct c4_fault *fault)
{
	return testbed(w, 4, fault);
}

static int build_c4_uplink(struct c4_world *w, struct c4_fault *fault)
{
	int rc = testbed(w, 8, fault);

	if (rc == 0)
		w->f.links[link_of(&w->f, "leaf0", "spine3")].now_gbps = 0;
	return rc;
}

static int build_c4_spine(struct c4_world *w, struct c4_fault *fault)
{
	int rc = testbed(w, 8, fault);
	uint32_t dead[2] = {c4_fabric_switch(&w->f, "spine3"), c4_fabric_switch(&w->f, "spine11")};

	for (uint32_t i = 0; rc == 0 && i < w->f.n_links; i++)
		if (w->f.links[i].b == dead[0] || w->f.links[i].b == dead[1])
			w->f.links[i].now_gbps = 0;
	return rc;
}

/* ---- more leaves ------------------------------------------------------------------------- */

#define PERMUTED_PER_LEAF 8u

static bool same_leaf(uint32_t a, uint32_t b)
{
	return a / PERMUTED_PER_LEAF == b / PERMUTED_PER_LEAF; /* clos.h */
}

/* Swaps targets until nobody sends to its own leaf. */
static void leave_leaves(struct c4_world *w, uint32_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		while (same_leaf(i, to[i])) {
			uint32_t k = c4_world_draw(w, n), swap = to[k];

			if (same_leaf(i, swap) || same_leaf(k, to[i]))
				continue;
			to[k] = to[i];
			to[i] = swap;
		}
}

static int add_flow(struct c4_world *w, uint32_t from, uint32_t to, struct c4_fault *fault)
{
	char name[24];
	int64_t rc;

	snprintf(name, sizeof name, "flow%u", from);
	rc = c4_demand_job(&w->d, name);
	if (rc >= 0)
		rc = c4_demand_add(&w->d, name, (uint32_t)rc, from, to, 1, 1, fault);
	return rc < 0 ? (int)rc : 0;
}

/* Everybody sends to one under another leaf and hears from one; each flow is a job. */
static int build_permutation(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 16, 8, PERMUTED_PER_LEAF, fault);
	uint32_t *to = rc ? NULL : random_hosts(w);

	if (!rc && !to)
		rc = c4_fault_set(fault, -ENOMEM, "out of memory");
	if (rc == 0)
		leave_leaves(w, to, w->f.n_hosts);
	for (uint32_t i = 0; rc == 0 && i < w->f.n_hosts; i++)
		rc = add_flow(w, i, to[i], fault);
	free(to);
	return rc;
}

static int build_rings(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 16, 8, 8, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_RING, 16, 1, fault);
}

static int build_rings_half(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 16, 4, 8, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_RING, 16, 1, fault);
}

static int build_small_rings(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 32, 16, 16, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_RING, 4, 1, fault);
}

static int build_all_to_all(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 16, 8, 8, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_ALL_TO_ALL, 16, 1.0 / 15, fault);
}

static int build_sixty(struct c4_world *w, struct c4_fault *fault)
{
	int rc = flat(w, 16, 60, 60, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_RING, 16, 1, fault);
}

static int build_pods(struct c4_world *w, struct c4_fault *fault)
{
	struct c4_clos shape = {32, 8, 8, 1, 1, 4, 0, GBPS};
	int rc = c4_clos_make(&w->f, &shape, fault);

	return rc ? rc : fragmented(w, C4_PATTERN_RING, 16, 1, fault);
}

/* ---- faults ------------------------------------------------------------------------------ */

/* `n` different links at this rate. */
static void weaken(struct c4_world *w, uint32_t n, float gbps)
{
	while (n > 0) {
		struct c4_link *l = &w->f.links[c4_world_draw(w, w->f.n_links)];

		if (l->now_gbps < l->gbps)
			continue;
		l->now_gbps = gbps;
		n--;
	}
}

static int build_dead(struct c4_world *w, struct c4_fault *fault)
{
	int rc = build_rings(w, fault);

	if (rc == 0)
		weaken(w, 3, 0);
	return rc;
}

static int build_pods_dead(struct c4_world *w, struct c4_fault *fault)
{
	int rc = build_pods(w, fault);

	if (rc == 0)
		weaken(w, 3, 0);
	return rc;
}

static int build_degraded(struct c4_world *w, struct c4_fault *fault)
{
	int rc = build_rings(w, fault);

	if (rc == 0)
		weaken(w, 3, (float)(GBPS / 2));
	return rc;
}

/* ---- hashes ------------------------------------------------------------------------------ */

static int build_jhash(struct c4_world *w, struct c4_fault *fault)
{
	w->switches.kind = C4_FLOWHASH_JHASH;
	return build_rings(w, fault);
}

static int build_resilient(struct c4_world *w, struct c4_fault *fault)
{
	w->switches.resilient = 256;
	return build_dead(w, fault);
}

static int build_polarised(struct c4_world *w, struct c4_fault *fault)
{
	w->switches.alike = true;
	return build_pods(w, fault);
}

/* ---- all of them ------------------------------------------------------------------------- */

#define C4 "C4 (arXiv 2406.04594) reports about "
#define HTSIM                                                                                      \
	"Elsewhere, at packet level (htsim, RoCE with PFC, this shape, 10 MB a flow, two seeds), " \
	"the slowest of the 200 Gbps flows had: "

static const struct c4_scene scenes[] = {
	{"c4-1to1", "C4's testbed: 16 hosts, 8 NICs of 2 x 200G, 8 jobs of two hosts, 8 spines",
	 C4 "172-263 Gbps without and 354-361 Gbps with its planner", C4_ROWS_USUAL, 20, 400,
	 build_c4_full},
	{"c4-2to1", "C4's testbed with half of the spines off", C4 "66 % gained by its planner",
	 C4_ROWS_USUAL, 20, 400, build_c4_half},
	{"c4-dead-uplink", "C4's testbed, one of 8 uplinks of one leaf dead",
	 C4 "186 Gbps with a static plan, 301 Gbps with dynamic load balance; 7/8 would be 315",
	 C4_ROWS_FAULT, 20, 400, build_c4_uplink},
	{"c4-dead-spine", "C4's testbed, one of 8 spines dead in each plane", NULL, C4_ROWS_FAULT,
	 20, 400, build_c4_spine},
	{"permutation",
	 "16 leaves of 8 hosts, 8 spines; every host sends to one under another leaf",
	 HTSIM "ECMP 38-47, greedy 84-95, exact 182", C4_ROWS_USUAL, 20, 0, build_permutation},
	{"rings", "16 leaves of 8 hosts, 8 spines; 8 rings of 16 hosts in random places",
	 HTSIM "ECMP 36-47, greedy 83, exact 179-182", C4_ROWS_USUAL, 20, 0, build_rings},
	{"rings-2to1", "16 leaves of 8 hosts, 4 spines; 8 rings of 16 hosts in random places", NULL,
	 C4_ROWS_USUAL, 20, 0, build_rings_half},
	{"small-rings", "32 leaves of 16 hosts, 16 spines; 128 rings of 4 hosts in random places",
	 NULL, C4_ROWS_USUAL, 10, 0, build_small_rings},
	{"all-to-all", "16 leaves of 8 hosts, 8 spines; 8 all-to-alls of 16 hosts in random places",
	 NULL, C4_ROWS_USUAL, 10, 0, build_all_to_all},
	{"sixty-spines", "16 leaves of 60 hosts, 60 spines; 60 rings of 16 hosts in random places",
	 NULL, C4_ROWS_USUAL, 5, 0, build_sixty},
	{"pods",
	 "3 tiers: 4 pods of 8 leaves of 8 hosts, 8 spines, 64 cores; 16 rings of 16 hosts in "
	 "random places",
	 NULL, C4_ROWS_USUAL, 10, 0, build_pods},
	{"dead-links", "scene rings, 3 random links dead", NULL, C4_ROWS_FAULT, 20, 0, build_dead},
	{"degraded-links", "scene rings, 3 random links at half their rate", NULL, C4_ROWS_FAULT,
	 20, 0, build_degraded},
	{"pods-dead-links", "scene pods, 3 random links dead", NULL, C4_ROWS_FAULT, 10, 0,
	 build_pods_dead},
	{"churn",
	 "32 leaves of 32 hosts, 32 spines; rings of 8 to 32 hosts come and go, 90 % of hosts "
	 "busy; 200 events a seed",
	 NULL, C4_ROWS_CHURN, 5, 0, NULL},
	{"failure", "scene rings; a link of a leaf dies under a running plan", NULL,
	 C4_ROWS_FAILURE, 20, 0, build_rings},
	{"unknown-crc", "scene rings; CRC-32 with seeds that the planner does not know", NULL,
	 C4_ROWS_ORACLES, 10, 0, build_rings},
	{"unknown-jhash", "scene rings; jhash, which is not linear, with unknown seeds", NULL,
	 C4_ROWS_ORACLES, 10, 0, build_jhash},
	{"unknown-resilient", "scene dead-links; CRC-32 through resilient tables, unknown seeds",
	 NULL, C4_ROWS_ORACLES, 10, 0, build_resilient},
	{"polarised", "scene pods; all switches hash alike, so that ports take 8 of 64 paths", NULL,
	 C4_ROWS_ORACLES, 5, 0, build_polarised},
};

const struct c4_scene *c4_scenes(size_t *n)
{
	*n = sizeof scenes / sizeof *scenes;
	return scenes;
}

int c4_world_make(struct c4_world *w, const struct c4_scene *scene, uint64_t seed,
		  struct c4_fault *fault)
{
	int rc;

	*w = (struct c4_world){.rng = c4_mix64(seed)};
	w->switches.kind = C4_FLOWHASH_CRC32;
	w->switches.seed = (uint32_t)c4_mix64(seed + 1);
	c4_fabric_init(&w->f);
	c4_demand_init(&w->d);
	rc = scene->build(w, fault);
	if (rc)
		c4_world_release(w);
	return rc;
}

void c4_world_release(struct c4_world *w)
{
	c4_demand_release(&w->d);
	c4_fabric_release(&w->f);
}
