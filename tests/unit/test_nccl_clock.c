// SPDX-License-Identifier: BSD-3-Clause
/* The GPU's clock in the host's ticks: offset, drift, strange readings. Ticks are nanoseconds here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/nccl/gpuclock.h"
#include "common/base/clock.h"

#define OFFSET 1700000000000000000ull /* of a globaltimer that counts from 1970 */
#define MS     1000000ull
#define SECOND (1000 * MS)

static struct c4_gpuclock_host host;
static struct c4_gpuclock gpu;
static double drift; /* the GPU's nanoseconds are so much longer */

static int setup(void **state)
{
	(void)state;
	srand(1);
	drift = 0;
	c4_gpuclock_host_init(&host, C4_CLOCK_MONO_NS);
	c4_gpuclock_init(&gpu, &host);
	return 0;
}

static uint64_t gpu_at(uint64_t ticks)
{
	return OFFSET + (uint64_t)((double)ticks * (1 - drift));
}

/* The host learns `late` after it happened. */
static void pair(uint64_t ticks, uint64_t late)
{
	c4_gpuclock_add(&gpu, gpu_at(ticks), ticks + late);
}

/* Readings of a proxy that looks every few microseconds, and is away now and then. */
static void run(uint64_t from, uint64_t to)
{
	for (uint64_t t = from; t < to; t += 5 * MS)
		pair(t, (uint64_t)rand() % 20000 + (rand() % 50 ? 0 : MS));
}

static int64_t error_at(uint64_t ticks)
{
	return (int64_t)(c4_gpuclock_ticks(&gpu, gpu_at(ticks)) - ticks);
}

static void test_nothing_known(void **state)
{
	(void)state;
	assert_int_equal(c4_gpuclock_ticks(&gpu, OFFSET), 0);
	c4_gpuclock_add(&gpu, 0, 5); /* no time came */
	assert_int_equal(c4_gpuclock_ticks(&gpu, OFFSET), 0);
}

static void test_least_delay_counts(void **state)
{
	(void)state;
	pair(10 * MS, 300000);
	assert_in_range(error_at(20 * MS), 299990, 300010);
	pair(11 * MS, 500);
	assert_in_range(error_at(20 * MS), 490, 510);
	pair(12 * MS, 900000); /* a late one changes nothing */
	assert_in_range(error_at(20 * MS), 490, 510);
}

static void test_never_later_than_now(void **state)
{
	(void)state;
	for (uint64_t t = 0; t < 3 * SECOND; t += 7 * MS) {
		uint64_t late = (uint64_t)rand() % 200000;

		pair(t, late);
		assert_true(c4_gpuclock_ticks(&gpu, gpu_at(t)) <= t + late + 1);
	}
}

static void check_drift(double d)
{
	drift = d;
	run(0, 20 * SECOND);
	/* also where nothing was seen for a while */
	for (uint64_t t = 10 * SECOND; t < 25 * SECOND; t += SECOND / 2)
		assert_in_range(error_at(t) + 40000, 0, 80000);
}

static void test_drift_is_followed(void **state)
{
	(void)state;
	check_drift(80e-6);
}

static void test_drift_the_other_way(void **state)
{
	(void)state;
	check_drift(-80e-6);
}

static void test_reading_from_the_future(void **state)
{
	(void)state;
	run(0, SECOND / 2);
	c4_gpuclock_add(&gpu, gpu_at(SECOND / 2 + 50 * MS), SECOND / 2);
	assert_in_range(error_at(SECOND / 2) + 20000, 0, 60000);
}

static void test_clock_set_forward(void **state)
{
	(void)state;
	run(0, 3 * SECOND);
	for (uint64_t t = 3 * SECOND; t < 4 * SECOND; t += 5 * MS)
		c4_gpuclock_add(&gpu, gpu_at(t) + 500 * SECOND, t + 1000);
	assert_in_range(c4_gpuclock_ticks(&gpu, gpu_at(4 * SECOND) + 500 * SECOND),
			4 * SECOND - 30000, 4 * SECOND + 30000);
}

static void test_clock_set_back(void **state)
{
	(void)state;
	run(0, 3 * SECOND);
	for (uint64_t t = 3 * SECOND; t < 6 * SECOND; t += 5 * MS)
		c4_gpuclock_add(&gpu, gpu_at(t) - 500 * SECOND, t + 1000);
	assert_in_range(c4_gpuclock_ticks(&gpu, gpu_at(6 * SECOND) - 500 * SECOND),
			6 * SECOND - 30000, 6 * SECOND + 30000);
}

static void test_length(void **state)
{
	(void)state;
	run(0, SECOND);
	assert_in_range(c4_gpuclock_length(&gpu, 250000), 249990, 250010);
	assert_int_equal(c4_gpuclock_length(&gpu, UINT64_MAX), UINT64_MAX);
}

/* With the time stamp counter: a rate that is right from the start, and after the first window. */
static void test_real_clock(void **state)
{
	uint32_t source = c4_clock_source();
	uint64_t t0, n0, t1, n1;

	(void)state;
	if (source == C4_CLOCK_MONO_NS)
		skip();
	c4_gpuclock_host_init(&host, source);
	c4_gpuclock_init(&gpu, &host);
	t0 = c4_ticks(source);
	n0 = c4_mono_ns();
	c4_gpuclock_add(&gpu, n0, t0);
	do
		n1 = c4_mono_ns();
	while (n1 < n0 + 20 * MS);
	t1 = c4_ticks(source);
	assert_in_range(c4_gpuclock_length(&gpu, n1 - n0) * 1000 / (t1 - t0), 990, 1010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_known, setup),
		cmocka_unit_test_setup(test_least_delay_counts, setup),
		cmocka_unit_test_setup(test_never_later_than_now, setup),
		cmocka_unit_test_setup(test_drift_is_followed, setup),
		cmocka_unit_test_setup(test_drift_the_other_way, setup),
		cmocka_unit_test_setup(test_reading_from_the_future, setup),
		cmocka_unit_test_setup(test_clock_set_forward, setup),
		cmocka_unit_test_setup(test_clock_set_back, setup),
		cmocka_unit_test_setup(test_length, setup),
		cmocka_unit_test_setup(test_real_clock, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
