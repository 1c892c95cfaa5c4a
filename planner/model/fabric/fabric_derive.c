// SPDX-License-Identifier: BSD-3-Clause
/*
 * What follows from links and NICs: who is connected to whom. Components by union-find (path
 * halving); numbers are given in order of the lowest switch, so that equal files give equal
 * numbers.
 */
#include "planner/model/fabric/fabric.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct forest {
	uint32_t *parent;
	uint32_t *plane; /* of a root: plane of the NICs below, C4_NONE without any */
};

static uint32_t root_of(const struct forest *t, uint32_t s)
{
	while (t->parent[s] != s) {
		t->parent[s] = t->parent[t->parent[s]];
		s = t->parent[s];
	}
	return s;
}

static void plant(struct forest *t, uint32_t n)
{
	for (uint32_t s = 0; s < n; s++) {
		t->parent[s] = s;
		t->plane[s] = C4_NONE;
	}
}

/* The lower index becomes the root: shallow enough, as links mostly join leaves to few spines. */
static void unite(struct forest *t, uint32_t a, uint32_t b)
{
	uint32_t low = a < b ? a : b, high = a < b ? b : a;

	t->parent[high] = low;
	if (t->plane[low] == C4_NONE)
		t->plane[low] = t->plane[high];
}

static int planes_of_nics(const struct c4_fabric *f, struct forest *t, struct c4_fault *fault)
{
	for (uint32_t i = 0; i < f->n_nics; i++) {
		const struct c4_nic *nic = &f->nics[i];
		uint32_t *plane = &t->plane[nic->leaf];

		fault->nic = i;
		if (*plane != C4_NONE && *plane != nic->plane)
			return c4_fault_set(
				fault, -EINVAL,
				"NIC %.60s/%.40s of plane %u is under leaf %.60s of plane %u, "
				"expected one plane per leaf",
				f->hosts[nic->host].name, nic->name, nic->plane,
				f->switches[nic->leaf].name, *plane);
		*plane = nic->plane;
	}
	fault->nic = C4_NONE;
	return 0;
}

/*
 * What most of the switches below s say their plane is (majority vote of Boyer and Moore), so that
 * one wrong link is known as the odd one wherever it stands.
 */
static uint32_t elect(const struct c4_fabric *f, uint32_t s, const uint32_t *plane)
{
	uint32_t chosen = C4_NONE;
	int votes = 0;

	for (uint32_t k = f->link_at[s]; k < f->link_at[s + 1]; k++) {
		const struct c4_link *l = &f->links[f->link_of[k]];

		if (l->b != s || plane[l->a] == C4_NONE)
			continue;
		if (!votes)
			chosen = plane[l->a];
		votes += plane[l->a] == chosen ? 1 : -1;
	}
	return chosen;
}

static bool differ(uint32_t a, uint32_t b)
{
	return a != b && a != C4_NONE && b != C4_NONE;
}

/* The first link at odds with its switches' planes; else the one that closed the contact. */
static uint32_t suspect(const struct c4_fabric *f, struct forest *t, uint32_t contact)
{
	struct c4_fault ignored;

	plant(t, f->n_switches);
	planes_of_nics(f, t, &ignored);
	for (int tier = C4_SPINE; tier <= C4_CORE; tier++)
		for (uint32_t s = 0; s < f->n_switches; s++)
			if ((int)f->switches[s].tier == tier)
				t->plane[s] = elect(f, s, t->plane);
	for (uint32_t i = 0; i < f->n_links; i++)
		if (differ(t->plane[f->links[i].a], t->plane[f->links[i].b]))
			return i;
	return contact;
}

static int planes_meet(const struct c4_fabric *f, struct forest *t, uint32_t contact,
		       struct c4_fault *fault)
{
	uint32_t a = t->plane[root_of(t, f->links[contact].a)];
	uint32_t b = t->plane[root_of(t, f->links[contact].b)];
	const struct c4_link *l = &f->links[suspect(f, t, contact)];

	fault->link = (uint32_t)(l - f->links);
	return c4_fault_set(fault, -EINVAL,
			    "link %.60s–%.60s joins planes %u and %u, expected planes to be "
			    "separate networks",
			    f->switches[l->a].name, f->switches[l->b].name, a, b);
}

static int unite_all(const struct c4_fabric *f, struct forest *t, struct c4_fault *fault)
{
	for (uint32_t i = 0; i < f->n_links; i++) {
		uint32_t a = root_of(t, f->links[i].a), b = root_of(t, f->links[i].b);

		if (a == b)
			continue;
		if (differ(t->plane[a], t->plane[b]))
			return planes_meet(f, t, i, fault);
		unite(t, a, b);
	}
	return 0;
}

static void number_nets(struct c4_fabric *f, const struct forest *t)
{
	f->n_nets = 0;
	for (uint32_t s = 0; s < f->n_switches; s++) {
		uint32_t root = root_of(t, s); /* never above s: numbered before */

		f->switches[s].net = root == s ? f->n_nets++ : f->switches[root].net;
		f->switches[s].plane = t->plane[root] == C4_NONE ? 0 : t->plane[root];
	}
}

/* Components without the cores; next[net] counts those of a net. */
static void number_pods(struct c4_fabric *f, struct forest *t, uint32_t *next)
{
	plant(t, f->n_switches);
	memset(next, 0, f->n_nets * sizeof *next);
	for (uint32_t i = 0; i < f->n_links; i++) {
		uint32_t a = root_of(t, f->links[i].a), b = root_of(t, f->links[i].b);

		if (f->switches[f->links[i].b].tier != C4_CORE && a != b)
			unite(t, a, b);
	}
	for (uint32_t s = 0; s < f->n_switches; s++) {
		struct c4_switch *sw = &f->switches[s];
		uint32_t root = root_of(t, s);

		if (sw->tier == C4_CORE)
			sw->pod = C4_NONE;
		else
			sw->pod = root == s ? next[sw->net]++ : f->switches[root].pod;
	}
}

/* Where the links of each switch begin: at[s]; at has n_switches + 1 entries. */
static void count_links(const struct c4_fabric *f, uint32_t *at)
{
	memset(at, 0, (f->n_switches + 1) * sizeof *at);
	for (uint32_t i = 0; i < f->n_links; i++) {
		at[f->links[i].a + 1]++;
		at[f->links[i].b + 1]++;
	}
	for (uint32_t s = 0; s < f->n_switches; s++)
		at[s + 1] += at[s];
}

/*
 * Buckets by switch in order of links, then dealt out again bucket by bucket to the far ends:
 * each far end receives its links in order of the near switch. No comparison sort is needed.
 */
static void sort_links(struct c4_fabric *f, uint32_t *bucket, uint32_t *fill)
{
	memcpy(fill, f->link_at, f->n_switches * sizeof *fill);
	for (uint32_t i = 0; i < f->n_links; i++) {
		bucket[fill[f->links[i].a]++] = i;
		bucket[fill[f->links[i].b]++] = i;
	}
	memcpy(fill, f->link_at, f->n_switches * sizeof *fill);
	for (uint32_t s = 0; s < f->n_switches; s++)
		for (uint32_t k = f->link_at[s]; k < f->link_at[s + 1]; k++)
			f->link_of[fill[c4_link_peer(&f->links[bucket[k]], s)]++] = bucket[k];
}

static int derive_links(struct c4_fabric *f, uint32_t *fill)
{
	uint32_t *bucket = malloc((2 * (size_t)f->n_links + 1) * sizeof *bucket);

	free(f->link_of);
	free(f->link_at);
	f->link_of = malloc((2 * (size_t)f->n_links + 1) * sizeof *f->link_of);
	f->link_at = malloc((f->n_switches + 1) * sizeof *f->link_at);
	if (bucket && f->link_of && f->link_at) {
		count_links(f, f->link_at);
		sort_links(f, bucket, fill);
		free(bucket);
		return 0;
	}
	free(bucket);
	free(f->link_of);
	free(f->link_at);
	f->link_of = f->link_at = NULL;
	return -ENOMEM;
}

static bool any_leaf(const struct c4_fabric *f)
{
	for (uint32_t s = 0; s < f->n_switches; s++)
		if (f->switches[s].tier == C4_LEAF)
			return true;
	return false;
}

static int derive(struct c4_fabric *f, struct forest *t, uint32_t *scratch, struct c4_fault *fault)
{
	int rc;

	plant(t, f->n_switches);
	rc = planes_of_nics(f, t, fault);
	if (!rc && derive_links(f, scratch))
		rc = c4_fault_set(fault, -ENOMEM, "out of memory");
	if (!rc)
		rc = unite_all(f, t, fault);
	if (rc)
		return rc;
	number_nets(f, t);
	number_pods(f, t, scratch);
	return 0;
}

int c4_fabric_finish(struct c4_fabric *f, struct c4_fault *fault)
{
	struct c4_fault ignored;
	uint32_t n = f->n_switches;
	struct forest t;
	uint32_t *memory;
	int rc;

	fault = fault ? fault : &ignored;
	fault->link = fault->nic = C4_NONE;
	if (!any_leaf(f))
		return c4_fault_set(fault, -EINVAL, "no leaf, expected at least one");
	memory = malloc(3 * (size_t)n * sizeof *memory);
	if (!memory)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	t = (struct forest){.parent = memory, .plane = memory + n};
	rc = derive(f, &t, memory + 2 * (size_t)n, fault);
	free(memory);
	return rc;
}
