// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/churn.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "planner/model/assign/assign.h"
#include "planner/model/eval/baseline.h"
#include "planner/model/fabric/clos.h"
#include "planner/model/demand/pattern.h"
#include "planner/model/eval/rate.h"
#include "planner/model/replan/replan.h"

#define LEAVES	   32u
#define HOSTS	   1024u /* 32 under each leaf */
#define MOST_BUSY  (HOSTS * 9 / 10)
#define RING_LEAST 8u
#define RING_MOST  32u
#define EVENTS	   200u
#define EVENT_NS   1000000000u

enum way { WAY_ECMP, WAY_GREEDY, WAY_REPLAN, WAY_KEEP, WAY_FRESH, WAYS };

static const char *const way_names[WAYS] = {
	[WAY_ECMP] = "ECMP",
	[WAY_GREEDY] = "greedy, never moves",
	[WAY_REPLAN] = "re-plan by chains",
	[WAY_KEEP] = "exact, keeps the last plan",
	[WAY_FRESH] = "exact, from scratch",
};

struct job {
	uint32_t serial, n;
	uint32_t hosts[RING_MOST];
};

/* What one way of routing remembers, per connection of the jobs that run, in their order. */
struct memory {
	struct c4_route routes[HOSTS];
	uint32_t handles[HOSTS]; /* of the re-planner */
	struct c4_summing sums;
};

struct churn {
	struct c4_world w;
	struct c4_oracle *switches, *known;
	struct c4_replan *replan;
	struct job jobs[HOSTS];
	uint32_t n_jobs, n_conns, busy, serial;
	uint32_t free_hosts[HOSTS], n_free;
	uint64_t now_ns, seed;
	struct memory ways[WAYS];
};

/* ---- jobs come and go ---------------------------------------------------------------------- */

static int add_ring(struct churn *c, const struct job *j, struct c4_fault *fault)
{
	struct c4_member members[RING_MOST];
	char name[24];
	struct c4_team team = {.name = name,
			       .pattern = C4_PATTERN_RING,
			       .members = members,
			       .n_members = j->n,
			       .weight = 1,
			       .qps = 1,
			       .rail = C4_NONE};
	int64_t rc;

	for (uint32_t i = 0; i < j->n; i++)
		members[i] = (struct c4_member){j->hosts[i], C4_NONE};
	snprintf(name, sizeof name, "job%u", j->serial);
	rc = c4_demand_job(&c->w.d, name);
	team.job = (uint32_t)rc;
	if (rc >= 0)
		rc = c4_pattern_add(&c->w.d, &c->w.f, &team, fault);
	return rc < 0 ? (int)rc : 0;
}

/* The demand of the jobs that run: connections in the order of the jobs. */
static int make_demand(struct churn *c, struct c4_fault *fault)
{
	int rc = 0;

	c4_demand_release(&c->w.d);
	c4_demand_init(&c->w.d);
	for (uint32_t j = 0; rc == 0 && j < c->n_jobs; j++)
		rc = add_ring(c, &c->jobs[j], fault);
	return rc;
}

static void arrive(struct churn *c, uint32_t n)
{
	struct job *j = &c->jobs[c->n_jobs++];

	*j = (struct job){.serial = c->serial++, .n = n};
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = c4_world_draw(&c->w, c->n_free);

		j->hosts[i] = c->free_hosts[k];
		c->free_hosts[k] = c->free_hosts[--c->n_free];
	}
	for (int way = 0; way < WAYS; way++)
		for (uint32_t i = 0; i < n; i++)
			c->ways[way].routes[c->n_conns + i] = (struct c4_route){.share = 1};
	c->n_conns += n;
	c->busy += n;
}

static void depart(struct churn *c, uint32_t which)
{
	struct job gone = c->jobs[which];
	uint32_t at = 0, rest;

	for (uint32_t j = 0; j < which; j++)
		at += c->jobs[j].n;
	rest = c->n_conns - at - gone.n;
	for (uint32_t i = 0; i < gone.n; i++) {
		c->free_hosts[c->n_free++] = gone.hosts[i];
		c4_replan_remove(c->replan, c->ways[WAY_REPLAN].handles[at + i]);
	}
	for (int way = 0; way < WAYS; way++) {
		struct memory *m = &c->ways[way];

		memmove(m->routes + at, m->routes + at + gone.n, rest * sizeof *m->routes);
		memmove(m->handles + at, m->handles + at + gone.n, rest * sizeof *m->handles);
	}
	c->n_jobs--;
	memmove(c->jobs + which, c->jobs + which + 1, (c->n_jobs - which) * sizeof *c->jobs);
	c->n_conns -= gone.n;
	c->busy -= gone.n;
}

/* The next event: how many connections came with it. */
static uint32_t next_event(struct churn *c)
{
	uint32_t n = RING_LEAST + c4_world_draw(&c->w, RING_MOST - RING_LEAST + 1);

	c->now_ns += EVENT_NS;
	if (c->busy + n > MOST_BUSY) {
		depart(c, c4_world_draw(&c->w, c->n_jobs));
		return 0;
	}
	arrive(c, n);
	return n;
}

/* ---- ways of routing ------------------------------------------------------------------------ */

/* New connections, the last `came`, are told to the re-planner; its routes become the plan. */
static int replan(struct churn *c, uint32_t came, struct c4_plan *p)
{
	struct memory *m = &c->ways[WAY_REPLAN];

	for (uint32_t i = c->n_conns - came; i < c->n_conns; i++) {
		const struct c4_conn *n = &c->w.d.conns[i];
		int64_t h = c4_replan_add(c->replan, n->src, n->dst, (double)n->weight, n->qps);

		if (h < 0)
			return (int)h;
		m->handles[i] = (uint32_t)h;
	}
	c4_replan_tick(c->replan, c->now_ns);
	c4_replan_clear_moves(c->replan);
	for (uint32_t i = 0; i < c->n_conns; i++) {
		uint16_t sport = p->routes[i].sport;

		p->routes[i] = *c4_replan_route(c->replan, m->handles[i], 0);
		p->routes[i].sport = sport;
	}
	return 0;
}

static int assign(struct churn *c, const struct c4_plan *previous, struct c4_plan *p,
		  struct c4_fault *fault)
{
	struct c4_assign_opts o = {.previous = previous};
	uint16_t sports[HOSTS];
	int rc;

	for (uint32_t i = 0; i < c->n_conns; i++)
		sports[i] = p->routes[i].sport;
	rc = c4_assign(&c->w.f, &c->w.d, &o, p, fault);
	for (uint32_t i = 0; i < c->n_conns; i++)
		p->routes[i].sport = sports[i];
	return rc;
}

/* p holds what this way remembers, and then its plan, with ports. */
static int decide(struct churn *c, enum way way, uint32_t came, struct c4_plan *p,
		  struct c4_fault *fault)
{
	struct c4_plan before = {.routes = c->ways[way].routes, .n_routes = c->n_conns};
	int rc = 0;

	switch (way) {
	case WAY_ECMP: return c4_baseline_ecmp(c->switches, &c->w.f, &c->w.d, c->seed++, p);
	case WAY_GREEDY: rc = c4_baseline_greedy(&c->w.f, &c->w.d, c->seed, p); break;
	case WAY_REPLAN: rc = replan(c, came, p); break;
	case WAY_KEEP: rc = assign(c, &before, p, fault); break;
	default: rc = assign(c, NULL, p, fault); break;
	}
	return rc ? rc : c4_oracle_ports(c->known, &c->w.f, &c->w.d, p);
}

static bool same_way(const struct c4_route *a, const struct c4_route *b)
{
	return a->state == b->state && a->up == b->up && a->parallel_up == b->parallel_up &&
	       a->parallel_down == b->parallel_down;
}

/* Remembers the plan: how many connections that ran before it moved. */
static uint32_t remember(struct churn *c, enum way way, uint32_t came, const struct c4_plan *p)
{
	struct c4_route *was = c->ways[way].routes;
	uint32_t moved = 0;

	for (uint32_t i = 0; i < c->n_conns - came; i++)
		moved += !same_way(&was[i], &p->routes[i]);
	memcpy(was, p->routes, c->n_conns * sizeof *was);
	return moved;
}

/* ---- judging -------------------------------------------------------------------------------- */

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int judge(struct churn *c, struct memory *m, struct c4_plan *p, double bound)
{
	double rates[HOSTS];
	struct c4_outcome o = {
		.rates = rates, .n_jobs = c->n_jobs, .qps = 1, .n_qps = c->n_conns, .bound = bound};
	int rc = c4_trial_judge(&c->w, c->switches, c->seed, p, rates, &o.unpinned);

	if (rc)
		return rc;
	qsort(rates, o.n_jobs, sizeof *rates, by_rate);
	o.slowest = o.n_jobs ? rates[0] : 1;
	o.max_util = p->max_util;
	return c4_summing_add(&m->sums, &o, c->n_conns);
}

static int step_way(struct churn *c, enum way way, uint32_t came, bool counts, double *bound,
		    struct c4_fault *fault)
{
	struct memory *m = &c->ways[way];
	struct c4_plan p = {0};
	uint32_t moved;
	int rc = c4_plan_init(&p, &c->w.d);

	if (rc)
		return rc;
	memcpy(p.routes, m->routes, c->n_conns * sizeof *p.routes);
	rc = decide(c, way, came, &p, fault);
	if (way == WAY_FRESH && rc == 0)
		rc = c4_rate_bound(&c->w.f, &c->w.d, p.util_bound, bound);
	moved = rc ? 0 : remember(c, way, came, &p);
	if (rc == 0 && counts)
		rc = judge(c, m, &p, *bound);
	if (rc == 0 && counts && way != WAY_ECMP)
		rc = c4_summing_move(&m->sums, moved);
	c4_plan_release(&p);
	return rc;
}

/* One event for all ways; the one from scratch goes first, it knows the bound. */
static int step(struct churn *c, bool counts, struct c4_fault *fault)
{
	uint32_t came = next_event(c);
	double bound = 1;
	int rc = make_demand(c, fault);

	for (int way = WAYS; rc == 0 && way-- > 0;)
		rc = step_way(c, (enum way)way, came, counts, &bound, fault);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------------ */

static int open_churn(struct churn *c, uint64_t seed, struct c4_fault *fault)
{
	struct c4_clos shape = {LEAVES, LEAVES, HOSTS / LEAVES, 1, 1, 0, 0, 200};
	int rc;

	c->w.rng = c4_mix64(seed);
	c->w.switches = (struct c4_hash_model){.kind = C4_FLOWHASH_CRC32,
					       .seed = (uint32_t)c4_mix64(seed + 1)};
	c->seed = seed;
	c4_fabric_init(&c->w.f);
	c4_demand_init(&c->w.d);
	for (c->n_free = 0; c->n_free < HOSTS; c->n_free++)
		c->free_hosts[c->n_free] = c->n_free;
	c->n_jobs = c->n_conns = c->busy = 0;
	rc = c4_clos_make(&c->w.f, &shape, fault);
	if (rc)
		return rc;
	c->switches = c4_oracle_hash_new(&c->w.switches);
	c->known = c4_oracle_hash_new(&c->w.switches);
	if (!c->switches || !c->known)
		return c4_fault_set(fault, -ENOMEM, "out of memory");
	return c4_replan_new(&c->replan, &c->w.f, &(struct c4_replan_opts){0}, fault);
}

static void close_churn(struct churn *c)
{
	c4_oracle_free(c->switches);
	c4_oracle_free(c->known);
	c4_replan_free(c->replan);
	c->switches = c->known = NULL;
	c->replan = NULL;
	c4_world_release(&c->w);
}

static int run_seed(struct churn *c, uint64_t seed, struct c4_fault *fault)
{
	int rc = open_churn(c, seed, fault);
	uint32_t full = 0;

	while (rc == 0 && !full) { /* until the first job does not fit */
		uint32_t before = c->n_jobs;

		rc = step(c, false, fault);
		full = c->n_jobs < before;
	}
	for (uint32_t i = 0; rc == 0 && i < EVENTS; i++)
		rc = step(c, true, fault);
	close_churn(c);
	return rc;
}

int c4_churn_run(uint32_t seeds, struct c4_rows *ret, struct c4_fault *fault)
{
	struct churn *c = calloc(1, sizeof *c);
	int rc = c ? 0 : -ENOMEM;

	*fault = (struct c4_fault){.what = "out of memory"};
	for (uint64_t seed = 1; rc == 0 && seed <= seeds; seed++)
		rc = run_seed(c, seed, fault);
	ret->n = c ? WAYS : 0;
	for (int way = 0; c && way < WAYS; way++)
		ret->row[way] = c4_summing_end(&c->ways[way].sums, way_names[way], 0);
	free(c);
	return rc;
}
