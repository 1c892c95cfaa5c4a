/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan_case.h - fabrics and demands for tests of the planner: made from a shape and a seed, so that
 * a failure names what it takes to have it again. One thread.
 */
#ifndef C4_TESTS_PLAN_CASE_H
#define C4_TESTS_PLAN_CASE_H

#include <stdio.h>
#include <stdlib.h>

#include "planner/model/assign/assign.h"
#include "tests/unit/clos_fabric.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PLAN_SLOW 1 /* a sanitizer: cases are smaller */
#else
#define PLAN_SLOW 0
#endif

/* ---- chance ---------------------------------------------------------------------------------- */

struct dice {
	uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t dice_next(struct dice *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 … n - 1 */
static inline uint32_t dice_below(struct dice *d, uint32_t n)
{
	return (uint32_t)((dice_next(d) >> 32) * n >> 32);
}

static inline void dice_shuffle(struct dice *d, uint32_t *v, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = dice_below(d, i), was = v[i - 1];

		v[i - 1] = v[k];
		v[k] = was;
	}
}

/* ---- a case ---------------------------------------------------------------------------------- */

struct plan_case {
	char name[120]; /* for messages */
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
	uint32_t job;
};

static inline void case_stop(const struct plan_case *c, const char *what)
{
	fprintf(stderr, "%s: %s\n", c->name, what);
	abort();
}

static inline void case_init(struct plan_case *c)
{
	*c = (struct plan_case){0};
	c4_fabric_init(&c->f);
	c4_demand_init(&c->d);
	c->job = (uint32_t)c4_demand_job(&c->d, "job");
}

static inline void case_release(struct plan_case *c)
{
	c4_plan_release(&c->p);
	c4_demand_release(&c->d);
	c4_fabric_release(&c->f);
}

static inline void case_clos(struct plan_case *c, struct c4_clos shape)
{
	case_init(c);
	clos_fabric(&c->f, shape);
	snprintf(c->name, sizeof c->name, "L%u S%u H%u R%u P%u pods %u cores %u", shape.leaves,
		 shape.spines, shape.hosts_per_leaf, shape.rails + !shape.rails,
		 shape.planes + !shape.planes, shape.pods, shape.cores);
}

/* src and dst are NICs. */
static inline void case_add(struct plan_case *c, uint32_t src, uint32_t dst, double weight,
			    uint32_t qps)
{
	struct c4_fault fault;
	char id[24];

	snprintf(id, sizeof id, "%u", c->d.n_conns);
	if (c4_demand_add(&c->d, id, c->job, src, dst, weight, qps, &fault) < 0)
		case_stop(c, fault.what);
}

/* n connections between any NICs. */
static inline void case_random(struct plan_case *c, struct dice *dice, uint32_t n, uint32_t qps)
{
	for (uint32_t i = 0; i < n; i++)
		case_add(c, dice_below(dice, c->f.n_nics), dice_below(dice, c->f.n_nics), 1, qps);
}

/* Every host sends to one other and hears from one other, on all its NICs. */
static inline void case_permute(struct plan_case *c, struct dice *dice, uint32_t qps)
{
	uint32_t n = c->f.n_hosts, *to = malloc((n + 1) * sizeof *to);

	for (uint32_t i = 0; i < n; i++)
		to[i] = i;
	dice_shuffle(dice, to, n);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < c->f.hosts[i].nics; k++)
			case_add(c, c->f.hosts[i].nic + k, c->f.hosts[to[i]].nic + k, 1, qps);
	free(to);
}

/* Every NIC to every other one. */
static inline void case_all_to_all(struct plan_case *c, uint32_t qps)
{
	for (uint32_t i = 0; i < c->f.n_nics; i++)
		for (uint32_t k = 0; k < c->f.n_nics; k++)
			if (i != k)
				case_add(c, i, k, 1, qps);
}

/* Links die by chance: `of_thousand` of each 1000. */
static inline void case_kill(struct plan_case *c, struct dice *dice, uint32_t of_thousand)
{
	for (uint32_t i = 0; i < c->f.n_links; i++)
		if (dice_below(dice, 1000) < of_thousand)
			c->f.links[i].now_gbps = 0;
}

/* A plan in c->p; the result of c4_assign(). */
static inline int case_assign_with(struct plan_case *c, struct c4_assign_opts opts)
{
	struct c4_fault fault;

	c4_plan_release(&c->p);
	if (c4_plan_init(&c->p, &c->d))
		return -1;
	return c4_assign(&c->f, &c->d, &opts, &c->p, &fault);
}

/* From nothing, or from `previous`. */
static inline int case_assign(struct plan_case *c, const struct c4_plan *previous)
{
	return case_assign_with(c, (struct c4_assign_opts){.previous = previous});
}

#endif
