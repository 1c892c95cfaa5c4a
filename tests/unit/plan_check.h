/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_check.h - a plan judged from outside: paths are followed on the fabric's list of links,
 * loads and counting bounds are summed up anew. Uses of the planner only its data (fabric, demand,
 * routes), none of its functions.
 *
 * Include after cmocka.h. check_plan() fails the test with the case's name and the QP.
 */
#ifndef C4_TESTS_PLAN_CHECK_H
#define C4_TESTS_PLAN_CHECK_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/plan.h"

#define CHECK_EPS 1e-4 /* shares are floats */

struct check_link {
	uint64_t ends; /* a << 32 | b */
	uint32_t link;
};

struct check {
	const char *name;
	const struct c4_fabric *f;
	const struct c4_demand *d;
	struct check_link *links; /* sorted */
	double *up, *down;	  /* load of each link, a to b and b to a */
	double max_load, max_util;
	double bound; /* by degrees: weight that leaves a leaf or pod, whole QPs */
	uint32_t unplaced;
	bool weighted; /* shares are free: QPs need not be whole */
};

#define check_fail(c, ...)                                                                         \
	do {                                                                                       \
		print_error("%s: ", (c)->name);                                                    \
		print_error(__VA_ARGS__);                                                          \
		print_error("\n");                                                                 \
		fail();                                                                            \
	} while (0)

/* ---- the fabric ------------------------------------------------------------------------------ */

static inline int check_order(const void *a, const void *b)
{
	const struct check_link *x = a, *y = b;

	if (x->ends != y->ends)
		return x->ends < y->ends ? -1 : 1;
	return x->link < y->link ? -1 : x->link > y->link;
}

static inline void check_init(struct check *c, const char *name, const struct c4_fabric *f,
			      const struct c4_demand *d)
{
	*c = (struct check){.name = name, .f = f, .d = d};
	c->links = calloc(f->n_links + 1, sizeof *c->links);
	c->up = calloc(f->n_links + 1, sizeof *c->up);
	c->down = calloc(f->n_links + 1, sizeof *c->down);
	for (uint32_t i = 0; i < f->n_links; i++)
		c->links[i] = (struct check_link){(uint64_t)f->links[i].a << 32 | f->links[i].b, i};
	qsort(c->links, f->n_links, sizeof *c->links, check_order);
}

static inline void check_release(struct check *c)
{
	free(c->links);
	free(c->up);
	free(c->down);
}

/* The nth of the links from a lower to an upper switch, C4_NONE if there are fewer. */
static inline uint32_t check_find(const struct check *c, uint32_t a, uint32_t b, uint32_t nth)
{
	uint64_t ends = (uint64_t)a << 32 | b;
	uint32_t from = 0, to = c->f->n_links;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (c->links[middle].ends < ends)
			from = middle + 1;
		else
			to = middle;
	}
	from += nth;
	return from < c->f->n_links && c->links[from].ends == ends ? c->links[from].link : C4_NONE;
}

/* Rate of all links from a lower to an upper switch. */
static inline double check_rate(const struct check *c, uint32_t a, uint32_t b)
{
	double sum = 0;

	for (uint32_t nth = 0, link; (link = check_find(c, a, b, nth)) != C4_NONE; nth++)
		sum += (double)c->f->links[link].now_gbps;
	return sum;
}

static inline double check_fastest(const struct c4_fabric *f)
{
	double most = 0;

	for (uint32_t i = 0; i < f->n_links; i++)
		most = fmax(most, (double)f->links[i].gbps);
	return most;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* One step of a QP: a live link of the right ends; its load grows. */
static inline void check_step(struct check *c, uint32_t qp, uint32_t low, uint32_t high,
			      uint32_t nth, bool up, double weight)
{
	uint32_t link = check_find(c, low, high, nth);

	if (link == C4_NONE)
		check_fail(c, "QP %u: no link %u of switches %u and %u", qp, nth, low, high);
	if (!(c->f->links[link].now_gbps > 0))
		check_fail(c, "QP %u: the link of switches %u and %u is dead", qp, low, high);
	if (up)
		c->up[link] += weight;
	else
		c->down[link] += weight;
}

static inline void check_tier(const struct check *c, uint32_t qp, uint32_t s, enum c4_tier tier)
{
	if (s >= c->f->n_switches || c->f->switches[s].tier != tier)
		check_fail(c, "QP %u: switch %u is not of tier %d", qp, s, (int)tier);
}

static inline void check_path(struct check *c, const struct c4_conn *conn, uint32_t qp,
			      const struct c4_route *r)
{
	uint32_t src = c->f->nics[conn->src].leaf, dst = c->f->nics[conn->dst].leaf;
	double weight = (double)conn->weight * (double)r->share;

	check_tier(c, qp, r->up, C4_SPINE);
	if (r->state == C4_ROUTE_SPINE) {
		if (r->down != r->up)
			check_fail(c, "QP %u: up by %u, down by %u", qp, r->up, r->down);
	} else {
		check_tier(c, qp, r->down, C4_SPINE);
		check_tier(c, qp, r->core, C4_CORE);
		if (c->f->switches[src].pod == c->f->switches[dst].pod)
			check_fail(c, "QP %u: a core for two leaves of one pod", qp);
		check_step(c, qp, r->up, r->core, r->parallel_core & 15, true, weight);
		check_step(c, qp, r->down, r->core, r->parallel_core >> 4, false, weight);
	}
	check_step(c, qp, src, r->up, r->parallel_up, true, weight);
	check_step(c, qp, dst, r->down, r->parallel_down, false, weight);
}

/* Some live path joins two leaves: by one spine, or by two and a core. */
static inline bool check_joined(const struct check *c, uint32_t src, uint32_t dst)
{
	const struct c4_fabric *f = c->f;

	for (uint32_t s = 0; s < f->n_switches; s++) {
		if (f->switches[s].tier != C4_SPINE || check_rate(c, src, s) <= 0)
			continue;
		if (f->switches[src].pod == f->switches[dst].pod) {
			if (check_rate(c, dst, s) > 0)
				return true;
			continue;
		}
		for (uint32_t t = 0; t < f->n_switches; t++) {
			if (f->switches[t].tier != C4_SPINE || check_rate(c, dst, t) <= 0)
				continue;
			for (uint32_t x = 0; x < f->n_switches; x++)
				if (f->switches[x].tier == C4_CORE && check_rate(c, s, x) > 0 &&
				    check_rate(c, t, x) > 0)
					return true;
		}
	}
	return false;
}

static inline void check_route(struct check *c, const struct c4_conn *conn, uint32_t qp,
			       const struct c4_route *r)
{
	const struct c4_switch *src = &c->f->switches[c->f->nics[conn->src].leaf];
	const struct c4_switch *dst = &c->f->switches[c->f->nics[conn->dst].leaf];

	if ((r->state == C4_ROUTE_LOCAL) != (src == dst))
		check_fail(c, "QP %u: state %d from %s to %s", qp, r->state, src->name, dst->name);
	switch (r->state) {
	case C4_ROUTE_LOCAL: break;
	case C4_ROUTE_SPINE:
	case C4_ROUTE_CORE: check_path(c, conn, qp, r); break;
	case C4_ROUTE_NO_PATH:
		c->unplaced++;
		if (src->net == dst->net &&
		    check_joined(c, c->f->nics[conn->src].leaf, c->f->nics[conn->dst].leaf))
			check_fail(c, "QP %u: a path from %s to %s exists", qp, src->name,
				   dst->name);
		break;
	case C4_ROUTE_TWO_PLANES:
		c->unplaced++;
		if (src->net == dst->net)
			check_fail(c, "QP %u: %s and %s are in one net", qp, src->name, dst->name);
		break;
	default: check_fail(c, "QP %u: state %d", qp, r->state);
	}
}

/* ---- loads and bounds ------------------------------------------------------------------------ */

static inline void check_most(struct check *c)
{
	double fastest = check_fastest(c->f);

	for (uint32_t i = 0; i < c->f->n_links; i++) {
		double load = fmax(c->up[i], c->down[i]);

		if (load <= 0)
			continue;
		c->max_load = fmax(c->max_load, load);
		c->max_util = fmax(c->max_util, load * fastest / (double)c->f->links[i].now_gbps);
	}
}

/* What leaves or reaches one leaf (or pod), over its live links: whole QPs if all are alike. */
struct check_degree {
	double weight;
	uint32_t qps;
};

static inline double check_share(const struct check_degree *d, uint32_t links, double unit)
{
	if (!links)
		return 0;
	return unit > 0 ? unit * ((d->qps + links - 1) / links) : d->weight / links;
}

/* The size of all QPs, 0 if there are several. */
static inline double check_unit(const struct c4_demand *d)
{
	double unit = d->n_conns ? (double)d->conns[0].weight / d->conns[0].qps : 0;

	for (uint32_t i = 1; i < d->n_conns; i++)
		if (fabs((double)d->conns[i].weight / d->conns[i].qps - unit) > 1e-6 * unit)
			return 0;
	return unit;
}

/* More sizes of QPs than the planner tells apart: its bound may then be a little weaker. */
static inline bool check_many_sizes(const struct c4_demand *d)
{
	double size[64];
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n_conns; i++) {
		double unit = (double)d->conns[i].weight / d->conns[i].qps;
		uint32_t k = 0;

		while (k < n && fabs(size[k] - unit) > 1e-6 * unit)
			k++;
		if (k == 64)
			return true;
		if (k == n)
			size[n++] = unit;
	}
	return false;
}

/*
 * Only what is placed counts. Groups are leaves, or pods (numbered net by net: net * pods + pod).
 * QPs within a group do not use its links.
 */
static inline void check_bound_of(struct check *c, const struct c4_plan *p, bool pods)
{
	const struct c4_fabric *f = c->f;
	uint32_t n = pods ? f->n_nets * f->n_switches : f->n_switches, *live;
	struct check_degree *degree = calloc(2 * (size_t)n + 1, sizeof *degree);

	live = calloc(n + 1, sizeof *live);
#define GROUP(s) (pods ? f->switches[s].net * f->n_switches + f->switches[s].pod : (s))
	for (uint32_t i = 0; i < f->n_links; i++)
		if (f->links[i].now_gbps > 0 &&
		    f->switches[f->links[i].b].tier == (pods ? C4_CORE : C4_SPINE))
			live[GROUP(f->links[i].a)]++;
	for (uint32_t i = 0; i < c->d->n_conns; i++) {
		const struct c4_conn *conn = &c->d->conns[i];
		uint32_t end[2] = {GROUP(f->nics[conn->src].leaf), GROUP(f->nics[conn->dst].leaf)};
		uint8_t state = p->routes[conn->first].state;

		if (end[0] == end[1] || (state != C4_ROUTE_SPINE && state != C4_ROUTE_CORE))
			continue;
		for (int side = 0; side < 2; side++) {
			degree[2 * (size_t)end[side] + side].qps += conn->qps;
			degree[2 * (size_t)end[side] + side].weight += (double)conn->weight;
		}
	}
#undef GROUP
	for (uint32_t g = 0; g < n; g++)
		for (int side = 0; side < 2; side++)
			c->bound =
				fmax(c->bound, check_share(&degree[2 * (size_t)g + side], live[g],
							   c->weighted ? 0 : check_unit(c->d)));
	free(degree);
	free(live);
}

static inline void check_near(const struct check *c, const char *what, double told, double found)
{
	if (fabs(told - found) > CHECK_EPS * fmax(1, found))
		check_fail(c, "%s: the plan says %.9g, its routes say %.9g", what, told, found);
}

static inline void check_any_plan(struct check *c, const struct c4_demand *d,
				  const struct c4_plan *p)
{
	if (p->n_routes != d->n_qps)
		check_fail(c, "%u routes for %u QPs", p->n_routes, d->n_qps);
	for (uint32_t i = 0; i < d->n_conns; i++) {
		const struct c4_conn *conn = &d->conns[i];
		double share = 0;

		for (uint32_t q = conn->first; q < conn->first + conn->qps; q++) {
			check_route(c, conn, q, &p->routes[q]);
			share += (double)p->routes[q].share;
		}
		if (fabs(share - 1) > CHECK_EPS)
			check_fail(c, "connection %u: shares are %g in all", i, share);
	}
	check_most(c);
	check_near(c, "max_load", p->max_load, c->max_load);
	check_near(c, "max_util", p->max_util, c->max_util);
	if (p->n_unplaced != c->unplaced)
		check_fail(c, "n_unplaced %u, but there are %u", p->n_unplaced, c->unplaced);
	check_bound_of(c, p, false);
	check_bound_of(c, p, true);
	if (p->lower_bound < c->bound * (1 - CHECK_EPS) && !check_many_sizes(d))
		check_fail(c, "bound %g, by degrees alone it is %g", p->lower_bound, c->bound);
	if (p->max_load < p->lower_bound * (1 - CHECK_EPS) ||
	    p->max_util < p->util_bound * (1 - CHECK_EPS))
		check_fail(c, "below the bound: load %g of %g, utilisation %g of %g", p->max_load,
			   p->lower_bound, p->max_util, p->util_bound);
}

/* Fails the test if the plan is not one, or does not know its own loads. c: check_release() it. */
static inline void check_plan(struct check *c, const char *name, const struct c4_fabric *f,
			      const struct c4_demand *d, const struct c4_plan *p)
{
	check_init(c, name, f, d);
	check_any_plan(c, d, p);
}

/* The same for a plan whose shares are free. */
static inline void check_weighted_plan(struct check *c, const char *name, const struct c4_fabric *f,
				       const struct c4_demand *d, const struct c4_plan *p)
{
	check_init(c, name, f, d);
	c->weighted = true;
	check_any_plan(c, d, p);
}

#endif
