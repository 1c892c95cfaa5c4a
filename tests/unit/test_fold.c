// SPDX-License-Identifier: BSD-3-Clause
/* Folding: hand-made streams of events, the blocks they must become. One tick is one nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/daemon/fold.h"

#define US(x)	 ((uint64_t)(x)*1000)
#define MS(x)	 ((uint64_t)(x)*1000000)
#define S(x)	 ((uint64_t)(x)*1000000000)
#define PATIENCE S(2)

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

/* An all-reduce of 100 bytes on communicator 1 in slot 0. */
static struct c4_event op(uint64_t opno, uint64_t enter, uint64_t leave)
{
	return (struct c4_event){.comm = 1,
				 .opno = opno,
				 .enter_ticks = enter,
				 .leave_ticks = leave,
				 .bytes = 100,
				 .kind = C4_OP_ALLREDUCE,
				 .root = -1};
}

/* The agent sees an event when it ends. */
static void add(struct c4_event ev)
{
	c4_fold_add(fold, &ev, &rate, ev.leave_ticks);
}

static size_t blocks(const struct c4_block **b)
{
	size_t n;

	*b = c4_fold_blocks(fold, &n);
	return n;
}

/* The only block there is; cleared. */
static struct c4_block only(void)
{
	const struct c4_block *b;
	struct c4_block copy;

	assert_int_equal(blocks(&b), 1);
	copy = b[0];
	c4_fold_clear(fold);
	return copy;
}

static void drop_blocks(void)
{
	c4_fold_clear(fold);
}

static uint64_t signature(uint64_t first, uint32_t count)
{
	uint64_t sum = 0;

	for (uint64_t i = first; i < first + count; i++)
		sum += c4_op_signature(i, C4_OP_ALLREDUCE, 100, -1);
	return sum;
}

/* ---- what a block says ---------------------------------------------------------------------- */

/* Slow operations: every one is a block. */
static void test_single(void **state)
{
	struct c4_block b;

	(void)state;
	add(op(0, S(10), S(10) + US(5)));
	b = only();
	assert_int_equal(b.comm, 1);
	assert_int_equal(b.first, 0);
	assert_int_equal(b.count, 1);
	assert_int_equal(b.level, 0);
	assert_false(b.partial);
	assert_int_equal(b.missing, 0);
	assert_int_equal(b.sync_count, 1);
	assert_int_equal(b.sync_sum_ns, US(5));
	assert_int_equal(b.sync_min_ns, US(5));
	assert_int_equal(b.sync_max_ns, US(5));
	assert_int_equal(b.sync_hist[2], 1); /* [4, 8) µs */
	assert_int_equal(b.span_count, 0);
	assert_int_equal(b.inside_sum_ns, US(5));
	assert_int_equal(b.bytes, 100);
	assert_int_equal(b.sync_bytes[C4_BUS_ALLREDUCE], 100);
	assert_true(b.signature == signature(0, 1));
	assert_int_equal(b.kind, C4_OP_ALLREDUCE);
}

/* span = end to end; inside = entry to end; elsewhere = in other calls; own = the rest. */
static void test_span(void **state)
{
	struct c4_event second = op(1, S(12), S(13));
	struct c4_block b;

	(void)state;
	add(op(0, S(9), S(10)));
	drop_blocks();
	second.before_ticks = S(1) + MS(500); /* 1 s in the first one, 0.5 s elsewhere since */
	add(second);
	b = only();
	assert_int_equal(b.span_count, 1);
	assert_int_equal(b.span_sum_ns, S(3));
	assert_int_equal(b.span_max_ns, S(3));
	assert_int_equal(b.inside_sum_ns, S(1));
	assert_int_equal(b.elsewhere_sum_ns, MS(500));
	assert_int_equal(b.own_sum_ns, MS(1500));
	assert_int_equal(b.own_max_ns, MS(1500));
}

/* Two communicators: the time in one is `elsewhere` of the other. */
static void test_elsewhere_of_two(void **state)
{
	struct c4_event a = op(0, S(1), S(2)), b = op(0, S(3), S(7)), a2 = op(1, S(9), S(10));
	const struct c4_block *out;

	(void)state;
	b.comm = 2;
	b.slot = 1;
	b.before_ticks = S(1);
	a2.before_ticks = S(5);
	add(a);
	add(b);
	add(a2);
	assert_int_equal(blocks(&out), 3);
	assert_int_equal(out[1].comm, 2);
	assert_int_equal(out[1].span_count, 0);
	assert_int_equal(out[2].comm, 1);
	assert_int_equal(out[2].span_sum_ns, S(8));
	assert_int_equal(out[2].elsewhere_sum_ns, S(4));
	assert_int_equal(out[2].own_sum_ns, S(3));
}

/* Several threads: sums of another thread, even times that go back, give no negative lengths. */
static void test_never_negative(void **state)
{
	struct c4_event ev = op(0, S(5), S(6));
	const struct c4_block *out;

	(void)state;
	ev.before_ticks = S(100);
	add(ev);
	ev = op(1, S(8), S(7)); /* left before it entered, another thread's sum */
	add(ev);
	ev = op(2, S(6), S(9));
	ev.before_ticks = S(1000);
	add(ev);
	assert_int_equal(blocks(&out), 3);
	assert_int_equal(out[1].elsewhere_sum_ns, 0);
	assert_int_equal(out[1].inside_sum_ns, 0);
	assert_int_equal(out[2].span_sum_ns, S(2));
	assert_int_equal(out[2].inside_sum_ns, S(2)); /* not before its predecessor's end */
	assert_int_equal(out[2].elsewhere_sum_ns + out[2].own_sum_ns, 0);
}

/* Only blocking operations in which all wait for all tell who was late. */
static void test_what_is_sync(void **state)
{
	struct c4_event root = op(0, S(1), S(2)), nonblocking = op(1, S(3), S(4));
	const struct c4_block *out;

	(void)state;
	root.kind = C4_OP_BCAST;
	root.root = 3;
	nonblocking.flags = C4_EV_NONBLOCKING | C4_EV_BLOCKED | C4_EV_ERROR;
	add(root);
	add(nonblocking);
	assert_int_equal(blocks(&out), 2);
	assert_int_equal(out[0].sync_count + out[1].sync_count, 0);
	assert_int_equal(out[0].inside_sum_ns, S(1));
	assert_true(out[0].signature == c4_op_signature(0, C4_OP_BCAST, 100, 3));
	assert_int_equal(out[1].inside_sum_ns, S(1));
	assert_int_equal(out[1].errors, 1);
}

/* One Waitall ended both: the time inside it counts once. */
static void test_waitall(void **state)
{
	struct c4_event a = op(1, S(2), S(3)), b = op(2, S(2), S(3));
	const struct c4_block *out;

	(void)state;
	a.flags = b.flags = C4_EV_NONBLOCKING | C4_EV_BLOCKED;
	add(op(0, S(1), S(1) + MS(1)));
	add(a);
	add(b);
	assert_int_equal(blocks(&out), 3);
	assert_int_equal(out[1].inside_sum_ns, S(1));
	assert_int_equal(out[2].inside_sum_ns, 0);
	assert_int_equal(out[2].span_sum_ns, 0);
}

static void test_histogram_ends(void **state)
{
	struct c4_block b;

	(void)state;
	add(op(0, S(1), S(1) + 100));
	b = only();
	assert_int_equal(b.sync_hist[0], 1);
	add(op(1, S(2), S(2) + S(1000000)));
	b = only();
	assert_int_equal(b.sync_hist[C4_BLOCK_BUCKETS - 1], 1);
}

/* ---- where blocks are cut ------------------------------------------------------------------- */

/* Runs n operations of a steady rate from *opno on, one per period. */
static void run(uint64_t *opno, uint64_t *now, uint64_t n, uint64_t period)
{
	while (n--) {
		*now += period;
		add(op((*opno)++, *now - period / 10, *now));
		if (*opno % 64 == 0)
			c4_fold_cut(fold, *now, PATIENCE);
	}
}

static void assert_aligned(const struct c4_block *b)
{
	uint64_t mask = ((uint64_t)1 << b->level) - 1;

	assert_true(b->count >= 1 && b->count <= mask + 1);
	assert_true((b->first & ~mask) == ((b->first + b->count - 1) & ~mask));
}

/* All operations in blocks, in order, none twice. */
static void assert_tiled(uint64_t first, uint64_t end)
{
	const struct c4_block *b;
	size_t n = blocks(&b);

	for (size_t i = 0; i < n; i++) {
		assert_aligned(&b[i]);
		assert_int_equal(b[i].first, first);
		first += b[i].count;
	}
	assert_int_equal(first, end);
}

/* 2000 op/s: at most two blocks a second once the level is found, and all operations told. */
static void test_level_rises(void **state)
{
	uint64_t opno = 0, now = S(1), start;
	const struct c4_block *b;
	size_t n;

	(void)state;
	run(&opno, &now, 8192, US(500));
	assert_true(blocks(&b) < 100);
	drop_blocks();
	start = opno;
	run(&opno, &now, 16384, US(500));
	n = blocks(&b);
	assert_true(n <= 17); /* 8.2 s */
	assert_true(n >= 8);  /* and not coarser than needed */
	assert_int_equal(b[0].level, 10);
	assert_true(b[0].signature == signature(b[0].first, b[0].count));
	assert_tiled(start, opno);
}

/* The rate falls: blocks get shorter again, first by time, then by level. */
static void test_level_falls(void **state)
{
	uint64_t opno = 0, now = S(1);
	const struct c4_block *b;
	size_t n;

	(void)state;
	run(&opno, &now, 8192, US(500));
	drop_blocks();
	for (int i = 0; i < 400; i++) {
		run(&opno, &now, 1, MS(250));
		c4_fold_cut(fold, now, PATIENCE);
	}
	n = blocks(&b);
	assert_true(b[0].partial);
	assert_true(b[n - 1].level <= 2);
	assert_false(b[n - 1].partial);
	assert_tiled(8192, b[n - 1].first + b[n - 1].count);
}

/* A level is only used where its blocks begin at a multiple of their length. */
static void test_attached_late(void **state)
{
	uint64_t opno = 1000003, now = S(1);
	const struct c4_block *b;

	(void)state;
	run(&opno, &now, 4096, US(500));
	c4_fold_flush(fold);
	assert_true(blocks(&b) > 1);
	assert_int_equal(b[0].span_count, 0); /* what was before is not known */
	assert_tiled(1000003, opno);
}

/* Bursts of 100 operations and long pauses: blocks still end inside the burst. */
static void test_bursts(void **state)
{
	uint64_t opno = 0, now = S(1), begin;
	const struct c4_block *b;
	size_t n;

	(void)state;
	for (int i = 0; i < 10; i++) {
		run(&opno, &now, 128, US(100));
		now += S(10);
		c4_fold_cut(fold, now, PATIENCE);
	}
	drop_blocks();
	begin = opno;
	run(&opno, &now, 128, US(100));
	c4_fold_cut(fold, now, PATIENCE);
	n = blocks(&b);
	assert_true(n >= 4 && n <= 40);
	assert_tiled(begin, opno);
	for (size_t i = 0; i < n; i++)
		assert_false(b[i].partial);
}

/* Cut by time: a piece now, the rest from the following operation on. */
static void test_partial(void **state)
{
	uint64_t opno = 0, now = S(1), at;
	const struct c4_block *b;
	size_t n;

	(void)state;
	run(&opno, &now, 8192, US(500));
	drop_blocks();
	run(&opno, &now, 300, US(500));
	c4_fold_cut(fold, now + S(1), PATIENCE);
	assert_int_equal(blocks(&b), 0);
	c4_fold_cut(fold, now + S(2), PATIENCE);
	n = blocks(&b);
	assert_int_equal(n, 1);
	assert_int_equal(b[0].first, 8192);
	assert_int_equal(b[0].count, 300);
	assert_true(b[0].partial);
	assert_int_equal(b[0].level, 10);
	c4_fold_cut(fold, now + S(9), PATIENCE); /* nothing new: nothing to say */
	assert_int_equal(blocks(&b), 1);
	drop_blocks();
	at = now;
	now += S(10);
	run(&opno, &now, 1024 - 300, US(500));
	n = blocks(&b);
	assert_int_equal(n, 1);
	assert_int_equal(b[0].first, 8492);
	assert_int_equal(b[0].count, 724);
	assert_false(b[0].partial);
	assert_int_equal(b[0].span_count, 724);
	assert_true(b[0].span_max_ns >= S(10));
	assert_true(now > at);
}

/* Many active communicators share the budget of the process. */
static void test_process_budget(void **state)
{
	uint64_t now = S(1);
	const struct c4_block *b;
	size_t n;

	(void)state;
	for (uint64_t i = 0; i < 40000; i++) { /* 12 communicators, each 166 op/s, 20 s */
		struct c4_event ev = op(i / 12, now, now + US(50));

		ev.comm = 1 + i % 12;
		ev.slot = (uint16_t)(i % 12);
		add(ev);
		now += US(500);
		if (i % 1000 == 0)
			c4_fold_cut(fold, now, PATIENCE);
		if (i == 20000)
			drop_blocks();
	}
	n = blocks(&b);
	assert_true(n <= 66); /* 10 s, 6 a second, and a little */
	assert_true(n >= 20);
}

static void test_flush(void **state)
{
	uint64_t opno = 0, now = S(1);
	struct c4_block b;

	(void)state;
	run(&opno, &now, 8192, US(500));
	drop_blocks();
	run(&opno, &now, 5, US(500));
	c4_fold_flush(fold);
	b = only();
	assert_int_equal(b.count, 5);
	assert_true(b.partial);
	c4_fold_flush(fold);
	drop_blocks();
}

/* ---- gaps and disorder ---------------------------------------------------------------------- */

/* At level 10: operation 8192 opens a block, then some are lost within it. */
static uint64_t at_level_10(uint64_t *now)
{
	uint64_t opno = 0;

	*now = S(1);
	run(&opno, now, 8192, US(500));
	drop_blocks();
	return opno;
}

static void test_missing(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	struct c4_block b;

	(void)state;
	run(&opno, &now, 10, US(500));
	opno += 200;
	run(&opno, &now, 1024 - 210, US(500));
	c4_fold_cut(fold, now + S(4), PATIENCE); /* until then they might still have come */
	b = only();
	assert_int_equal(b.first, 8192);
	assert_int_equal(b.count, 1024);
	assert_int_equal(b.missing, 200);
	assert_int_equal(b.sync_count, 824);
	assert_int_equal(b.span_count, 823); /* the one behind the gap has no known predecessor */
	assert_true(b.signature == 0);
	assert_false(b.partial);
}

/* A gap over many blocks is told in few, all aligned. */
static void test_long_gap(void **state)
{
	uint64_t now, opno = at_level_10(&now), missing = 0;
	const struct c4_block *b;
	size_t n;

	(void)state;
	run(&opno, &now, 10, US(500));
	opno += 1000000;
	run(&opno, &now, 1, US(500));
	c4_fold_flush(fold);
	n = blocks(&b);
	assert_true(n < 40);
	for (size_t i = 0; i < n; i++) {
		assert_aligned(&b[i]);
		missing += b[i].missing;
	}
	assert_int_equal(missing, 1000000);
}

/* A nonblocking operation that ends after its successors is counted where it belongs. */
static void test_out_of_order(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	struct c4_event late;
	struct c4_block b;

	(void)state;
	opno++; /* 8192 is pending */
	run(&opno, &now, 1000, US(500));
	late = op(8192, now, now + US(10));
	late.flags = C4_EV_NONBLOCKING | C4_EV_BLOCKED;
	add(late);
	run(&opno, &now, 23, US(500));
	b = only();
	assert_int_equal(b.count, 1024);
	assert_int_equal(b.missing, 0);
	assert_int_equal(b.sync_count, 1023);
	assert_true(b.signature == signature(8192, 1024));
}

/* The last one of a block is late: the block waits for it. */
static void test_block_waits(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	struct c4_block b;

	(void)state;
	run(&opno, &now, 1023, US(500));
	opno++;
	run(&opno, &now, 100, US(500));
	{
		const struct c4_block *none;

		assert_int_equal(blocks(&none), 0);
	}
	add(op(9215, now, now + US(10)));
	b = only();
	assert_int_equal(b.first, 8192);
	assert_int_equal(b.count, 1024);
	assert_int_equal(b.missing, 0);
}

/* The collector joins pieces in order: a complete block does not overtake one that waits. */
static void test_no_overtaking(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	const struct c4_block *b;

	(void)state;
	opno++;
	run(&opno, &now, 1023 + 1024 + 10, US(500));
	assert_int_equal(blocks(&b), 0);
	add(op(8192, now, now + US(10)));
	assert_int_equal(blocks(&b), 2);
	assert_int_equal(b[0].first, 8192);
	assert_int_equal(b[1].first, 9216);
	assert_int_equal(b[0].missing + b[1].missing, 0);
	drop_blocks();
	/* nor when its time is up */
	run(&opno, &now, 1024 - 11, US(500));
	opno++;
	run(&opno, &now, 1024 + 10, US(500));
	c4_fold_cut(fold, now + S(5), PATIENCE);
	assert_int_equal(blocks(&b), 3);
	assert_int_equal(b[0].missing, 1);
	assert_tiled(10240, opno);
}

/* Its block was told without it: then it is a block of its own. Said twice it is noise. */
static void test_straggler(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	struct c4_block b;

	(void)state;
	opno++;
	run(&opno, &now, 1023, US(500));
	c4_fold_cut(fold, now + S(5), PATIENCE);
	b = only();
	assert_int_equal(b.missing, 1);
	add(op(8192, now, now + US(10)));
	b = only();
	assert_int_equal(b.first, 8192);
	assert_int_equal(b.count, 1);
	assert_int_equal(b.level, 0);
	assert_int_equal(b.missing, 0);
	assert_true(b.signature == signature(8192, 1));
	add(op(8192, now, now + US(10)));
	{
		const struct c4_block *none;

		assert_int_equal(blocks(&none), 0);
	}
	assert_int_equal(c4_fold_losses(fold).strays, 1);
}

/* A slot's next communicator starts afresh; what its last one left is told. */
static void test_slot_reused(void **state)
{
	uint64_t now, opno = at_level_10(&now);
	const struct c4_block *b;
	struct c4_event ev;

	(void)state;
	run(&opno, &now, 10, US(500));
	ev = op(0, now, now + US(5));
	ev.comm = 77;
	add(ev);
	assert_int_equal(blocks(&b), 2);
	assert_int_equal(b[0].comm, 1);
	assert_int_equal(b[0].count, 10);
	assert_true(b[0].partial);
	assert_int_equal(b[1].comm, 77);
	assert_int_equal(b[1].span_count, 0);
}

/* ---- what a peer that lies can do ----------------------------------------------------------- */

static void test_absurd(void **state)
{
	struct c4_event ev = op(5, S(1), S(2));
	const struct c4_block *b;

	(void)state;
	ev.slot = 16;
	add(ev);
	ev = op(UINT64_MAX, S(1), S(2));
	add(ev);
	ev = op(0, S(1), S(2));
	ev.comm = 0;
	add(ev);
	assert_int_equal(blocks(&b), 0);
	assert_int_equal(c4_fold_losses(fold).strays, 3);
	add(op(0, 0, UINT64_MAX));
	add(op((uint64_t)1 << 61, UINT64_MAX, UINT64_MAX)); /* starts anew, no 2^61 holes */
	c4_fold_flush(fold);
	assert_int_equal(blocks(&b), 2);
}

/* Nobody fetches the blocks: a bounded number waits, the rest is counted. */
static void test_bounded_output(void **state)
{
	const struct c4_block *b;

	(void)state;
	for (uint64_t i = 0; i < C4_FOLD_OUT_MAX + 100; i++)
		add(op(i, S(i), S(i) + 1));
	assert_int_equal(blocks(&b), C4_FOLD_OUT_MAX);
	assert_int_equal(c4_fold_losses(fold).ops, 100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_single),		T(test_span),		T(test_elsewhere_of_two),
		T(test_never_negative), T(test_what_is_sync),	T(test_waitall),
		T(test_histogram_ends), T(test_level_rises),	T(test_level_falls),
		T(test_attached_late),	T(test_bursts),		T(test_partial),
		T(test_process_budget), T(test_flush),		T(test_missing),
		T(test_long_gap),	T(test_out_of_order),	T(test_block_waits),
		T(test_no_overtaking),	T(test_straggler),	T(test_slot_reused),
		T(test_absurd),		T(test_bounded_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
