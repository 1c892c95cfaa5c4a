// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/fabric/clos.h"

#include <errno.h>
#include <stdio.h>

/* The shape with its defaults filled in, and where each tier begins among the switches. */
struct plan {
	struct c4_clos c;
	uint32_t n_leaves, n_spines, n_cores; /* in all */
};

/* ---- is it possible -------------------------------------------------------------------------- */

static int check_counts(const struct c4_clos *c, struct c4_fault *fault)
{
	const struct {
		const char *name;
		uint32_t n, max;
	} counts[] = {
		{"leaves", c->leaves, C4_FABRIC_SWITCHES_MAX},
		{"spines", c->spines, C4_FABRIC_SWITCHES_MAX},
		{"hosts per leaf", c->hosts_per_leaf, C4_FABRIC_HOSTS_MAX},
		{"rails", c->rails, C4_HOST_NICS_MAX},
		{"planes", c->planes, C4_FABRIC_PLANES_MAX},
		{"pods", c->pods, c->leaves},
		{"cores", c->cores, C4_FABRIC_SWITCHES_MAX},
	};

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if (counts[i].n < 1 || counts[i].n > counts[i].max)
			return c4_fault_set(fault, -EINVAL, "%s %u, expected 1 to %u",
					    counts[i].name, counts[i].n, counts[i].max);
	if (c->leaves % c->pods)
		return c4_fault_set(fault, -EINVAL,
				    "pods %u do not divide %u leaves, expected equal pods", c->pods,
				    c->leaves);
	return 0;
}

static int check_total(const char *what, uint64_t n, uint64_t max, struct c4_fault *fault)
{
	if (n <= max)
		return 0;
	return c4_fault_set(fault, -E2BIG, "%llu %s in all, expected at most %llu",
			    (unsigned long long)n, what, (unsigned long long)max);
}

/* Each count is below 2^21 and each product of switches is checked before it grows further. */
static int check_totals(const struct plan *p, struct c4_fault *fault)
{
	const struct c4_clos *c = &p->c;
	uint64_t hosts = (uint64_t)c->leaves * c->hosts_per_leaf;
	uint64_t leaves = (uint64_t)c->leaves * c->rails * c->planes;
	uint64_t groups = c->pods > 1 ? (uint64_t)c->spines * c->planes : 0;
	uint64_t spines = (uint64_t)c->spines * c->planes * c->pods;
	int rc = check_total("leaves", leaves, C4_FABRIC_SWITCHES_MAX, fault);

	if (!rc)
		rc = check_total("spines", spines, C4_FABRIC_SWITCHES_MAX, fault);
	if (!rc)
		rc = check_total("switches", leaves + spines + groups * c->cores,
				 C4_FABRIC_SWITCHES_MAX, fault);
	if (!rc)
		rc = check_total("hosts", hosts, C4_FABRIC_HOSTS_MAX, fault);
	if (!rc)
		rc = check_total("NICs per host", (uint64_t)c->rails * c->planes, C4_HOST_NICS_MAX,
				 fault);
	if (!rc)
		rc = check_total("NICs", hosts * c->rails * c->planes, C4_FABRIC_NICS_MAX, fault);
	if (!rc)
		rc = check_total("links", leaves * c->spines + spines * (groups ? c->cores : 0),
				 C4_FABRIC_LINKS_MAX, fault);
	return rc;
}

static int prepare(struct plan *p, const struct c4_clos *shape, struct c4_fault *fault)
{
	struct c4_clos *c = &p->c;
	int rc;

	*c = *shape;
	if (!c->pods)
		c->pods = 1;
	if (c->pods == 1 && c->cores)
		return c4_fault_set(fault, -EINVAL,
				    "cores %u without pods, expected pods 2 or more", c->cores);
	if (!c->cores && c->leaves >= c->pods)
		c->cores = c->pods > 1 ? c->leaves / c->pods * c->rails : 1;
	rc = check_counts(c, fault);
	if (!rc)
		rc = check_totals(p, fault);
	if (rc)
		return rc;
	p->n_leaves = c->leaves * c->rails * c->planes;
	p->n_spines = c->spines * c->planes * c->pods;
	p->n_cores = c->pods > 1 ? c->spines * c->planes * c->cores : 0;
	return 0;
}

/* ---- making it ------------------------------------------------------------------------------- */

static int add_tier(struct c4_fabric *f, enum c4_tier tier, uint32_t n, struct c4_fault *fault)
{
	char name[32];

	for (uint32_t i = 0; i < n; i++) {
		int64_t rc;

		snprintf(name, sizeof name, "%s%u", c4_tier_name(tier), i);
		rc = c4_fabric_add_switch(f, tier, name, fault);
		if (rc < 0)
			return (int)rc;
	}
	return 0;
}

static int add_nics(struct c4_fabric *f, const struct c4_clos *c, uint32_t group,
		    struct c4_fault *fault)
{
	char name[32], leaf[32];

	for (uint32_t r = 0; r < c->rails; r++)
		for (uint32_t p = 0; p < c->planes; p++) {
			int64_t rc;

			snprintf(name, sizeof name, "r%up%u", r, p);
			snprintf(leaf, sizeof leaf, "leaf%u",
				 (p * c->rails + r) * c->leaves + group);
			rc = c4_fabric_add_nic(f, name, leaf, p, r, fault);
			if (rc < 0)
				return (int)rc;
		}
	return 0;
}

static int add_hosts(struct c4_fabric *f, const struct c4_clos *c, struct c4_fault *fault)
{
	char name[32];

	for (uint32_t i = 0; i < c->leaves * c->hosts_per_leaf; i++) {
		int64_t rc;

		snprintf(name, sizeof name, "h%u", i);
		rc = c4_fabric_add_host(f, name, fault);
		if (rc >= 0)
			rc = add_nics(f, c, i / c->hosts_per_leaf, fault);
		if (rc < 0)
			return (int)rc;
	}
	return 0;
}

static int join_leaves(struct c4_fabric *f, const struct plan *p, struct c4_fault *fault)
{
	const struct c4_clos *c = &p->c;

	for (uint32_t leaf = 0; leaf < p->n_leaves; leaf++) {
		uint32_t plane = leaf / (c->rails * c->leaves);
		uint32_t pod = leaf % c->leaves / (c->leaves / c->pods);
		uint32_t first = p->n_leaves + (plane * c->pods + pod) * c->spines;

		for (uint32_t s = 0; s < c->spines; s++) {
			int64_t rc = c4_fabric_join(f, leaf, first + s, c->gbps, c->gbps, fault);

			if (rc < 0)
				return (int)rc;
		}
	}
	return 0;
}

static int join_cores(struct c4_fabric *f, const struct plan *p, struct c4_fault *fault)
{
	const struct c4_clos *c = &p->c;

	for (uint32_t spine = 0; p->n_cores && spine < p->n_spines; spine++) {
		uint32_t plane = spine / (c->pods * c->spines);
		uint32_t group = plane * c->spines + spine % c->spines;
		uint32_t first = p->n_leaves + p->n_spines + group * c->cores;

		for (uint32_t k = 0; k < c->cores; k++) {
			int64_t rc = c4_fabric_join(f, p->n_leaves + spine, first + k, c->gbps,
						    c->gbps, fault);

			if (rc < 0)
				return (int)rc;
		}
	}
	return 0;
}

int c4_clos_make(struct c4_fabric *f, const struct c4_clos *shape, struct c4_fault *fault)
{
	struct plan p = {0};
	int rc = prepare(&p, shape, fault);

	if (!rc)
		rc = add_tier(f, C4_LEAF, p.n_leaves, fault);
	if (!rc)
		rc = add_tier(f, C4_SPINE, p.n_spines, fault);
	if (!rc)
		rc = add_tier(f, C4_CORE, p.n_cores, fault);
	if (!rc)
		rc = add_hosts(f, &p.c, fault);
	if (!rc)
		rc = join_leaves(f, &p, fault);
	if (!rc)
		rc = join_cores(f, &p, fault);
	return rc ? rc : c4_fabric_finish(f, fault);
}
