// SPDX-License-Identifier: BSD-3-Clause
/*
 * Folding records of GPU operations: kernels of several communicators run at a time and end in any
 * order, and before_ticks is the kernel time on other communicators. One tick is one nanosecond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/daemon/fold.h"

#define MS(x) ((uint64_t)(x)*1000000)

static const struct c4_tick_rate rate = {0, 0, 1.0};

static struct c4_fold *fold;

static int setup(void **state)
{
	(void)state;
	fold = c4_fold_new(16);
	return !fold;
}

static int teardown(void **state)
{
	(void)state;
	c4_fold_free(fold);
	return 0;
}

/* A kernel of communicator `comm`, in milliseconds, as the hook records it when it ends. */
static void kernel(uint16_t comm, uint64_t opno, double enter, double leave, double before)
{
	struct c4_event ev = {.comm = comm,
			      .slot = comm,
			      .opno = opno,
			      .enter_ticks = (uint64_t)(enter * 1e6),
			      .leave_ticks = (uint64_t)(leave * 1e6),
			      .before_ticks = (uint64_t)(before * 1e6),
			      .bytes = 100,
			      .kind = C4_OP_ALLREDUCE,
			      .flags = C4_EV_GPU,
			      .root = -1};

	c4_fold_add(fold, &ev, &rate, ev.leave_ticks);
}

/* All blocks of a communicator together. */
static struct c4_block sum_of(uint64_t comm)
{
	struct c4_block sum = {0};
	const struct c4_block *b;
	size_t n;

	c4_fold_flush(fold);
	b = c4_fold_blocks(fold, &n);
	for (size_t i = 0; i < n; i++) {
		if (b[i].comm != comm)
			continue;
		sum.count += b[i].count;
		sum.missing += b[i].missing;
		sum.sync_count += b[i].sync_count;
		sum.span_count += b[i].span_count;
		sum.span_sum_ns += b[i].span_sum_ns;
		sum.own_sum_ns += b[i].own_sum_ns;
		sum.elsewhere_sum_ns += b[i].elsewhere_sum_ns;
		sum.inside_sum_ns += b[i].inside_sum_ns;
	}
	return sum;
}

/* One communicator alone: everything between its kernels is own work, for want of others. */
static void test_alone(void **state)
{
	struct c4_block b;

	(void)state;
	for (int i = 0; i < 10; i++)
		kernel(1, (uint64_t)i, i * 10 + 6, i * 10 + 10, 0);
	b = sum_of(1);
	assert_int_equal(b.count, 10);
	assert_int_equal(b.sync_count, 10);
	assert_int_equal(b.span_count, 9);
	assert_int_equal(b.span_sum_ns, MS(90));
	assert_int_equal(b.own_sum_ns, MS(54));
	assert_int_equal(b.elsewhere_sum_ns, 0);
	assert_int_equal(b.inside_sum_ns, MS(40));
}

/* By turns, 10 ms each: 3 of communicator 1, 2 of communicator 2, 5 of own work. */
static void test_by_turns(void **state)
{
	struct c4_block one, two;

	(void)state;
	for (int i = 0; i < 11; i++) {
		kernel(1, (uint64_t)i, i * 10, i * 10 + 3, i * 2);
		kernel(2, (uint64_t)i, i * 10 + 4, i * 10 + 6, i * 3 + 3);
	}
	one = sum_of(1);
	two = sum_of(2);
	assert_int_equal(one.span_count, 10);
	assert_int_equal(one.own_sum_ns, MS(50));
	assert_int_equal(one.elsewhere_sum_ns, MS(20));
	assert_int_equal(two.own_sum_ns, MS(50));
	assert_int_equal(two.elsewhere_sum_ns, MS(30));
}

/*
 * A long kernel of communicator 2 during many of communicator 1 ends after them: none of its time
 * may be taken out of more than the span it is told in, nor make any length negative.
 */
static void test_overlap(void **state)
{
	struct c4_block one, two;

	(void)state;
	kernel(2, 0, 0, 1, 0);
	for (int i = 0; i < 20; i++)
		kernel(1, (uint64_t)i, i * 5 + 2, i * 5 + 4, 1);
	kernel(2, 1, 3, 103, 40);
	kernel(1, 20, 102, 104, 101);
	one = sum_of(1);
	two = sum_of(2);
	assert_int_equal(one.span_count, 20);
	assert_int_equal(one.span_sum_ns, MS(100));
	assert_int_equal(one.own_sum_ns + one.elsewhere_sum_ns, MS(100) - MS(20) * 2);
	assert_int_equal(one.elsewhere_sum_ns, MS(3)); /* the last gap, no more */
	assert_int_equal(two.span_sum_ns, MS(102));
	assert_int_equal(two.inside_sum_ns, MS(101));
	assert_int_equal(two.own_sum_ns + two.elsewhere_sum_ns, MS(2));
}

/* An operation that nobody saw end (no room in flight) is a hole, and the next one has no span. */
static void test_hole(void **state)
{
	struct c4_block b;

	(void)state;
	kernel(1, 0, 0, 1, 0);
	kernel(1, 1, 2, 3, 0);
	kernel(1, 3, 6, 7, 0);
	kernel(1, 4, 8, 9, 0);
	b = sum_of(1);
	assert_int_equal(b.count, 5);
	assert_int_equal(b.missing, 1);
	assert_int_equal(b.span_count, 2);
}

/* A clock that is mapped anew may let a kernel begin before the last one's end, or itself. */
static void test_clock_steps(void **state)
{
	struct c4_block b;

	(void)state;
	kernel(1, 0, 0, 10, 0);
	kernel(1, 1, 9, 12, 0);
	kernel(1, 2, 11, 11, 0);
	kernel(1, 3, 15, 14, 0);
	b = sum_of(1);
	assert_int_equal(b.count, 4);
	assert_int_equal(b.inside_sum_ns, MS(10) + MS(2));
	assert_int_equal(b.own_sum_ns, MS(3));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_alone), T(test_by_turns), T(test_overlap), T(test_hole), T(test_clock_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
