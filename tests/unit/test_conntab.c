// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/conntab.h"
#include "collector/vclock.h"

#define S   1000000000ull
#define MIB (1ull << 20)
#define T0  C4_VCLOCK_START

static struct c4_conn_report so_far(uint64_t mib)
{
	return (struct c4_conn_report){
		.teller = 3,
		.posted = mib + 8,
		.transmitted = mib,
		.done = mib,
		.bytes = mib * MIB,
		.busy_ns = mib * 1000,
		.gpu_ns = mib * 300,
		.peer_ns = mib * 20,
		.told_ns = T0,
		.progress_ns = T0,
	};
}

static uint32_t add(struct c4_conntab *t, uint32_t src, uint32_t dst, uint32_t channel)
{
	struct c4_conn_key key = {src, dst, channel};
	int64_t at = c4_conntab_add(t, &key, T0);

	assert_true(at >= 0);
	return (uint32_t)at;
}

static int64_t find(struct c4_conntab *t, uint32_t src, uint32_t dst, uint32_t channel)
{
	struct c4_conn_key key = {src, dst, channel};

	return c4_conntab_find(t, &key);
}

static void tell(struct c4_conntab *t, uint32_t at, bool sends, uint64_t mib)
{
	struct c4_conn_report r = so_far(mib);

	c4_conntab_tell(t, at, sends, &r);
}

static void test_finds_what_it_has(void **state)
{
	struct c4_conntab t = {0};

	(void)state;
	assert_int_equal(find(&t, 0, 1, 0), -1);
	for (uint32_t src = 0; src < 40; src++)
		for (uint32_t channel = 0; channel < 4; channel++)
			add(&t, src, (src + 1) % 40, channel);
	/* in the order of posts, backwards, and what is not there */
	for (uint32_t i = 0; i < 160; i++)
		assert_int_equal(find(&t, i / 4, (i / 4 + 1) % 40, i % 4), i);
	for (uint32_t i = 160; i-- > 0;)
		assert_int_equal(find(&t, i / 4, (i / 4 + 1) % 40, i % 4), i);
	assert_int_equal(find(&t, 1, 0, 0), -1);
	assert_int_equal(find(&t, 0, 1, 4), -1);
	c4_conntab_release(&t);
}

/* Both ends grow apart from one another; the first report counts from there on. */
static void test_window_is_the_growth(void **state)
{
	struct c4_conntab t = {0};
	const struct c4_diag_conn *k;
	uint32_t at = add(&t, 0, 1, 0);

	(void)state;
	tell(&t, at, true, 1000);
	tell(&t, at, true, 1010);
	tell(&t, at, true, 1025);
	tell(&t, at, false, 7);
	tell(&t, at, false, 27);
	assert_false(c4_conntab_poll(&t, T0 + 2 * S - 1));
	assert_true(c4_conntab_poll(&t, T0 + 2 * S));
	k = &t.conns[at];
	assert_int_equal(k->send.win_bytes, 25 * MIB);
	assert_int_equal(k->send.win_steps, 25);
	assert_int_equal(k->send.win_busy_ns, 25000);
	assert_int_equal(k->send.win_gpu_ns, 7500);
	assert_int_equal(k->send.win_peer_ns, 500);
	assert_int_equal(k->recv.win_bytes, 20 * MIB);
	assert_int_equal(k->send.transmitted, 1025);
	assert_int_equal(t.serial, 1);
	assert_int_equal(t.window_ns, 2 * S);
	c4_conntab_release(&t);
}

/* Nothing is known of what is usual yet: those heard of say how many may be waited for. */
static void test_first_window_waits_for_those_heard_of(void **state)
{
	struct c4_conntab t = {0};

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		add(&t, i, i + 1, 0);
		tell(&t, i, true, 100);
		if (i < 17)
			tell(&t, i, true, 105);
	}
	assert_false(c4_conntab_poll(&t, T0 + 3 * S));
	tell(&t, 17, true, 105);
	assert_true(c4_conntab_poll(&t, T0 + 3 * S));
	assert_int_equal(t.window_ns, 3 * S);
	c4_conntab_release(&t);
}

/* Once it is known how many carry something, a window need not be longer than that takes. */
static void test_next_windows_are_shorter(void **state)
{
	struct c4_conntab t = {0};
	uint64_t now = T0 + 10 * S, mib = 100;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		add(&t, i, i + 1, 0);
		tell(&t, i, true, mib);
		tell(&t, i, true, mib + 5);
	}
	assert_true(c4_conntab_poll(&t, now));
	/* 17 of 20 are not most of them */
	for (uint32_t i = 0; i < 17; i++)
		tell(&t, i, true, mib + 10);
	assert_false(c4_conntab_poll(&t, now + 2 * S));
	tell(&t, 17, true, mib + 10);
	assert_false(c4_conntab_poll(&t, now + 2 * S - 1));
	assert_true(c4_conntab_poll(&t, now + 2 * S));
	assert_int_equal(t.serial, 2);
	assert_int_equal(t.conns[17].send.win_bytes, 5 * MIB);
	assert_int_equal(t.conns[19].send.win_bytes, 0);
	c4_conntab_release(&t);
}

static void test_quiet_is_no_window(void **state)
{
	struct c4_conntab t = {0};
	uint32_t at = add(&t, 0, 1, 0);

	(void)state;
	tell(&t, at, true, 100);
	for (uint64_t k = 1; k < 10; k++) {
		tell(&t, at, true, 100);
		assert_false(c4_conntab_poll(&t, T0 + k * 20 * S));
	}
	assert_int_equal(t.serial, 0);
	c4_conntab_release(&t);
}

static void test_counters_that_go_back_begin_anew(void **state)
{
	struct c4_conntab t = {0};
	uint32_t at = add(&t, 0, 1, 0);

	(void)state;
	tell(&t, at, true, 1000);
	tell(&t, at, true, 1010);
	tell(&t, at, true, 3);
	tell(&t, at, true, 8);
	assert_true(c4_conntab_poll(&t, T0 + 10 * S));
	assert_int_equal(t.conns[at].send.win_bytes, 15 * MIB);
	assert_int_equal(t.conns[at].send.transmitted, 8);
	c4_conntab_release(&t);
}

/* Two processes that claim the same end: neither's numbers are taken for growth of the other's. */
static void test_another_teller_begins_anew(void **state)
{
	struct c4_conntab t = {0};
	uint32_t at = add(&t, 0, 1, 0);
	struct c4_conn_report other = so_far(5000);

	(void)state;
	other.teller = 4;
	for (int i = 0; i < 5; i++) {
		tell(&t, at, true, 10);
		c4_conntab_tell(&t, at, true, &other);
	}
	assert_false(c4_conntab_poll(&t, T0 + 10 * S));
	assert_int_equal(t.conns[at].send.win_bytes, 0);
	c4_conntab_release(&t);
}

static void test_forgotten_teller(void **state)
{
	struct c4_conntab t = {0};
	uint32_t at = add(&t, 0, 1, 0);

	(void)state;
	tell(&t, at, true, 10);
	c4_conntab_forget(&t, 7);
	assert_true(t.conns[at].send.known);
	c4_conntab_forget(&t, 3);
	assert_false(t.conns[at].send.known);
	c4_conntab_release(&t);
}

static uint64_t until(void *arg, uint32_t teller)
{
	assert_int_equal(teller, 3);
	return *(uint64_t *)arg;
}

/* Silence is age only while the process tells all it knows. */
static void test_age(void **state)
{
	struct c4_conntab t = {0};
	uint32_t at = add(&t, 0, 1, 0);
	struct c4_conn_report r = so_far(10);
	uint64_t now = T0 + 7 * S;

	(void)state;
	r.told_ns = T0 + S;
	r.progress_ns = T0 - S / 2;
	c4_conntab_tell(&t, at, true, &r);
	c4_conntab_age(&t, until, &now);
	assert_int_equal(t.conns[at].send.still_ns, 7 * S + S / 2);
	assert_int_equal(t.conns[at].recv.still_ns, 0);
	now = 0;
	c4_conntab_age(&t, until, &now);
	assert_int_equal(t.conns[at].send.still_ns, S + S / 2);
	c4_conntab_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_what_it_has),
		cmocka_unit_test(test_window_is_the_growth),
		cmocka_unit_test(test_first_window_waits_for_those_heard_of),
		cmocka_unit_test(test_next_windows_are_shorter),
		cmocka_unit_test(test_quiet_is_no_window),
		cmocka_unit_test(test_counters_that_go_back_begin_anew),
		cmocka_unit_test(test_another_teller_begins_anew),
		cmocka_unit_test(test_forgotten_teller),
		cmocka_unit_test(test_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
