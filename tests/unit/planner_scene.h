/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * planner_scene.h - for tests of the planner's service: a directory with a fabric of 4 leaves × 4
 * spines × 4 hosts, demands in which host i sends to host i + stride, and an engine that plans
 * them.
 */
#ifndef C4_TESTS_PLANNER_SCENE_H
#define C4_TESTS_PLANNER_SCENE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "planner/daemon/engine.h"
#include "planner/io/fabric_yaml.h"
#include "planner/model/fabric/clos.h"

#define SCENE_HOSTS 16u
#define SECOND_NS   1000000000ull

struct scene {
	char dir[64], fabric[96], demand[96], state[96];
	struct c4_engine *engine;
	struct c4_demand_feed *feed;
	struct c4_edition *edition; /* the newest, NULL: none yet */
	struct c4_task task;	    /* the last one */
	uint64_t now_ns;
};

static const struct c4_clos scene_shape = {
	.leaves = 4, .spines = 4, .hosts_per_leaf = 4, .rails = 1, .planes = 1, .gbps = 400};

static inline void scene_write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline void scene_write_fabric(struct scene *s, const struct c4_clos *shape)
{
	FILE *out = fopen(s->fabric, "w");
	struct c4_fault fault;
	struct c4_fabric f;

	assert_non_null(out);
	c4_fabric_init(&f);
	assert_int_equal(c4_clos_make(&f, shape, &fault), 0);
	assert_int_equal(c4_fabric_write_yaml(&f, out), 0);
	assert_int_equal(fclose(out), 0);
	c4_fabric_release(&f);
}

/* Connections c<from> … c<to - 1>. */
static inline void scene_write_demand(struct scene *s, uint32_t from, uint32_t to, uint32_t stride,
				      uint32_t qps)
{
	FILE *f = fopen(s->demand, "w");

	assert_non_null(f);
	fprintf(f, "{\"schema\":\"c4.demand/v1\",\"connections\":[");
	for (uint32_t i = from; i < to; i++)
		fprintf(f,
			"%s{\"id\":\"c%u\",\"job\":\"j\",\"src\":\"h%u/r0p0\",\"dst\":\"h%u/r0p0\","
			"\"weight\":1,\"qps\":%u}",
			i > from ? "," : "", i, i % SCENE_HOSTS, (i + stride) % SCENE_HOSTS, qps);
	fprintf(f, "]}");
	assert_int_equal(fclose(f), 0);
}

static inline void scene_begin_engine(struct scene *s)
{
	const struct c4_engine_config config = {
		.fabric = s->fabric,
		.state = s->state,
		.replan = {.hold_ns = 10 * SECOND_NS},
	};

	s->engine = c4_engine_new(&config, NULL);
	s->feed = c4_demand_feed_new(s->demand, NULL);
	assert_non_null(s->engine);
	assert_non_null(s->feed);
}

static inline void scene_end_engine(struct scene *s)
{
	c4_engine_free(s->engine);
	c4_demand_feed_free(s->feed);
	c4_edition_drop(s->edition);
	s->edition = NULL;
}

static inline int scene_setup(void **state)
{
	struct scene *s = calloc(1, sizeof *s);

	c4_log_set_level(C4_LOG_ERROR);
	strcpy(s->dir, "/tmp/c4-planner-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->fabric, sizeof s->fabric, "%s/fabric.yaml", s->dir);
	snprintf(s->demand, sizeof s->demand, "%s/demand.json", s->dir);
	snprintf(s->state, sizeof s->state, "%s/state", s->dir);
	s->now_ns = 1000 * SECOND_NS;
	scene_write_fabric(s, &scene_shape);
	scene_write_demand(s, 0, SCENE_HOSTS, 5, 1);
	scene_begin_engine(s);
	*state = s;
	return 0;
}

static inline int scene_teardown(void **state)
{
	struct scene *s = *state;
	char cmd[128];

	scene_end_engine(s);
	snprintf(cmd, sizeof cmd, "rm -rf %s", s->dir);
	assert_int_equal(system(cmd), 0);
	free(s);
	return 0;
}

/* Runs s->task, whose inputs are set; true if there is a new edition, then s->edition. */
static inline bool scene_run(struct scene *s)
{
	s->task.now_ns = s->now_ns;
	s->task.now_version = 1;
	c4_engine_run(s->engine, &s->task);
	if (!s->task.edition)
		return false;
	c4_edition_drop(s->edition);
	s->edition = s->task.edition;
	return true;
}

/* Reads the fabric file, the demand file, or both. */
static inline bool scene_read(struct scene *s, bool fabric, bool demand)
{
	const struct c4_fetch_opts opts = {.forced = true};
	char why[1024];

	s->task = (struct c4_task){.reload = fabric};
	if (demand)
		assert_int_equal(
			c4_demand_feed_fetch(s->feed, &opts, &s->task.source, why, sizeof why), 0);
	return scene_run(s);
}

static inline bool scene_link(struct scene *s, const char *a, const char *b, float now_gbps)
{
	struct c4_link_report r = {.parallel = C4_PARALLEL_ALL, .now_gbps = now_gbps};

	snprintf(r.a, sizeof r.a, "%s", a);
	snprintf(r.b, sizeof r.b, "%s", b);
	s->task = (struct c4_task){.links = &r, .n_links = 1};
	return scene_run(s);
}

/* Nothing happens but that time goes on. */
static inline bool scene_wait(struct scene *s, uint64_t ns)
{
	s->now_ns += ns;
	s->task = (struct c4_task){0};
	return scene_run(s);
}

#endif
