// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "planner/model/fabric/clos.h"
#include "planner/model/eval/rate.h"

struct scene {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
	double x[64];
};

static void open_scene(struct scene *s, uint32_t leaves, uint32_t spines, uint32_t hosts)
{
	struct c4_clos shape = {leaves, spines, hosts, 1, 1, 0, 0, 200};
	struct c4_fault fault;

	*s = (struct scene){0};
	c4_fabric_init(&s->f);
	assert_int_equal(c4_clos_make(&s->f, &shape, &fault), 0);
	c4_demand_init(&s->d);
}

static void close_scene(struct scene *s)
{
	c4_plan_release(&s->p);
	c4_demand_release(&s->d);
	c4_fabric_release(&s->f);
}

static void connect(struct scene *s, const char *job, uint32_t src, uint32_t dst, double weight,
		    uint32_t qps)
{
	struct c4_fault fault;
	char id[24];

	snprintf(id, sizeof id, "c%u", s->d.n_conns);
	assert_true(c4_demand_add(&s->d, id, (uint32_t)c4_demand_job(&s->d, job), src, dst, weight,
				  qps, &fault) >= 0);
}

/* One digit per QP: the spine it takes. '-': no path. */
static void route(struct scene *s, const char *spines)
{
	assert_int_equal(c4_plan_init(&s->p, &s->d), 0);
	for (uint32_t q = 0; q < s->d.n_qps; q++) {
		char name[16];

		snprintf(name, sizeof name, "spine%c", spines[q]);
		s->p.routes[q].state = spines[q] == '-' ? C4_ROUTE_NO_PATH : C4_ROUTE_SPINE;
		s->p.routes[q].up = (uint16_t)c4_fabric_switch(&s->f, name);
	}
	assert_int_equal(c4_rate_fill(&s->f, &s->d, &s->p, s->x), 0);
}

static void near(double a, double b)
{
	if (a - b > 1e-9 || b - a > 1e-9)
		fail_msg("%.12f, expected %.12f", a, b);
}

static void test_alone_is_full_speed(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 2, 2, 2);
	connect(&s, "a", 0, 2, 1, 1);
	connect(&s, "b", 1, 3, 1, 1);
	route(&s, "01");
	near(s.x[0], 1);
	near(s.x[1], 1);
	close_scene(&s);
}

/* Two flows on one link; the other flow of job a has to wait for its sister, so b gets more. */
static void test_slowest_flow_sets_the_pace(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 3, 2, 4);
	connect(&s, "a", 0, 4, 1, 1); /* leaf0 → spine0 */
	connect(&s, "c", 1, 5, 1, 1);
	connect(&s, "d", 2, 6, 1, 1); /* three jobs on leaf0 → spine0: 1/3 each */
	connect(&s, "a", 8, 7, 1, 1); /* leaf2 → spine1, with b */
	connect(&s, "b", 9, 3, 1, 1);
	route(&s, "00011");
	near(s.x[0], 1.0 / 3);
	near(s.x[1], 1.0 / 3);
	near(s.x[2], 1.0 / 3);
	near(s.x[3], 2.0 / 3); /* jobs are numbered a c d b */
	close_scene(&s);
}

static void test_shares_and_weights(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 2, 2, 3);
	connect(&s, "a", 0, 3, 1, 2);	/* one QP on each spine */
	connect(&s, "b", 1, 4, 1, 1);	/* spine 0 */
	connect(&s, "c", 2, 5, 0.5, 1); /* spine 1: exactly full */
	route(&s, "0101");
	near(s.x[0], 2.0 / 3); /* spine 0: x/2 + y = 1 */
	near(s.x[1], 2.0 / 3);
	near(s.x[2], 1);
	close_scene(&s);
}

static void test_degraded_and_dead_links(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 2, 2, 2);
	connect(&s, "a", 0, 2, 1, 1);
	connect(&s, "b", 1, 3, 1, 1);
	for (uint32_t i = 0; i < s.f.n_links; i++)
		if (s.f.links[i].b == c4_fabric_switch(&s.f, "spine0"))
			s.f.links[i].now_gbps = 50;
	route(&s, "01");
	near(s.x[0], 0.25);
	near(s.x[1], 1);
	c4_plan_release(&s.p);
	for (uint32_t i = 0; i < s.f.n_links; i++)
		if (s.f.links[i].b == c4_fabric_switch(&s.f, "spine0"))
			s.f.links[i].now_gbps = 0;
	route(&s, "01");
	near(s.x[0], 0);
	close_scene(&s);
}

static void test_nics_are_limits_too(void **state)
{
	struct scene s;
	double bound;

	(void)state;
	open_scene(&s, 2, 2, 2);
	connect(&s, "a", 0, 2, 1, 1); /* two jobs leave the same NIC */
	connect(&s, "b", 0, 3, 1, 1);
	connect(&s, "c", 1, 1, 1, 1);
	route(&s, "011");
	s.p.routes[2].state = C4_ROUTE_LOCAL;
	assert_int_equal(c4_rate_fill(&s.f, &s.d, &s.p, s.x), 0);
	near(s.x[0], 0.5);
	near(s.x[1], 0.5);
	near(s.x[2], 1);
	assert_int_equal(c4_rate_bound(&s.f, &s.d, 1.25, &bound), 0);
	near(bound, 0.5);
	assert_int_equal(c4_rate_bound(&s.f, &s.d, 4, &bound), 0);
	near(bound, 0.25);
	close_scene(&s);
}

/* A job that cannot run leaves its links to the others. */
static void test_no_route_no_progress(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, 2, 2, 2);
	connect(&s, "a", 0, 2, 1, 1);
	connect(&s, "a", 2, 0, 1, 1);
	connect(&s, "b", 1, 3, 1, 1);
	route(&s, "0-0");
	near(s.x[0], 0);
	near(s.x[1], 1);
	close_scene(&s);
}

/* Max–min against its definition: nobody can grow without somebody no faster shrinking. */
static void test_random_plans_are_max_min(void **state)
{
	(void)state;
	srand(3);
	for (int round = 0; round < 50; round++) {
		struct scene s;
		char spines[513], job[8];
		double load[512] = {0};
		bool limited[64] = {false};

		open_scene(&s, 4, 4, 8);
		for (int i = 0; i < 120; i++) {
			snprintf(job, sizeof job, "j%d", rand() % 24);
			connect(&s, job, (uint32_t)rand() % 32, (uint32_t)rand() % 32,
				0.25 * (1 + rand() % 3), 1 + (uint32_t)rand() % 3);
		}
		for (int i = 0; i < 512; i++)
			spines[i] = (char)('0' + rand() % 4);
		assert_int_equal(c4_plan_init(&s.p, &s.d), 0);
		for (uint32_t i = 0; i < s.d.n_conns; i++)
			for (uint32_t q = 0; q < s.d.conns[i].qps; q++) {
				struct c4_route *r = &s.p.routes[s.d.conns[i].first + q];

				r->state = s.f.nics[s.d.conns[i].src].leaf ==
							   s.f.nics[s.d.conns[i].dst].leaf
						   ? C4_ROUTE_LOCAL
						   : C4_ROUTE_SPINE;
				r->up = (uint16_t)(4 + spines[s.d.conns[i].first + q] - '0');
			}
		assert_int_equal(c4_rate_fill(&s.f, &s.d, &s.p, s.x), 0);
		/* loads of links, then of NICs, at these rates */
		for (int pass = 0; pass < 2; pass++)
			for (uint32_t i = 0; i < s.d.n_conns; i++) {
				const struct c4_conn *c = &s.d.conns[i];
				uint32_t used[2 * 3 + 2], n = 0;

				for (uint32_t q = c->first; q < c->first + c->qps; q++) {
					struct c4_hop hops[C4_HOPS_MAX];
					int h = c4_route_hops(&s.f, c, &s.p.routes[q], hops);

					while (h-- > 0)
						used[n++] = 2 * hops[h].link + !hops[h].up;
				}
				for (uint32_t k = 0; k < n && pass == 0; k++)
					load[used[k]] += s.x[c->job] * (double)c->weight / c->qps;
				used[n++] = 2 * s.f.n_links + 2 * c->src;
				used[n++] = 2 * s.f.n_links + 2 * c->dst + 1;
				for (uint32_t k = n - 2; k < n && pass == 0; k++)
					load[used[k]] += s.x[c->job] * (double)c->weight;
				for (uint32_t k = 0; k < n && pass == 1; k++)
					limited[c->job] |= load[used[k]] > 1 - 1e-6;
			}
		for (uint32_t r = 0; r < 2 * (s.f.n_links + s.f.n_nics); r++)
			assert_true(load[r] < 1 + 1e-6);
		for (uint32_t j = 0; j < s.d.n_jobs; j++)
			assert_true(limited[j] || s.x[j] > 1 - 1e-9);
		close_scene(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone_is_full_speed),
		cmocka_unit_test(test_slowest_flow_sets_the_pace),
		cmocka_unit_test(test_shares_and_weights),
		cmocka_unit_test(test_degraded_and_dead_links),
		cmocka_unit_test(test_nics_are_limits_too),
		cmocka_unit_test(test_no_route_no_progress),
		cmocka_unit_test(test_random_plans_are_max_min),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
