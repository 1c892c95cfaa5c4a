// SPDX-License-Identifier: BSD-3-Clause
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/diag/robust.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Against sorting, with many ties. */
static void test_median_equals_sorted_middle(void **state)
{
	(void)state;
	srand(1);
	for (int t = 0; t < 20000; t++) {
		double v[15], sorted[15];
		size_t n = 1 + (size_t)rand() % 15;

		for (size_t i = 0; i < n; i++)
			v[i] = sorted[i] = rand() % 6;
		qsort(sorted, n, sizeof *sorted, by_value);
		double want = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
		assert_true(c4_median(v, n) == want);
	}
}

static void test_empty(void **state)
{
	double none[1];

	(void)state;
	assert_true(c4_median(none, 0) == 0.0);
	assert_true(c4_robust_spread(none, 0, 3.0) == 0.0);
}

static void test_spread_ignores_a_minority(void **state)
{
	double calm[] = {9, 10, 11, 10, 9, 11, 10}, wild[] = {9, 10, 11, 10, 9, 1e9, -1e9};

	(void)state;
	assert_true(fabs(c4_robust_spread(calm, 7, 10) - 1.4826) < 1e-9);
	assert_true(fabs(c4_robust_spread(wild, 7, 10) - 1.4826) < 1e-9);
}

static void test_limit_grows_with_the_number_tested(void **state)
{
	(void)state;
	assert_true(c4_outlier_limit(8) > 3.0 && c4_outlier_limit(8) < 3.4);
	assert_true(c4_outlier_limit(100000) > 5.0 && c4_outlier_limit(100000) < 5.7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median_equals_sorted_middle),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_spread_ignores_a_minority),
		cmocka_unit_test(test_limit_grows_with_the_number_tested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
