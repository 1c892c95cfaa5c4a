// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/failure.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "planner/model/assign/assign.h"
#include "planner/model/eval/rate.h"
#include "planner/model/replan/replan.h"

#define QPS	  8u
#define RESILIENT 1024u

enum way { WAY_BEFORE, WAY_KEPT, WAY_RESILIENT, WAY_REPLAN, WAY_EXACT, WAY_WEIGHTED, WAYS };

static const char *const way_names[WAYS] = {
	[WAY_BEFORE] = "exact, before",
	[WAY_KEPT] = "ports kept",
	[WAY_RESILIENT] = "ports kept, resilient tables",
	[WAY_REPLAN] = "re-plan by chains, new ports",
	[WAY_EXACT] = "exact, keeps the last plan, new ports",
	[WAY_WEIGHTED] = "the same, weighted",
};

struct failure {
	struct c4_world w;
	struct c4_plan before; /* with ports */
	uint32_t dead;
};

static int find_ports(const struct failure *s, struct c4_plan *p)
{
	struct c4_oracle *o = c4_oracle_hash_new(&s->w.switches);
	int rc = o ? c4_oracle_ports(o, &s->w.f, &s->w.d, p) : -ENOMEM;

	c4_oracle_free(o);
	return rc;
}

/* The healthy world, its plan and ports, and which link is going to die: one of a leaf. */
static int open_failure(struct failure *s, const struct c4_scene *scene, uint64_t seed,
			uint32_t buckets, struct c4_fault *fault)
{
	struct c4_assign_opts o = {0};
	int rc = c4_world_make(&s->w, scene, seed, fault);

	if (rc)
		return rc;
	s->before = (struct c4_plan){0};
	s->w.switches.resilient = buckets;
	do
		s->dead = c4_world_draw(&s->w, s->w.f.n_links);
	while (s->w.f.switches[s->w.f.links[s->dead].a].tier != C4_LEAF);
	rc = c4_demand_set_qps(&s->w.d, QPS, fault);
	if (rc == 0)
		rc = c4_plan_init(&s->before, &s->w.d);
	if (rc == 0)
		rc = c4_assign(&s->w.f, &s->w.d, &o, &s->before, fault);
	return rc ? rc : find_ports(s, &s->before);
}

static void close_failure(struct failure *s)
{
	c4_plan_release(&s->before);
	c4_world_release(&s->w);
}

static void fail(struct failure *s)
{
	s->w.f.links[s->dead].now_gbps = 0;
	s->w.f.switches[s->w.f.links[s->dead].a].epoch++;
	s->w.f.switches[s->w.f.links[s->dead].b].epoch++;
}

/* ---- answers to the failure ------------------------------------------------------------------ */

/* Routes of p, which are those from before, moved by the re-planner as the link dies. */
static int replan(struct failure *s, struct c4_plan *p, struct c4_fault *fault)
{
	struct c4_replan *r = NULL;
	uint32_t *handles = malloc(((size_t)s->w.d.n_conns + 1) * sizeof *handles);
	int64_t rc =
		handles ? c4_replan_new(&r, &s->w.f, &(struct c4_replan_opts){0}, fault) : -ENOMEM;

	for (uint32_t i = 0; rc >= 0 && i < s->w.d.n_conns; i++) {
		const struct c4_conn *c = &s->w.d.conns[i];

		rc = c4_replan_adopt(r, c->src, c->dst, (double)c->weight, c->qps,
				     p->routes + c->first);
		handles[i] = (uint32_t)rc;
	}
	if (rc >= 0)
		rc = c4_replan_link(r, s->dead, 0, 0);
	for (uint32_t i = 0; rc >= 0 && i < s->w.d.n_conns; i++)
		for (uint32_t q = 0; q < s->w.d.conns[i].qps; q++)
			p->routes[s->w.d.conns[i].first + q] = *c4_replan_route(r, handles[i], q);
	c4_replan_free(r);
	free(handles);
	return rc < 0 ? (int)rc : 0;
}

static int answer(struct failure *s, enum way way, struct c4_plan *p, struct c4_fault *fault)
{
	struct c4_assign_opts o = {.previous = &s->before, .weighted = way == WAY_WEIGHTED};
	int rc;

	if (way != WAY_REPLAN)
		fail(s);
	if (way == WAY_KEPT || way == WAY_RESILIENT)
		return 0;
	rc = way == WAY_REPLAN ? replan(s, p, fault) : c4_assign(&s->w.f, &s->w.d, &o, p, fault);
	return rc ? rc : find_ports(s, p);
}

static uint32_t moved(const struct failure *s, const struct c4_plan *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_routes; i++)
		n += p->routes[i].state != s->before.routes[i].state ||
		     p->routes[i].up != s->before.routes[i].up;
	return n;
}

/* ---- judging ----------------------------------------------------------------------------------
 */

static int bound_of(const struct failure *s, bool weighted, double *ret, struct c4_fault *fault)
{
	struct c4_assign_opts o = {.weighted = weighted};
	struct c4_plan p = {0};
	int rc = c4_plan_init(&p, &s->w.d);

	if (rc == 0)
		rc = c4_assign(&s->w.f, &s->w.d, &o, &p, fault);
	if (rc == 0)
		rc = c4_rate_bound(&s->w.f, &s->w.d, p.util_bound, ret);
	c4_plan_release(&p);
	return rc;
}

static int judge(const struct failure *s, uint64_t seed, struct c4_plan *p, struct c4_outcome *out)
{
	struct c4_oracle *switches = c4_oracle_hash_new(&s->w.switches);
	int rc = switches ? c4_trial_judge(&s->w, switches, seed, p, out->rates, &out->unpinned)
			  : -ENOMEM;

	c4_oracle_free(switches);
	out->max_util = p->max_util;
	out->slowest = 1;
	for (uint32_t j = 0; j < out->n_jobs; j++)
		out->slowest = out->rates[j] < out->slowest ? out->rates[j] : out->slowest;
	return rc;
}

static int try_way(struct failure *s, enum way way, uint64_t seed, struct c4_summing *sum,
		   struct c4_fault *fault)
{
	struct c4_outcome out = {.n_jobs = s->w.d.n_jobs, .qps = QPS, .n_qps = s->w.d.n_qps};
	struct c4_plan p = {0};
	int rc = c4_plan_init(&p, &s->w.d);

	out.rates = calloc((size_t)out.n_jobs + 1, sizeof *out.rates);
	if (rc == 0 && !out.rates)
		rc = -ENOMEM;
	if (rc == 0)
		memcpy(p.routes, s->before.routes, p.n_routes * sizeof *p.routes);
	if (rc == 0 && way != WAY_BEFORE)
		rc = answer(s, way, &p, fault);
	if (rc == 0 && way >= WAY_REPLAN)
		rc = c4_summing_move(sum, moved(s, &p));
	if (rc == 0)
		rc = judge(s, seed, &p, &out);
	if (rc == 0)
		rc = bound_of(s, way == WAY_WEIGHTED, &out.bound, fault);
	if (rc == 0)
		rc = c4_summing_add(sum, &out, s->w.d.n_conns);
	free(out.rates);
	c4_plan_release(&p);
	return rc;
}

int c4_failure_run(const struct c4_scene *healthy, uint32_t seeds, struct c4_rows *ret,
		   struct c4_fault *fault)
{
	struct c4_summing sums[WAYS] = {0};
	int rc = 0;

	*fault = (struct c4_fault){.what = "out of memory"};
	for (uint64_t seed = 1; rc == 0 && seed <= seeds; seed++)
		for (int way = 0; rc == 0 && way < WAYS; way++) {
			struct failure s = {0};

			rc = open_failure(&s, healthy, seed, way == WAY_RESILIENT ? RESILIENT : 0,
					  fault);
			if (rc == 0)
				rc = try_way(&s, (enum way)way, seed, &sums[way], fault);
			close_failure(&s);
		}
	ret->n = WAYS;
	for (int way = 0; way < WAYS; way++)
		ret->row[way] = c4_summing_end(&sums[way], way_names[way], 0);
	return rc;
}
