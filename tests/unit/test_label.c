// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/label.h"

static void test_every_port_has_a_label(void **state)
{
	(void)state;
	for (uint32_t port = C4_PORT_FIRST; port <= 0xFFFF; port++) {
		uint32_t label = c4_label_of_port((uint16_t)port);

		assert_in_range(label, 1, 0xFFFFF);
		assert_int_equal(c4_label_to_port(label), port);
	}
}

static void test_other_ports_have_none(void **state)
{
	(void)state;
	for (uint32_t port = 0; port < C4_PORT_FIRST; port++)
		assert_int_equal(c4_label_of_port((uint16_t)port), 0);
}

/* Values of ibv_flow_label_to_udp_sport(), computed by hand from its formula. */
static void test_labels_fold_as_rdma_core_does(void **state)
{
	(void)state;
	assert_int_equal(c4_label_to_port(0), 0xC000);
	assert_int_equal(c4_label_to_port(1), 0xC001);
	assert_int_equal(c4_label_to_port(0x4001), 0xC000);
	assert_int_equal(c4_label_to_port(0xFFFFF), 0xC000 | (0x3FFF ^ 0x3F));
	assert_int_equal(c4_label_to_port(0xABCDE), 0xC000 | (0x3CDE ^ 0x2A));
}

/* Computed apart, from the formula of the kernel's rdma_calc_flow_label(). */
static void test_numbers_stand_in_for_a_label(void **state)
{
	(void)state;
	assert_int_equal(c4_label_of_numbers(17, 18), 17 * 18);
	assert_int_equal(c4_label_of_numbers(0x100, 0x1000), 1); /* 2^20 folds down */
	assert_int_equal(c4_label_of_numbers(0x123456, 0x654321), 0xA77AE);
	assert_int_equal(c4_label_of_numbers(0x654321, 0x123456), 0xA77AE);
	assert_int_equal(c4_label_of_numbers(0xFFFFFF, 0xFFFFFF), 0xFFF1E);
	assert_int_equal(c4_label_of_numbers(0, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_port_has_a_label),
		cmocka_unit_test(test_other_ports_have_none),
		cmocka_unit_test(test_labels_fold_as_rdma_core_does),
		cmocka_unit_test(test_numbers_stand_in_for_a_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
