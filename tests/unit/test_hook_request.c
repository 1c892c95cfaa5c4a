// SPDX-License-Identifier: BSD-3-Clause
/* Request table of a hook: adding, taking, reuse of handles, the limit, many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/hook/request.h"
#include "common/base/hash.h"

#define KEY(i) (0x7f0000001000ULL + (uint64_t)(i)*0x180)

static bool add(uint64_t key, uint64_t opno)
{
	struct c4_request r = {.opno = opno, .bytes = ~opno}, stale;
	bool was_stale;

	return c4_request_add(key, &r, &stale, &was_stale) && !was_stale;
}

static void test_add_find_take_drop(void **state)
{
	int32_t cell;

	(void)state;
	assert_int_equal(c4_request_find(KEY(1)), -1);
	assert_true(add(KEY(1), 11));
	assert_true(add(C4_REQ_FORTRAN(1), 12));
	cell = c4_request_find(KEY(1));
	assert_int_equal(c4_request_at(cell)->opno, 11);
	assert_int_equal(c4_request_take(KEY(1)), cell);
	assert_int_equal(c4_request_find(KEY(1)), -1); /* hidden */
	c4_request_put(cell, KEY(1));
	assert_int_equal(c4_request_take(KEY(1)), cell);
	c4_request_drop(cell);
	assert_int_equal(c4_request_take(KEY(1)), -1);
	c4_request_drop(c4_request_take(C4_REQ_FORTRAN(1)));
}

static void test_null_handles_are_nothing(void **state)
{
	(void)state;
	assert_int_equal(c4_request_take(0), -1);
	assert_int_equal(c4_request_take(C4_REQ_FORTRAN(0)), -1);
}

static void test_leftover_is_replaced(void **state)
{
	struct c4_request r = {.opno = 2}, stale = {0};
	bool was_stale = false;

	(void)state;
	assert_true(add(KEY(5), 1));
	assert_true(c4_request_add(KEY(5), &r, &stale, &was_stale));
	assert_true(was_stale);
	assert_int_equal(stale.opno, 1);
	assert_int_equal(c4_request_at(c4_request_find(KEY(5)))->opno, 2);
	c4_request_drop(c4_request_take(KEY(5)));
	assert_int_equal(c4_request_find(KEY(5)), -1); /* there was only one */
}

/* While one thread completes a request the library may give its handle to another. */
static void test_handle_reused_while_taken(void **state)
{
	int32_t first;

	(void)state;
	assert_true(add(KEY(6), 1));
	first = c4_request_take(KEY(6));
	assert_true(add(KEY(6), 2));
	c4_request_drop(first);
	assert_int_equal(c4_request_at(c4_request_find(KEY(6)))->opno, 2);
	c4_request_drop(c4_request_take(KEY(6)));
}

static void test_limit(void **state)
{
	uint64_t added = 0, refused = 0, i;

	(void)state;
	for (i = 0; i < 3 * C4_REQ_CELLS; i++)
		if (add(KEY(i), i))
			added++;
		else
			refused++;
	assert_true(added <= C4_REQ_CELLS && refused > 0);
	assert_true(added > C4_REQ_CELLS * 9 / 10); /* the hash spreads */
	for (i = 0; i < 3 * C4_REQ_CELLS; i++) {
		int32_t cell = c4_request_take(KEY(i));

		if (cell < 0)
			continue;
		assert_int_equal(c4_request_at(cell)->opno, i);
		c4_request_drop(cell);
		added--;
	}
	assert_int_equal(added, 0);
	assert_true(add(KEY(0), 0)); /* room again */
	c4_request_drop(c4_request_take(KEY(0)));
}

/* At a load programs really have, nothing is refused. */
static void test_usual_load(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < C4_REQ_CELLS / 4; i++)
		assert_true(add(KEY(i), i));
	for (uint64_t i = 0; i < C4_REQ_CELLS / 4; i++)
		c4_request_drop(c4_request_take(KEY(i)));
}

#define THREADS 4
#define ROUNDS	4000
#define BATCH	32

/* Each thread has its own handles; they share buckets. */
static void *worker(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg, bad = 0;

	for (uint64_t r = 0; r < ROUNDS; r++) {
		for (uint64_t i = 0; i < BATCH; i++)
			bad += !add(KEY(me * BATCH + i), r * BATCH + i);
		for (uint64_t i = 0; i < BATCH; i++) {
			int32_t cell = c4_request_take(KEY(me * BATCH + i));

			bad += cell < 0 || c4_request_at(cell)->opno != r * BATCH + i ||
			       c4_request_at(cell)->bytes != ~(r * BATCH + i);
			if (i % 3 == 0) {
				c4_request_put(cell, KEY(me * BATCH + i));
				cell = c4_request_take(KEY(me * BATCH + i));
			}
			c4_request_drop(cell);
		}
	}
	return (void *)(uintptr_t)bad;
}

static void test_many_threads(void **state)
{
	pthread_t id[THREADS];
	void *bad;

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&id[i], NULL, worker, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(id[i], &bad);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_find_take_drop),
		cmocka_unit_test(test_null_handles_are_nothing),
		cmocka_unit_test(test_leftover_is_replaced),
		cmocka_unit_test(test_handle_reused_while_taken),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_usual_load),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
