// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/fabric/net.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/assign/kempe.h"

/* A QP more is not refused for a rounding error: QPs are far larger than this part of a link. */
#define SLACK 1e-6

/* ---- building -------------------------------------------------------------------------------- */

/* Core groups: spines and cores that links join, by the lowest switch of each. */
struct groups {
	uint32_t *parent; /* [switch] */
	uint32_t *slots;  /* [group's root] colours of the group */
	uint32_t *first;  /* [group's root] its first colour */
	uint32_t *used;	  /* [group's root] spines of the pod at work */
	uint32_t *slot;	  /* [spine] its colour */
};

static uint32_t root_of(uint32_t *parent, uint32_t s)
{
	while (parent[s] != s) {
		parent[s] = parent[parent[s]];
		s = parent[s];
	}
	return s;
}

static bool core_link(const struct c4_fabric *f, const struct c4_link *l)
{
	return f->switches[l->b].tier == C4_CORE;
}

static void find_groups(const struct c4_fabric *f, struct groups *g)
{
	for (uint32_t s = 0; s < f->n_switches; s++)
		g->parent[s] = s;
	for (uint32_t i = 0; i < f->n_links; i++) {
		uint32_t a, b;

		if (!core_link(f, &f->links[i]))
			continue;
		a = root_of(g->parent, f->links[i].a);
		b = root_of(g->parent, f->links[i].b);
		g->parent[a > b ? a : b] = a > b ? b : a;
	}
}

/*
 * Without cores all spines are one group. Spines are taken pod by pod (in order of switches): the
 * i-th spine that a pod has in a group gets the i-th colour of the group.
 */
static uint32_t group_of(const struct c4_net *n, const struct groups *g, uint32_t spine)
{
	return n->n_pods > 1 ? root_of(g->parent, spine) : 0;
}

static void count_slots(const struct c4_net *n, uint32_t index, struct groups *g)
{
	const struct c4_fabric *f = n->fabric;

	for (uint32_t pod = 0; pod < n->n_pods; pod++) {
		memset(g->used, 0, f->n_switches * sizeof *g->used);
		for (uint32_t s = 0; s < f->n_switches; s++) {
			const struct c4_switch *sw = &f->switches[s];
			uint32_t group;

			if (sw->net != index || sw->tier != C4_SPINE || sw->pod != pod)
				continue;
			group = group_of(n, g, s);
			g->slot[s] = g->used[group]++;
			if (g->used[group] > g->slots[group])
				g->slots[group] = g->used[group];
		}
	}
}

static uint32_t place_groups(struct c4_net *n, struct groups *g)
{
	uint32_t colours = 0;

	n->aligned = true;
	for (uint32_t s = 0; s < n->fabric->n_switches; s++) {
		g->first[s] = colours;
		colours += g->slots[s];
		if (n->n_pods > 1 && g->slots[s] > 1)
			n->aligned = false;
	}
	return colours;
}

static void fill_spines(struct c4_net *n, uint32_t index, const struct groups *g)
{
	const struct c4_fabric *f = n->fabric;

	for (uint32_t s = 0; s < f->n_switches; s++) {
		const struct c4_switch *sw = &f->switches[s];

		if (sw->net != index || sw->tier != C4_SPINE)
			continue;
		g->slot[s] += g->first[group_of(n, g, s)];
		n->spine[sw->pod * n->colours + g->slot[s]] = s;
	}
}

/* The next bundle of switch s at *at, or false at its end. */
static bool next_bundle(const struct c4_fabric *f, uint32_t s, uint32_t *at, struct c4_bundle *ret,
			uint32_t *ret_peer)
{
	if (*at == f->link_at[s + 1])
		return false;
	*ret_peer = c4_link_peer(&f->links[f->link_of[*at]], s);
	ret->at = *at;
	while (*at < f->link_at[s + 1] && c4_link_peer(&f->links[f->link_of[*at]], s) == *ret_peer)
		++*at;
	ret->n = *at - ret->at;
	return true;
}

static void fill_up(struct c4_net *n, const struct groups *g)
{
	const struct c4_fabric *f = n->fabric;

	for (uint32_t leaf = 0; leaf < n->n_leaves; leaf++) {
		uint32_t at = f->link_at[n->leaf[leaf]], peer;
		struct c4_bundle b;

		while (next_bundle(f, n->leaf[leaf], &at, &b, &peer))
			if (f->switches[peer].tier == C4_SPINE)
				n->up[(uint64_t)leaf * n->colours + g->slot[peer]] = b;
	}
}

/* Which place a core has among those of a colour: found, or the first free one. */
static uint32_t core_place(struct c4_net *n, uint32_t colour, uint32_t core)
{
	uint32_t i = 0, *cores = n->core + (uint64_t)colour * n->cores;

	while (cores[i] != core && cores[i] != C4_NONE)
		i++;
	cores[i] = core;
	return i;
}

static void fill_over(struct c4_net *n)
{
	const struct c4_fabric *f = n->fabric;

	for (uint32_t i = 0; i < n->n_pods * n->colours; i++) {
		uint32_t spine = n->spine[i], at, peer;
		struct c4_bundle b;

		if (spine == C4_NONE)
			continue;
		at = f->link_at[spine];
		while (next_bundle(f, spine, &at, &b, &peer))
			if (f->switches[peer].tier == C4_CORE)
				n->over[(uint64_t)i * n->cores +
					core_place(n, i % n->colours, peer)] = b;
	}
}

static uint32_t *filled(uint64_t n, int byte)
{
	uint32_t *p = malloc((n + 1) * sizeof *p);

	if (p)
		memset(p, byte, (n + 1) * sizeof *p);
	return p;
}

static void groups_release(struct groups *g)
{
	free(g->parent);
	free(g->slots);
	free(g->first);
	free(g->used);
	free(g->slot);
}

static bool groups_init(struct groups *g, uint32_t n)
{
	g->parent = filled(n, 0);
	g->slots = filled(n, 0);
	g->first = filled(n, 0);
	g->used = filled(n, 0);
	g->slot = filled(n, 0);
	return g->parent && g->slots && g->first && g->used && g->slot;
}

/* Leaves, pods and the most cores of a group. */
static bool count_switches(struct c4_net *n, uint32_t index, uint32_t *local, struct groups *g)
{
	const struct c4_fabric *f = n->fabric;

	for (uint32_t s = 0; s < f->n_switches; s++) {
		const struct c4_switch *sw = &f->switches[s];

		if (sw->net != index)
			continue;
		if (sw->tier == C4_LEAF)
			local[s] = n->n_leaves++;
		if (sw->tier == C4_CORE && ++g->used[root_of(g->parent, s)] > n->cores)
			n->cores = g->used[root_of(g->parent, s)];
		if (sw->tier != C4_CORE && sw->pod >= n->n_pods)
			n->n_pods = sw->pod + 1;
	}
	n->leaf = filled(n->n_leaves, 0);
	n->pod = malloc((n->n_leaves + 1) * sizeof *n->pod);
	if (!n->leaf || !n->pod)
		return false;
	for (uint32_t s = 0; s < f->n_switches; s++)
		if (f->switches[s].net == index && f->switches[s].tier == C4_LEAF) {
			n->leaf[local[s]] = s;
			n->pod[local[s]] = (uint16_t)f->switches[s].pod;
		}
	return true;
}

static bool make_tables(struct c4_net *n)
{
	uint64_t spines = (uint64_t)n->n_pods * n->colours;

	n->spine = filled(spines, 0xff);
	n->core = filled((uint64_t)n->colours * n->cores, 0xff);
	n->up = calloc((uint64_t)n->n_leaves * n->colours + 1, sizeof *n->up);
	n->over = calloc(spines * n->cores + 1, sizeof *n->over);
	return n->spine && n->core && n->up && n->over;
}

static float fastest_link(const struct c4_fabric *f)
{
	float most = 0;

	for (uint32_t i = 0; i < f->n_links; i++)
		most = fmaxf(most, f->links[i].gbps);
	return most > 0 ? most : 1;
}

static int build(struct c4_net *n, uint32_t index, uint32_t *local, struct groups *g,
		 struct c4_fault *fault)
{
	find_groups(n->fabric, g);
	if (!count_switches(n, index, local, g))
		return -ENOMEM;
	if (n->n_pods == 1)
		n->cores = 0;
	count_slots(n, index, g);
	n->colours = place_groups(n, g);
	if (n->colours > C4_COLOURS_MAX)
		return c4_fault_set(fault, -E2BIG, "%u spines in one pod, the most is %u",
				    n->colours, C4_COLOURS_MAX);
	if (!make_tables(n))
		return -ENOMEM;
	fill_spines(n, index, g);
	fill_up(n, g);
	if (n->cores)
		fill_over(n);
	return 0;
}

int c4_net_init(struct c4_net *net, const struct c4_fabric *f, uint32_t index, uint32_t *local,
		struct c4_fault *fault)
{
	struct groups g = {0};
	int rc = -ENOMEM;

	*net = (struct c4_net){.fabric = f, .rate = fastest_link(f)};
	if (groups_init(&g, f->n_switches))
		rc = build(net, index, local, &g, fault);
	groups_release(&g);
	if (rc)
		c4_net_release(net);
	return rc;
}

void c4_net_release(struct c4_net *net)
{
	free(net->leaf);
	free(net->pod);
	free(net->spine);
	free(net->core);
	free(net->up);
	free(net->over);
	*net = (struct c4_net){0};
}

/* ---- look-up --------------------------------------------------------------------------------- */

static uint32_t position(const uint32_t *list, uint32_t n, uint32_t wanted)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i] == wanted)
			return i;
	return C4_NONE;
}

uint32_t c4_net_colour(const struct c4_net *n, uint32_t pod, uint32_t spine)
{
	return position(n->spine + (uint64_t)pod * n->colours, n->colours, spine);
}

uint32_t c4_net_core(const struct c4_net *n, uint32_t colour, uint32_t core)
{
	return position(n->core + (uint64_t)colour * n->cores, n->cores, core);
}

/* ---- bundles --------------------------------------------------------------------------------- */

static double link_rate(const struct c4_net *n, const struct c4_bundle *b, uint32_t i)
{
	return (double)n->fabric->links[n->fabric->link_of[b->at + i]].now_gbps / (double)n->rate;
}

double c4_bundle_rate(const struct c4_net *n, const struct c4_bundle *b)
{
	double sum = 0;

	for (uint32_t i = 0; i < b->n; i++)
		sum += link_rate(n, b, i);
	return sum;
}

uint32_t c4_bundle_fits(const struct c4_net *n, const struct c4_bundle *b, double unit, double util)
{
	double sum = 0;

	for (uint32_t i = 0; i < b->n; i++)
		sum += floor(util * link_rate(n, b, i) / unit + SLACK);
	return sum < (double)UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

uint32_t c4_bundle_alive(const struct c4_net *n, const struct c4_bundle *b)
{
	uint32_t alive = 0;

	for (uint32_t i = 0; i < b->n; i++)
		alive += link_rate(n, b, i) > 0;
	return alive;
}

/* Some live core joins the spines of a colour in two pods. */
static bool pods_joined(const struct c4_net *n, uint32_t from, uint32_t to, uint32_t colour)
{
	for (uint32_t i = 0; i < n->cores; i++)
		if (c4_bundle_rate(n, c4_net_over(n, from, colour, i)) > 0 &&
		    c4_bundle_rate(n, c4_net_over(n, to, colour, i)) > 0)
			return true;
	return false;
}

bool c4_net_joined_by(const struct c4_net *n, uint32_t from, uint32_t to, uint32_t colour)
{
	return c4_bundle_rate(n, c4_net_up(n, from, colour)) > 0 &&
	       c4_bundle_rate(n, c4_net_up(n, to, colour)) > 0 &&
	       (n->pod[from] == n->pod[to] || pods_joined(n, n->pod[from], n->pod[to], colour));
}

bool c4_net_joined(const struct c4_net *n, uint32_t from, uint32_t to)
{
	for (uint32_t c = 0; c < n->colours; c++)
		if (c4_net_joined_by(n, from, to, c))
			return true;
	return false;
}

static bool alike(const struct c4_net *n, const struct c4_bundle *b, uint32_t count, double rate)
{
	if (!b->n || b->n != count)
		return false;
	for (uint32_t i = 0; i < b->n; i++)
		if (fabs(link_rate(n, b, i) - rate) > SLACK * rate)
			return false;
	return true;
}

static bool all_alike(const struct c4_net *n, const struct c4_bundle *all, uint64_t count)
{
	double rate;

	if (!count)
		return true;
	rate = all[0].n ? link_rate(n, &all[0], 0) : 0;
	if (rate <= 0)
		return false;
	for (uint64_t i = 0; i < count; i++)
		if (!alike(n, &all[i], all[0].n, rate))
			return false;
	return true;
}

bool c4_net_uniform(const struct c4_net *n)
{
	return all_alike(n, n->up, (uint64_t)n->n_leaves * n->colours) &&
	       all_alike(n, n->over, (uint64_t)n->n_pods * n->colours * n->cores);
}
