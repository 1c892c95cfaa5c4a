// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/eval/baseline.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "planner/model/eval/ecmp.h"

/* ---- random ------------------------------------------------------------------------------ */

static uint32_t draw(uint64_t *rng, uint32_t n)
{
	*rng += 1;
	return (uint32_t)(((c4_mix64(*rng) >> 32) * n) >> 32);
}

void c4_baseline_random_ports(const struct c4_demand *d, uint64_t seed, struct c4_plan *p)
{
	uint64_t rng = c4_mix64(seed);

	for (uint32_t q = 0; q < d->n_qps; q++)
		if (!p->routes[q].sport)
			p->routes[q].sport = (uint16_t)(C4_PORT_FIRST + draw(&rng, C4_PORTS));
}

static int measure(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p)
{
	double *load = malloc((2 * (size_t)f->n_links + 1) * sizeof *load);

	if (!load)
		return -ENOMEM;
	c4_plan_measure(f, d, p, load);
	free(load);
	return 0;
}

int c4_baseline_ecmp(struct c4_oracle *switches, const struct c4_fabric *f,
		     const struct c4_demand *d, uint64_t seed, struct c4_plan *p)
{
	int rc;

	c4_baseline_random_ports(d, seed, p);
	rc = c4_oracle_trace(switches, f, d, p);
	return rc ? rc : measure(f, d, p);
}

/* ---- least loaded ------------------------------------------------------------------------ */

struct score {
	double most, sum;
	uint32_t ties;
};

struct walker {
	const struct c4_fabric *f;
	struct c4_ecmp ecmp;
	double *util;	  /* per link and direction */
	double *per_load; /* utilisation of a link per unit of load */
	uint64_t rng;
	struct c4_path best;
	struct score best_score;
};

static bool better(const struct score *a, const struct score *b)
{
	return a->most < b->most - 1e-9 || (a->most < b->most + 1e-9 && a->sum < b->sum - 1e-9);
}

/* The hop over member m of switch s, added to a score. */
static struct score add_hop(const struct walker *w, struct score s, uint32_t at,
			    const struct c4_ecmp_member *m, double load)
{
	size_t i = 2 * (size_t)m->link + (w->f->links[m->link].a != at);
	double util = w->util[i] + load * w->per_load[m->link];

	s.most = util > s.most ? util : s.most;
	s.sum += util;
	return s;
}

/* Keeps the path if it is the best so far, or one of equals with equal chance. */
static void offer(struct walker *w, const struct c4_path *path, const struct score *s)
{
	if (better(s, &w->best_score)) {
		w->best = *path;
		w->best_score = *s;
		w->best_score.ties = 1;
	} else if (!better(&w->best_score, s) && draw(&w->rng, ++w->best_score.ties) == 0) {
		w->best = *path;
	}
}

/* All live shortest paths from switch `at`; a tree of at most C4_HOPS_MAX levels. */
static void try_all(struct walker *w, uint32_t at, struct c4_path *path, struct score s,
		    double load)
{
	struct c4_ecmp_group g;

	if (at == w->ecmp.leaf) {
		offer(w, path, &s);
		return;
	}
	g = c4_ecmp_group(&w->ecmp, at);
	for (uint32_t i = 0; i < g.n; i++) {
		path->link[path->hops++] = g.members[i].link;
		try_all(w, g.members[i].to, path, add_hop(w, s, at, &g.members[i], load), load);
		path->hops--;
	}
}

static void try_two(struct walker *w, uint32_t from, struct c4_path *path, struct score zero,
		    double load)
{
	for (int k = 0; k < 2; k++) {
		struct score s = zero;
		uint32_t at = from;

		path->hops = 0;
		while (at != w->ecmp.leaf) {
			struct c4_ecmp_group g = c4_ecmp_group(&w->ecmp, at);
			const struct c4_ecmp_member *m;

			if (!g.n)
				return;
			m = &g.members[draw(&w->rng, g.n)];
			s = add_hop(w, s, at, m, load);
			path->link[path->hops++] = m->link;
			at = m->to;
		}
		offer(w, path, &s);
	}
}

typedef void (*chooser)(struct walker *w, uint32_t from, struct c4_path *path, struct score s,
			double load);

static void add_path(struct walker *w, uint32_t from, const struct c4_path *path, double load)
{
	uint32_t links[C4_HOPS_MAX];

	c4_path_directed(w->f, from, path, links);
	for (uint32_t i = 0; i < path->hops; i++)
		w->util[links[i]] += load * w->per_load[path->link[i]];
}

static void take_best(struct walker *w, uint32_t from, uint32_t to, double load, struct c4_route *r)
{
	if (w->best_score.ties && c4_path_to_route(w->f, from, to, &w->best, r) == 0)
		add_path(w, from, &w->best, load);
	else
		r->state = w->f->switches[from].net == w->f->switches[to].net ? C4_ROUTE_NO_PATH
									      : C4_ROUTE_TWO_PLANES;
}

/* What stays where it is. */
static void add_placed(struct walker *w, const struct c4_conn *c, const struct c4_plan *p)
{
	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		struct c4_path path;

		if (p->routes[q].state != C4_ROUTE_SPINE && p->routes[q].state != C4_ROUTE_CORE)
			continue;
		c4_path_of_route(w->f, c, &p->routes[q], &path);
		add_path(w, w->f->nics[c->src].leaf, &path,
			 (double)c->weight * (double)p->routes[q].share);
	}
}

static void place_conn(struct walker *w, const struct c4_conn *c, chooser choose, struct c4_plan *p)
{
	uint32_t from = w->f->nics[c->src].leaf, to = w->f->nics[c->dst].leaf;

	c4_ecmp_toward(&w->ecmp, to);
	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		double load = (double)c->weight * (double)p->routes[q].share;
		struct c4_path path = {.hops = 0};

		if (p->routes[q].state != C4_ROUTE_NONE)
			continue;
		w->best_score = (struct score){.most = 1e300};
		choose(w, from, &path, (struct score){0}, load);
		take_best(w, from, to, load, &p->routes[q]);
	}
}

static int open_walker(struct walker *w, const struct c4_fabric *f, uint64_t seed)
{
	double rate = 0;

	*w = (struct walker){.f = f, .rng = c4_mix64(seed)};
	w->util = calloc(2 * (size_t)f->n_links + 1, sizeof *w->util);
	w->per_load = calloc((size_t)f->n_links + 1, sizeof *w->per_load);
	if (!w->util || !w->per_load)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_links; i++)
		rate = (double)f->links[i].gbps > rate ? (double)f->links[i].gbps : rate;
	for (uint32_t i = 0; i < f->n_links; i++)
		if (f->links[i].now_gbps > 0)
			w->per_load[i] = rate / (double)f->links[i].now_gbps;
	return c4_ecmp_init(&w->ecmp, f);
}

static int place_all(const struct c4_fabric *f, const struct c4_demand *d, uint64_t seed,
		     chooser choose, struct c4_plan *p)
{
	struct walker w;
	int rc = open_walker(&w, f, seed);

	for (uint32_t i = 0; rc == 0 && i < d->n_conns; i++)
		add_placed(&w, &d->conns[i], p);
	for (uint32_t i = 0; rc == 0 && i < d->n_conns; i++)
		place_conn(&w, &d->conns[i], choose, p);
	c4_ecmp_release(&w.ecmp);
	free(w.util);
	free(w.per_load);
	return rc ? rc : measure(f, d, p);
}

int c4_baseline_greedy(const struct c4_fabric *f, const struct c4_demand *d, uint64_t seed,
		       struct c4_plan *p)
{
	return place_all(f, d, seed, try_all, p);
}

int c4_baseline_two_choices(const struct c4_fabric *f, const struct c4_demand *d, uint64_t seed,
			    struct c4_plan *p)
{
	return place_all(f, d, seed, try_two, p);
}
