// SPDX-License-Identifier: BSD-3-Clause
/* Handles and the pools they point into: lives, limits, threads; names and numbers of NCCL. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/nccl/pool.h"
#include "agent/nccl/text.h"
#include "c4/op.h"

#define PLACES 64u

static struct c4_pool_cell cells[PLACES];
static struct c4_pool pool;
static uint32_t owner[PLACES];

static int setup(void **state)
{
	(void)state;
	memset(cells, 0, sizeof cells);
	memset(owner, 0, sizeof owner);
	pool = (struct c4_pool){.cap = PLACES, .cells = cells, .salt = 0xfffffffff0ULL};
	return 0;
}

static struct c4_handle handle_at(uint32_t i)
{
	void *h = c4_handle_make((struct c4_handle){.kind = C4_HANDLE_OP,
						    .index = (uint16_t)i,
						    .sub = 200,
						    .gen = c4_pool_gen(&pool, i)});

	assert_non_null(h);
	return c4_handle_read(h);
}

static void test_handle_is_what_it_was_made_of(void **state)
{
	struct c4_handle in = {.kind = C4_HANDLE_STEP,
			       .index = C4_HANDLE_INDEXES - 1,
			       .sub = 255,
			       .gen = C4_HANDLE_GEN_MASK};
	struct c4_handle out = c4_handle_read(c4_handle_make(in));

	(void)state;
	assert_int_equal(out.kind, in.kind);
	assert_int_equal(out.index, in.index);
	assert_int_equal(out.sub, in.sub);
	assert_int_equal(out.gen, in.gen);
	assert_int_equal(c4_handle_read(NULL).kind, C4_HANDLE_NONE);
}

static void test_each_place_once(void **state)
{
	bool seen[PLACES] = {false};

	(void)state;
	for (uint32_t n = 0; n < PLACES; n++) {
		uint32_t i = c4_pool_take(&pool);

		assert_true(i < PLACES && !seen[i]);
		seen[i] = true;
	}
	assert_int_equal(c4_pool_take(&pool), C4_POOL_EMPTY);
	assert_int_equal(c4_pool_take(&pool), C4_POOL_EMPTY);
	assert_true(c4_pool_put(&pool, 5, c4_pool_gen(&pool, 5)));
	assert_int_equal(c4_pool_take(&pool), 5);
	assert_int_equal(c4_pool_take(&pool), C4_POOL_EMPTY);
}

static void test_a_life_ends_once(void **state)
{
	uint32_t i = c4_pool_take(&pool);
	struct c4_handle old = handle_at(i);

	(void)state;
	assert_true(c4_pool_alive(&pool, old));
	assert_true(c4_pool_put(&pool, i, old.gen));
	assert_false(c4_pool_alive(&pool, old));
	assert_false(c4_pool_put(&pool, i, old.gen)); /* twice */
	assert_int_equal(c4_pool_take(&pool), i);
	assert_false(c4_pool_alive(&pool, old)); /* another life */
	assert_true(c4_pool_alive(&pool, handle_at(i)));
	assert_int_not_equal(c4_pool_take(&pool), i); /* putting twice freed it once */
}

static void test_generations_wrap(void **state)
{
	(void)state;
	for (int n = 0; n < 100; n++) { /* the salt is 16 lives from the end of the numbers */
		uint32_t i = c4_pool_take(&pool);
		struct c4_handle h = handle_at(i);

		assert_true(c4_pool_alive(&pool, h));
		assert_true(c4_pool_put(&pool, i, h.gen));
		assert_false(c4_pool_alive(&pool, h));
	}
}

static void test_strangers(void **state)
{
	struct c4_handle h = handle_at(c4_pool_take(&pool));

	(void)state;
	h.index = PLACES;
	assert_false(c4_pool_alive(&pool, h));
	h = c4_handle_read((void *)(uintptr_t)0x7f1234567890);
	assert_false(c4_pool_alive(&pool, h));
}

static void *grab_and_give(void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg, clashes = 0;

	for (int n = 0; n < 20000; n++) {
		uint32_t i = c4_pool_take(&pool);

		if (i == C4_POOL_EMPTY)
			continue;
		clashes += __atomic_exchange_n(&owner[i], me, __ATOMIC_RELAXED) != 0;
		clashes += __atomic_exchange_n(&owner[i], 0, __ATOMIC_RELAXED) != me;
		clashes += !c4_pool_put(&pool, i, c4_pool_gen(&pool, i));
	}
	return (void *)(uintptr_t)clashes;
}

static void test_threads(void **state)
{
	pthread_t t[4];
	void *clashes;

	(void)state;
	pool.cap = 3; /* fewer than threads */
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, grab_and_give, (void *)(i + 1)), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &clashes);
		assert_null(clashes);
	}
	for (int i = 0; i < 3; i++)
		assert_true(c4_pool_take(&pool) < 3);
	assert_int_equal(c4_pool_take(&pool), C4_POOL_EMPTY);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(c4_prof_kind("AllReduce"), C4_OP_ALLREDUCE);
	assert_int_equal(c4_prof_kind("AllGatherV"), C4_OP_ALLGATHERV);
	assert_int_equal(c4_prof_kind("Reduce"), C4_OP_REDUCE);
	assert_int_equal(c4_prof_kind("A"), C4_OP_NONE);
	assert_int_equal(c4_prof_kind(""), C4_OP_NONE);
	assert_int_equal(c4_prof_kind(NULL), C4_OP_NONE);
	assert_int_equal(c4_prof_kind_number(4), C4_OP_ALLREDUCE);
	assert_int_equal(c4_prof_kind_number(99), C4_OP_NONE);
	assert_int_equal(c4_prof_dtype("ncclInt8"), 1);
	assert_int_equal(c4_prof_dtype("ncclBfloat16"), 10);
	assert_int_equal(c4_prof_dtype("nccl"), 0);
	assert_int_equal(c4_prof_dtype(NULL), 0);
	assert_int_equal(c4_prof_dtype_number(9), c4_prof_dtype("ncclBfloat16"));
	assert_int_equal(c4_prof_dtype_number(200), 0);
}

static uint64_t bytes(uint8_t kind, const char *dtype)
{
	return c4_prof_bytes(
		&(struct c4_prof_task){.kind = kind, .dtype = c4_prof_dtype(dtype), .count = 1000},
		8);
}

/* What the rank contributes, as the MPI hook counts it. */
static void test_bytes(void **state)
{
	(void)state;
	assert_int_equal(bytes(C4_OP_ALLREDUCE, "ncclFloat32"), 4000);
	assert_int_equal(bytes(C4_OP_ALLREDUCE, "ncclFloat8e5m2"), 1000);
	assert_int_equal(bytes(C4_OP_ALLGATHER, "ncclInt8"), 1000); /* NCCL made it bytes */
	assert_int_equal(bytes(C4_OP_REDUCE_SCATTER, "ncclFloat16"), 16000);
	assert_int_equal(bytes(C4_OP_SEND, "ncclFloat64"), 8000);
	assert_int_equal(bytes(C4_OP_BCAST, "a new type"), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_handle_is_what_it_was_made_of, setup),
		cmocka_unit_test_setup(test_each_place_once, setup),
		cmocka_unit_test_setup(test_a_life_ends_once, setup),
		cmocka_unit_test_setup(test_generations_wrap, setup),
		cmocka_unit_test_setup(test_strangers, setup),
		cmocka_unit_test_setup(test_threads, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_bytes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
