/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agent_route.h - plans as a planner would tell them, for tests: two leaves under four spines;
 * ours is 10.0.1.1 under leaf1, peers are 10.0.2.N under leaf2.
 */
#ifndef C4_TESTS_UNIT_AGENT_ROUTE_H
#define C4_TESTS_UNIT_AGENT_ROUTE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/daemon/routes/pairs.h"
#include "route.pb-c.h"

#define OURS	    0x0a000101u
#define PEER(n)	    (0x0a000200u + (n))
#define SPINE_AT(n) (0x0b000000u + (n)) /* n from 1 */
#define LEAF(n)	    ((n)-1)
#define SPINE(n)    (1 + (n)) /* places in the answer; n from 1 */

#define ANSWER_ROUTES 64

struct answer {
	C4__V1__RouteAnswer m;
	C4__V1__Switch switches[6], *switch_list[6];
	C4__V1__Route routes[ANSWER_ROUTES], *route_list[ANSWER_ROUTES];
	char names[6][16], ids[ANSWER_ROUTES][16];
	uint32_t addresses[6], paths[ANSWER_ROUTES][3];
};

static inline void answer_init(struct answer *a, uint64_t version)
{
	memset(a, 0, sizeof *a);
	c4__v1__route_answer__init(&a->m);
	a->m.plan_instance = (char *)"p";
	a->m.plan_version = version;
	a->m.standing = 1;
	a->m.switches = a->switch_list;
	a->m.n_switches = 6;
	a->m.routes = a->route_list;
	for (int i = 0; i < 6; i++) {
		c4__v1__switch__init(&a->switches[i]);
		snprintf(a->names[i], sizeof a->names[i], i < 2 ? "leaf%d" : "spine%d",
			 i < 2 ? i + 1 : i - 1);
		a->addresses[i] = i < 2 ? 0x0c000001u + (uint32_t)i : SPINE_AT((uint32_t)i - 1);
		a->switches[i].name = a->names[i];
		a->switches[i].n_addresses = 1;
		a->switches[i].addresses = &a->addresses[i];
		a->switches[i].epoch = 1;
		a->switch_list[i] = &a->switches[i];
	}
}

/* A route over one spine (from 1), towards the peer or back. */
static inline C4__V1__Route *answer_route(struct answer *a, const char *id, uint32_t peer,
					  bool back, uint32_t spine)
{
	size_t n = a->m.n_routes++;
	C4__V1__Route *r = &a->routes[n];

	c4__v1__route__init(r);
	snprintf(a->ids[n], sizeof a->ids[n], "%s", id);
	r->id = a->ids[n];
	r->src = back ? peer : OURS;
	r->dst = back ? OURS : peer;
	a->paths[n][0] = back ? LEAF(2) : LEAF(1);
	a->paths[n][1] = SPINE(spine);
	a->paths[n][2] = back ? LEAF(1) : LEAF(2);
	r->path = a->paths[n];
	r->n_path = 3;
	a->route_list[n] = r;
	return r;
}

static inline int answer_decode(const struct answer *a, struct c4_plan **ret)
{
	size_t n = c4__v1__route_answer__get_packed_size(&a->m);
	uint8_t *data = malloc(n + 1);
	int rc;

	c4__v1__route_answer__pack(&a->m, data);
	rc = c4_plan_decode(data, n, ret);
	free(data);
	return rc;
}

/* A plan with what an agent makes of it. */
struct followed {
	struct c4_plan *plan;
	struct c4_hopmap map;
	struct c4_pairs pairs;
};

/* Returns 0 or what failed. The map stays from one plan to the next. */
static inline int follow(struct followed *f, const struct answer *a)
{
	uint32_t ours = OURS;
	int rc;

	c4_plan_free(f->plan);
	c4_pairs_release(&f->pairs);
	f->plan = NULL;
	rc = answer_decode(a, &f->plan);
	if (!rc)
		rc = c4_hopmap_take(&f->map, f->plan);
	return rc ? rc : c4_pairs_make(&f->pairs, f->plan, &f->map, &ours, 1);
}

static inline void unfollow(struct followed *f)
{
	c4_plan_free(f->plan);
	c4_pairs_release(&f->pairs);
	c4_hopmap_release(&f->map);
	memset(f, 0, sizeof *f);
}

/* The path over one spine. */
static inline uint64_t over(const struct followed *f, uint32_t spine)
{
	uint16_t number = c4_hopmap_at(&f->map, SPINE_AT(spine));

	return c4_path_pack(&number, 1);
}

#endif
