// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "planner/io/export.h"
#include "planner/model/fabric/clos.h"

struct scene {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan p;
};

static void open_scene(struct scene *s, struct c4_clos shape)
{
	struct c4_fault fault;

	*s = (struct scene){0};
	c4_fabric_init(&s->f);
	assert_int_equal(c4_clos_make(&s->f, &shape, &fault), 0);
	c4_demand_init(&s->d);
	c4_demand_job(&s->d, "j");
}

static void connect(struct scene *s, const char *id, const char *src, const char *dst,
		    double weight, uint32_t qps)
{
	struct c4_fault fault;

	assert_true(c4_demand_add(&s->d, id, 0, c4_fabric_nic(&s->f, src),
				  c4_fabric_nic(&s->f, dst), weight, qps, &fault) >= 0);
}

static void close_scene(struct scene *s)
{
	c4_plan_release(&s->p);
	c4_demand_release(&s->d);
	c4_fabric_release(&s->f);
}

static void expect(struct scene *s, uint32_t net, int (*write)(const struct c4_export *, FILE *),
		   const char *expected)
{
	struct c4_export e = {&s->f, &s->d, &s->p, net, 1000};
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	assert_int_equal(write(&e, f), 0);
	fclose(f);
	assert_string_equal(text, expected);
	free(text);
}

static struct c4_route spine(const struct scene *s, const char *name, uint16_t sport, float share)
{
	return (struct c4_route){.state = C4_ROUTE_SPINE,
				 .up = (uint16_t)c4_fabric_switch(&s->f, name),
				 .sport = sport,
				 .share = share};
}

static void test_one_plane_at_a_time(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, (struct c4_clos){2, 2, 2, 1, 2, 0, 0, 200});
	connect(&s, "a b\nc", "h0/r0p0", "h2/r0p0", 1, 2);
	connect(&s, "local", "h1/r0p0", "h0/r0p0", 0.5, 1);
	connect(&s, "lost", "h1/r0p0", "h3/r0p0", 1, 1);
	connect(&s, "other", "h1/r0p1", "h3/r0p1", 1, 1);
	assert_int_equal(c4_plan_init(&s.p, &s.d), 0);
	s.p.routes[0] = spine(&s, "spine1", 50000, 0.75F);
	s.p.routes[1] = spine(&s, "spine0", 0, 0.25F);
	s.p.routes[2].state = C4_ROUTE_LOCAL;
	s.p.routes[3].state = C4_ROUTE_NO_PATH;
	s.p.routes[4] = spine(&s, "spine3", 50001, 1);
	expect(&s, 0, c4_export_matrix,
	       "Nodes 4\nConnections 3\n"
	       "0->2 id 1 start 0 size 750\n"
	       "0->2 id 2 start 0 size 250\n"
	       "1->0 id 3 start 0 size 500\n");
	expect(&s, 0, c4_export_pins,
	       "id 1 qp 0 sport 50000 up 1 via spine1 conn a b?c\n"
	       "id 2 qp 1 sport 0 up 0 via spine0 conn a b?c\n"
	       "id 3 qp 0 sport 0 up via conn local\n");
	expect(&s, 1, c4_export_matrix, "Nodes 4\nConnections 1\n1->3 id 1 start 0 size 1000\n");
	expect(&s, 1, c4_export_pins, "id 1 qp 0 sport 50001 up 1 via spine3 conn other\n");
	close_scene(&s);
}

static void test_two_choices_between_pods(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, (struct c4_clos){4, 2, 1, 1, 1, 2, 2, 200});
	connect(&s, "c", "h0", "h3", 1, 1);
	assert_int_equal(c4_plan_init(&s.p, &s.d), 0);
	s.p.routes[0] = (struct c4_route){.state = C4_ROUTE_CORE,
					  .up = (uint16_t)c4_fabric_switch(&s.f, "spine1"),
					  .core = (uint16_t)c4_fabric_switch(&s.f, "core2"),
					  .down = (uint16_t)c4_fabric_switch(&s.f, "spine3"),
					  .sport = 51000,
					  .share = 1};
	expect(&s, 0, c4_export_pins,
	       "id 1 qp 0 sport 51000 up 1 0 via spine1 core2 spine3 conn c\n");
	close_scene(&s);
}

static void test_no_such_network(void **state)
{
	struct scene s;

	(void)state;
	open_scene(&s, (struct c4_clos){2, 2, 1, 1, 1, 0, 0, 200});
	assert_int_equal(c4_export_matrix(&(struct c4_export){&s.f, &s.d, &s.p, 1, 1}, stdout),
			 -EINVAL);
	close_scene(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_plane_at_a_time),
		cmocka_unit_test(test_two_choices_between_pods),
		cmocka_unit_test(test_no_such_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
