// SPDX-License-Identifier: BSD-3-Clause
/* The planner's state file: what is written is read, anything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "planner/daemon/state.h"
#include "planner/io/slurp.h"
#include "tests/unit/planner_scene.h"

/* A plan of the scene, with a dead link, as bytes. */
static struct c4_buf encoded(struct scene *s)
{
	struct c4_buf b = {0};

	assert_true(scene_read(s, true, true));
	assert_true(scene_link(s, "leaf1", "spine2", 100));
	c4_state_encode(s->edition, &b);
	assert_false(b.failed);
	return b;
}

static int decode(const struct scene *s, const void *data, size_t n, struct c4_state *ret)
{
	struct c4_fault fault = {.what = ""};
	int rc = c4_state_decode(data, n, s->edition->fabric, ret, &fault);

	assert_true(!rc || fault.what[0]);
	return rc;
}

static int refused(const struct scene *s, const void *data, size_t n)
{
	struct c4_state ret;
	int rc = decode(s, data, n, &ret);

	assert_true(rc < 0);
	assert_null(ret.plan.routes);
	assert_null(ret.changed);
	assert_int_equal(ret.demand.n_conns, 0);
	return rc;
}

static void test_round_trip(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);
	struct c4_state got;
	uint32_t n = s->edition->plan.n_routes;

	assert_int_equal(decode(s, b.data, b.len, &got), 0);
	assert_int_equal(got.version, s->edition->version);
	assert_true(c4_demand_equal(&got.demand, &s->edition->demand->demand));
	assert_int_equal(got.plan.n_routes, n);
	assert_memory_equal(got.plan.routes, s->edition->plan.routes, n * sizeof *got.plan.routes);
	assert_memory_equal(got.changed, s->edition->changed, n * sizeof *got.changed);
	assert_true(got.plan.lower_bound == s->edition->plan.lower_bound);
	assert_int_equal(got.links.n, 1);
	assert_string_equal(got.links.v[0].a, "leaf1");
	assert_true(got.links.v[0].now_gbps == 100 && got.links.v[0].file_gbps == 400);
	c4_state_release(&got);
	c4_buf_release(&b);
}

static void test_every_truncation_is_refused(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);

	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(refused(s, b.data, n), -EBADMSG);
	c4_buf_add(&b, "", 1);
	assert_int_equal(refused(s, b.data, b.len), -EBADMSG);
	c4_buf_release(&b);
}

static void test_every_flipped_bit_is_refused(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);

	for (size_t i = 0; i < b.len * 8; i++) {
		b.data[i / 8] ^= (char)(1u << i % 8);
		refused(s, b.data, b.len);
		b.data[i / 8] ^= (char)(1u << i % 8);
	}
	c4_buf_release(&b);
}

static void test_another_format(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);

	b.data[8]++;
	assert_int_equal(refused(s, b.data, b.len), -EPROTO);
	c4_buf_release(&b);
}

/* Its version is taken over, so that versions go on growing. */
static void test_another_fabric(void **state)
{
	struct c4_clos other = scene_shape;
	struct scene *s = *state;
	struct c4_buf b = encoded(s);
	uint64_t version = s->edition->version;
	struct c4_state got;

	other.spines = 5;
	scene_write_fabric(s, &other);
	assert_true(scene_read(s, true, false));
	assert_int_equal(decode(s, b.data, b.len, &got), -ESTALE);
	assert_int_equal(got.version, version);
	assert_null(got.plan.routes);
	c4_buf_release(&b);
}

/* The checksum fits, the contents do not. */
static int refused_with(struct scene *s, struct c4_route bad)
{
	struct c4_route good = s->edition->plan.routes[0];
	struct c4_buf b = {0};
	int rc;

	s->edition->plan.routes[0] = bad;
	c4_state_encode(s->edition, &b);
	s->edition->plan.routes[0] = good;
	rc = refused(s, b.data, b.len);
	c4_buf_release(&b);
	return rc;
}

static void test_routes_that_cannot_be(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);
	struct c4_route r = s->edition->plan.routes[0];

	assert_int_equal(r.state, C4_ROUTE_SPINE);
	r.up = 0; /* a leaf */
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r.up = 999;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r = s->edition->plan.routes[0];
	r.parallel_up = 1;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r = s->edition->plan.routes[0];
	r.state = C4_ROUTE_LOCAL;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r.state = C4_ROUTE_CORE;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r.state = 17;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	r = s->edition->plan.routes[0];
	r.share = 2;
	assert_int_equal(refused_with(s, r), -EBADMSG);
	c4_buf_release(&b);
}

static void test_file_round_trip(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s), got = {0};
	struct c4_fault fault;
	struct stat st;

	for (int i = 0; i < 2; i++) /* the second replaces the first */
		assert_int_equal(c4_state_write(s->state, &b, &fault), 0);
	assert_int_equal(c4_slurp(s->state, &got, &fault), 0);
	assert_int_equal(got.len, b.len);
	assert_memory_equal(got.data, b.data, b.len);
	assert_int_equal(stat(s->state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	c4_buf_release(&got);
	c4_buf_release(&b);
}

/* A write that fails half way, as on a full disk: the old file is as it was. */
static void test_full_disk(void **state)
{
	struct rlimit lim, small;
	struct scene *s = *state;
	struct c4_buf b = encoded(s), got = {0};
	struct c4_fault fault;
	char left[128];

	assert_int_equal(c4_state_write(s->state, &b, &fault), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &lim), 0);
	small = lim;
	small.rlim_cur = 300;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(c4_state_write(s->state, &b, &fault), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_non_null(strstr(fault.what, s->state));
	assert_int_equal(c4_slurp(s->state, &got, &fault), 0);
	assert_int_equal(got.len, b.len);
	snprintf(left, sizeof left, "%s.new", s->state);
	assert_int_equal(access(left, F_OK), -1);
	c4_buf_release(&got);
	c4_buf_release(&b);
}

static void test_nowhere_to_write(void **state)
{
	struct scene *s = *state;
	struct c4_buf b = encoded(s);
	struct c4_fault fault;
	char path[160];

	snprintf(path, sizeof path, "%s/none/state", s->dir);
	assert_int_equal(c4_state_write(path, &b, &fault), -ENOENT);
	b.failed = true;
	assert_int_equal(c4_state_write(s->state, &b, &fault), -ENOMEM);
	c4_buf_release(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
	const struct CMUnitTest tests[] = {
		T(test_round_trip),
		T(test_every_truncation_is_refused),
		T(test_every_flipped_bit_is_refused),
		T(test_another_format),
		T(test_another_fabric),
		T(test_routes_that_cannot_be),
		T(test_file_round_trip),
		T(test_full_disk),
		T(test_nowhere_to_write),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
