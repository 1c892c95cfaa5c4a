// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/ds/arena.h"
#include "common/ds/map.h"
#include "common/ds/strmap.h"
#include "common/ds/vec.h"

#define KEYS 4096u

/* Against a plain table, under random insertion and removal: probe runs form and dissolve. */
static void test_map_equals_table(void **state)
{
	static int values[KEYS];
	void *table[KEYS] = {0};
	struct c4_map m = {0};
	uint32_t n = 0;

	(void)state;
	srand(2);
	for (int i = 0; i < 200000; i++) {
		uint32_t k = (uint32_t)rand() % KEYS;

		if (rand() % 3) {
			n += !table[k];
			table[k] = &values[rand() % KEYS];
			assert_int_equal(c4_map_put(&m, k, table[k]), 0);
		} else {
			n -= table[k] != NULL;
			assert_ptr_equal(c4_map_del(&m, k), table[k]);
			table[k] = NULL;
		}
		assert_ptr_equal(c4_map_get(&m, k), table[k]);
		assert_int_equal(m.used, n);
	}
	for (uint32_t k = 0; k < KEYS; k++)
		assert_ptr_equal(c4_map_get(&m, k), table[k]);
	c4_map_release(&m);
}

static void test_map_visits_each_once(void **state)
{
	struct c4_map_entry *e;
	struct c4_map m = {0};
	uint64_t sum = 0;

	(void)state;
	c4_map_for_each (e, &m)
		fail();
	for (uint64_t k = 1; k <= 100; k++)
		c4_map_put(&m, k << 40, &sum);
	c4_map_for_each (e, &m)
		sum += e->key >> 40;
	assert_int_equal(sum, 5050);
	c4_map_release(&m);
}

static void test_strmap_interns(void **state)
{
	struct c4_strmap m = {0};
	const char *first = c4_strmap_intern(&m, "rank"), *kept = first;
	char name[16];

	(void)state;
	assert_null(c4_strmap_find(&m, "node"));
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		c4_strmap_at(&m, name)->value = (void *)(uintptr_t)(i + 1);
	}
	assert_ptr_equal(c4_strmap_intern(&m, "rank"), kept); /* not moved by growth */
	assert_int_equal(m.used, 1001);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%d", i);
		assert_int_equal((uintptr_t)c4_strmap_find(&m, name)->value, i + 1);
	}
	c4_strmap_release(&m);
}

static void test_arena_stops_at_its_limit(void **state)
{
	struct c4_arena a;
	size_t n = 0;

	(void)state;
	c4_arena_init(&a, 1 << 20);
	assert_null(c4_arena_alloc(&a, (1 << 20) + 1));
	assert_null(c4_arena_alloc(&a, SIZE_MAX));
	while (c4_arena_alloc(&a, 1000))
		n++;
	assert_in_range(n, 900, 1048);
	assert_true(a.held <= 1 << 20);
	c4_arena_reset(&a);
	assert_non_null(c4_arena_alloc(&a, 100000)); /* room again */
	c4_arena_release(&a);
	assert_int_equal(a.held, 0);
}

static void test_arena_memory_is_distinct_and_aligned(void **state)
{
	struct c4_arena a;
	unsigned char *p[64];

	(void)state;
	c4_arena_init(&a, 1 << 20);
	for (int i = 0; i < 64; i++) {
		p[i] = c4_arena_alloc(&a, 3001);
		assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
		memset(p[i], i, 3001);
	}
	for (int i = 0; i < 64; i++)
		assert_true(p[i][0] == i && p[i][3000] == i);
	c4_arena_release(&a);
}

static void test_vec_grows_to_its_limit(void **state)
{
	uint32_t cap = 0;
	int *v = c4_vec_reserve(NULL, &cap, 1, 10, sizeof *v);

	(void)state;
	assert_non_null(v);
	v = c4_vec_reserve(v, &cap, 10, 10, sizeof *v);
	assert_int_equal(cap, 10);
	v[9] = 1;
	assert_null(c4_vec_reserve(v, &cap, 11, 10, sizeof *v));
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_equals_table),
		cmocka_unit_test(test_map_visits_each_once),
		cmocka_unit_test(test_strmap_interns),
		cmocka_unit_test(test_arena_stops_at_its_limit),
		cmocka_unit_test(test_arena_memory_is_distinct_and_aligned),
		cmocka_unit_test(test_vec_grows_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
