// SPDX-License-Identifier: BSD-3-Clause
/* Member lists as runs: round trips, bounds, hostile runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/runs.h"

#define MAX 4096

static int32_t in[MAX], out[MAX];
static struct c4_seg_run runs[MAX];

/* Encodes, checks the number of runs, decodes, compares. */
static void round_trip(size_t n, int want_runs)
{
	int k = c4_runs_encode(in, n, runs, MAX);

	if (want_runs >= 0)
		assert_int_equal(k, want_runs);
	assert_true(k >= 0);
	assert_int_equal(c4_runs_count(runs, (size_t)k, MAX), n);
	c4_runs_decode(runs, (size_t)k, out);
	assert_memory_equal(in, out, n * sizeof *in);
}

static void test_shapes(void **state)
{
	(void)state;
	round_trip(0, 0);
	in[0] = 17;
	round_trip(1, 1);
	for (int i = 0; i < MAX; i++)
		in[i] = i;
	round_trip(MAX, 1); /* everybody */
	for (int i = 0; i < 100; i++)
		in[i] = 5 + 8 * i;
	round_trip(100, 1); /* a column */
	for (int i = 0; i < 100; i++)
		in[i] = 99 - i;
	round_trip(100, 1); /* backwards */
	for (int i = 0; i < 100; i++)
		in[i] = i < 50 ? i : 1000 + i;
	round_trip(100, 2);
	for (int i = 0; i < 10; i++)
		in[i] = -2;
	round_trip(10, 1); /* processes of another world */
}

static void test_random(void **state)
{
	uint64_t h = 1;

	(void)state;
	for (int k = 0; k < 200; k++) {
		size_t n = (h = c4_mix64(h)) % 300;

		for (size_t i = 0; i < n; i++) {
			h = c4_mix64(h);
			in[i] = h % 4 ? (i ? in[i - 1] + 1 : 0) : (int32_t)(h >> 40);
		}
		round_trip(n, -1);
	}
}

static void test_appending_is_encoding(void **state)
{
	struct c4_seg_run grown[64];
	int used = 0, k;

	(void)state;
	for (int i = 0; i < 90; i++)
		in[i] = i % 30 * (i / 30 + 1);
	for (int i = 0; i < 90; i++)
		used = c4_runs_append(grown, (size_t)used, 64, in[i]);
	k = c4_runs_encode(in, 90, runs, MAX);
	assert_int_equal(used, k);
	assert_memory_equal(grown, runs, (size_t)k * sizeof *runs);
}

static void test_too_many(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		in[i] = i * i;
	memset(runs, 0x55, sizeof runs);
	assert_int_equal(c4_runs_encode(in, 20, runs, 3), -1);
	assert_int_equal(runs[3].count, 0x55555555); /* nothing beyond cap */
}

static void test_hostile(void **state)
{
	struct c4_seg_run bad[2] = {{0, 1, 0}, {0, 1, 1}};

	(void)state;
	assert_int_equal(c4_runs_count(bad, 2, 100), -1); /* an empty run */
	bad[0].count = 0xffffffff;
	assert_int_equal(c4_runs_count(bad, 2, 100), -1);
	bad[0].count = 100;
	assert_int_equal(c4_runs_count(bad, 2, 100), -1); /* one too many in total */
	bad[0] = (struct c4_seg_run){INT32_MAX, INT32_MAX, 50};
	assert_int_equal(c4_runs_count(bad, 1, 100), 50);
	c4_runs_decode(bad, 1, out); /* wraps, is not undefined */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_appending_is_encoding),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
