// SPDX-License-Identifier: BSD-3-Clause
/* GPU health through a stand-in for the driver's library: all of it, parts of it, none of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/gpu.h"
#include "agent/daemon/nvml.h"
#include "tests/unit/fake/fake.h"

#define S(x) ((uint64_t)(x)*1000000000)

static struct fake_nvml *fake;
static struct c4_gpus *gpus;
static struct c4_gpu out[C4_GPUS_MAX];

static int setup(void **state)
{
	(void)state;
	fake = fake_nvml_load(FAKE_NVML);
	gpus = c4_gpus_new(fake_path(FAKE_NVML));
	memset(out, 0, sizeof out);
	return !fake || !gpus;
}

static int teardown(void **state)
{
	(void)state;
	c4_gpus_free(gpus);
	return 0;
}

static void test_values(void **state)
{
	(void)state;
	fake->throttle = 0x24;
	fake->ecc = 3;
	fake->link_errors = 2;
	assert_int_equal(c4_gpus_read(gpus, S(1), out), FAKE_GPUS);
	assert_int_equal(out[1].index, 1);
	assert_string_equal(out[0].bus, "0000:3b:00.0");
	assert_string_equal(out[1].bus, "0000:3c:00.0");
	assert_string_equal(out[1].name, "Fake GPU 1");
	assert_int_equal(out[0].sm_mhz, 1500);
	assert_int_equal(out[0].sm_max_mhz, 1980);
	assert_int_equal(out[0].throttle, 0x24);
	assert_int_equal(out[1].celsius, 61);
	assert_int_equal(out[0].watts, 412);
	assert_int_equal(out[0].ecc_uncorrected, 3);
	assert_int_equal(out[0].nvlink_errors, 4 * C4_NVML_LINK_COUNTERS * 2);
	assert_int_equal(out[0].xids, 0);
	fake->mhz = 345;
	c4_gpus_read(gpus, S(6), out);
	assert_int_equal(out[0].sm_mhz, 345);
	assert_int_equal(fake->inits, 1);
}

/* Each is counted for its GPU; of several the last one is kept. */
static void test_xids(void **state)
{
	(void)state;
	c4_gpus_read(gpus, S(1), out);
	fake->events[0] = 79;
	fake->events[1] = 48;
	fake->events[2] = 63;
	fake->nevents = 3;
	c4_gpus_read(gpus, S(6), out);
	assert_int_equal(out[1].xids, 2);
	assert_int_equal(out[1].last_xid, 63);
	assert_int_equal(out[1].last_xid_ns, S(6));
	assert_int_equal(out[0].xids, 1);
	assert_int_equal(out[0].last_xid, 48);
	c4_gpus_read(gpus, S(11), out);
	assert_int_equal(out[1].xids, 2);
	assert_int_equal(out[1].last_xid_ns, S(6));
}

/* Links that are not there are not asked again: eight GPUs would make hundreds of calls. */
static void test_links_asked_once(void **state)
{
	(void)state;
	fake->no_links = 1;
	c4_gpus_read(gpus, S(1), out);
	assert_int_equal(out[0].nvlink_errors, 0);
	assert_true(fake->link_questions > 0);
	fake->link_questions = 0;
	c4_gpus_read(gpus, S(6), out);
	assert_int_equal(fake->link_questions, 0);
}

/* Every question fails (a GPU has fallen off the bus): unknown, but the GPU is still there, and
 * counters do not go back. */
static void test_errors(void **state)
{
	(void)state;
	fake->ecc = 3;
	fake->link_errors = 1;
	c4_gpus_read(gpus, S(1), out);
	fake->rc = 15;
	assert_int_equal(c4_gpus_read(gpus, S(6), out), FAKE_GPUS);
	assert_string_equal(out[0].bus, "0000:3b:00.0");
	assert_int_equal(out[0].sm_mhz, 0);
	assert_int_equal(out[0].celsius, 0);
	assert_int_equal(out[0].watts, 0);
	assert_int_equal(out[0].ecc_uncorrected, 3);
	assert_int_equal(out[0].nvlink_errors, 4 * C4_NVML_LINK_COUNTERS);
	fake->rc = 0;
	c4_gpus_read(gpus, S(11), out);
	assert_int_equal(out[0].sm_mhz, 1500);
	assert_int_equal(out[0].nvlink_errors, 4 * C4_NVML_LINK_COUNTERS);
}

/* The driver is not loaded yet: looked for again, but not each time. */
static void test_driver_comes(void **state)
{
	(void)state;
	fake->init_rc = 9;
	for (uint64_t t = S(1); t < S(60); t += S(5))
		assert_int_equal(c4_gpus_read(gpus, t, out), 0);
	assert_int_equal(fake->inits, 1);
	fake->init_rc = 0;
	assert_int_equal(c4_gpus_read(gpus, S(62), out), FAKE_GPUS);
	assert_int_equal(fake->inits, 2);
}

static void test_no_gpus(void **state)
{
	(void)state;
	fake->gpus = 0;
	assert_int_equal(c4_gpus_read(gpus, S(1), out), 0);
	fake->gpus = 100; /* more than we keep */
	assert_int_equal(c4_gpus_read(gpus, S(90), out), C4_GPUS_MAX);
}

/* An older library: other names for some, nothing for others. */
static void test_old_library(void **state)
{
	struct fake_nvml *old = fake_nvml_load(FAKE_NVML_OLD);
	struct c4_gpus *g = c4_gpus_new(fake_path(FAKE_NVML_OLD));

	(void)state;
	assert_non_null(old);
	old->throttle = 8;
	assert_int_equal(c4_gpus_read(g, S(1), out), FAKE_GPUS);
	assert_int_equal(out[0].throttle, 8);
	assert_int_equal(out[0].watts, 0);
	assert_int_equal(out[0].sm_mhz, 1500);
	old->events[0] = 94;
	old->nevents = 1;
	c4_gpus_read(g, S(6), out);
	assert_int_equal(out[0].xids, 1);
	c4_gpus_free(g);
}

/* No such file, and one that is no such library. */
static void test_no_library(void **state)
{
	static const char *const names[] = {"/nonexistent/libnvidia-ml.so.1", "libc.so.6"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct c4_gpus *none = c4_gpus_new(names[i]);

		assert_int_equal(c4_gpus_read(none, S(1), out), 0);
		assert_int_equal(c4_gpus_read(none, S(100), out), 0);
		c4_gpus_free(none);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_values),	 T(test_xids),	       T(test_links_asked_once), T(test_errors),
		T(test_no_gpus), T(test_driver_comes), T(test_old_library),	 T(test_no_library),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
