/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * oracle_scene.h - for tests of oracles that learn: a fabric, the switches' true hash, and the loop
 * of asking, probing and learning that a prober would run.
 */
#ifndef C4_TESTS_ORACLE_SCENE_H
#define C4_TESTS_ORACLE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/model/fabric/clos.h"
#include "planner/model/oracle/oracle_hash.h"

struct oracle_scene {
	struct c4_fabric f;
	struct c4_oracle *switches, *o;
	uint32_t probes;
};

static inline void scene_open(struct oracle_scene *s, struct c4_clos shape,
			      struct c4_hash_model model, struct c4_oracle *o)
{
	struct c4_fault fault;

	shape.gbps = 200;
	c4_fabric_init(&s->f);
	assert_int_equal(c4_clos_make(&s->f, &shape, &fault), 0);
	s->switches = c4_oracle_hash_new(&model);
	s->o = o;
	s->probes = 0;
	assert_non_null(s->switches);
	assert_non_null(o);
	assert_int_equal(c4_oracle_begin(s->switches, &s->f), 0);
	assert_int_equal(c4_oracle_begin(o, &s->f), 0);
}

static inline void scene_close(struct oracle_scene *s)
{
	c4_oracle_free(s->switches);
	c4_oracle_free(s->o);
	c4_fabric_release(&s->f);
}

/* Links have died or come back: the switches at both ends choose among others from now on. */
static inline void scene_set_link(struct oracle_scene *s, uint32_t link, float gbps)
{
	s->f.links[link].now_gbps = gbps;
	s->f.switches[s->f.links[link].a].epoch++;
	s->f.switches[s->f.links[link].b].epoch++;
	assert_int_equal(c4_oracle_begin(s->switches, &s->f), 0);
	assert_int_equal(c4_oracle_begin(s->o, &s->f), 0);
}

static inline uint32_t scene_link(const struct oracle_scene *s, const char *a, const char *b)
{
	uint32_t x = c4_fabric_switch(&s->f, a), y = c4_fabric_switch(&s->f, b), i = 0;

	while (i < s->f.n_links && (s->f.links[i].a != x || s->f.links[i].b != y))
		i++;
	assert_true(i < s->f.n_links);
	return i;
}

static inline void scene_observe(struct oracle_scene *s, uint32_t src, uint32_t dst, uint16_t port)
{
	struct c4_path path;

	assert_int_equal(c4_oracle_path(s->switches, src, dst, port, &path), 0);
	assert_int_equal(c4_oracle_learn(s->o, src, dst, port, &path), 0);
	s->probes++;
}

/* Different paths between two NICs, as wants, by what the switches do with all ports. */
static inline uint32_t scene_wants(struct oracle_scene *s, uint32_t src, uint32_t dst,
				   struct c4_want *wants, uint32_t cap)
{
	uint32_t n = 0;

	for (uint32_t port = C4_PORT_FIRST; port <= 0xFFFF; port++) {
		struct c4_path p;
		uint32_t i = 0;

		assert_int_equal(c4_oracle_path(s->switches, src, dst, (uint16_t)port, &p), 0);
		while (i < n && !c4_path_equal(&p, &wants[i].path))
			i++;
		if (i < n)
			continue;
		assert_true(n < cap);
		wants[n++] = (struct c4_want){.path = p};
	}
	return n;
}

/* Asks and probes until nothing is left to ask; how many wants have a port. */
static inline uint32_t scene_settle(struct oracle_scene *s, uint32_t src, uint32_t dst,
				    struct c4_want *wants, uint32_t n, uint32_t batch)
{
	uint16_t ports[64];
	uint32_t more, found = 0;

	do {
		c4_oracle_want(s->o, src, dst, wants, n);
		more = c4_oracle_probe(s->o, src, dst, wants, n, ports, batch);
		for (uint32_t i = 0; i < more; i++)
			scene_observe(s, src, dst, ports[i]);
	} while (more);
	for (uint32_t i = 0; i < n; i++)
		found += wants[i].answer == C4_PORT_FOUND;
	return found;
}

/* Found ports are right, by the switches, and all different. */
static inline void scene_check(struct oracle_scene *s, uint32_t src, uint32_t dst,
			       const struct c4_want *wants, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct c4_path is;

		if (wants[i].answer != C4_PORT_FOUND)
			continue;
		assert_int_equal(c4_oracle_path(s->switches, src, dst, wants[i].sport, &is), 0);
		assert_true(c4_path_equal(&is, &wants[i].path));
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(wants[k].sport, wants[i].sport);
	}
}

#endif
