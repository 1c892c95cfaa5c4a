// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/join.h"

#define S  1000000000ull
#define MS 1000000ull

/* What the join told, in words: "[0,64) " per window, with '!' for an incomplete one. */
struct record {
	char text[4096];
	uint64_t ops, sync_ns; /* Σ over windows, of member 0 */
	struct c4_join *join;
};

static void on_window(void *arg, const struct c4_joined *w)
{
	struct record *r = arg;
	size_t n = strlen(r->text);

	snprintf(r->text + n, sizeof r->text - n, "[%d,%d)%s ", (int)w->window->first,
		 (int)(w->window->first + w->window->count), w->complete ? "" : "!");
	r->ops += w->window->count;
	r->sync_ns += w->window->parts[0].sync_sum_ns;
}

static int setup(void **state)
{
	struct record *r = calloc(1, sizeof *r);

	r->join = c4_join_new(3, on_window, r);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct record *r = *state;

	c4_join_free(r->join);
	free(r);
	return 0;
}

/* op_ns: time from one operation to the next; a tenth of it inside. */
static struct c4_piece piece(uint64_t first, uint32_t count, uint64_t op_ns)
{
	return (struct c4_piece){
		.first = first,
		.count = count,
		.bytes = count,
		.bus_bytes = 2 * count,
		.part =
			{
				.sync_count = count,
				.sync_sum_ns = count * op_ns / 10,
				.sync_min_ns = op_ns / 10,
				.sync_max_ns = op_ns / 10,
				.span_count = count,
				.span_sum_ns = count * op_ns,
				.signature = count * 3,
			},
	};
}

static int add(struct record *r, uint32_t member, uint64_t first, uint32_t count, uint64_t now)
{
	struct c4_piece p = piece(first, count, 10 * MS);

	return c4_join_add(r->join, member, &p, now);
}

static void add_all(struct record *r, uint64_t first, uint32_t count, uint64_t now)
{
	for (uint32_t m = 0; m < 3; m++)
		assert_int_equal(add(r, m, first, count, now), 0);
}

static void test_equal_blocks(void **state)
{
	struct record *r = *state;

	for (uint64_t k = 0; k < 3; k++)
		add_all(r, 64 * k, 64, k * S);
	assert_string_equal(r->text, "[0,64) [64,128) [128,192) ");
}

/* A window waits for the last member, however many pieces the others are ahead. */
static void test_waits_for_everybody(void **state)
{
	struct record *r = *state;

	for (uint64_t k = 0; k < 5; k++) {
		add(r, 0, 64 * k, 64, k * S);
		add(r, 1, 64 * k, 64, k * S);
	}
	assert_string_equal(r->text, "");
	add(r, 2, 0, 64, 6 * S);
	add(r, 2, 64, 64, 6 * S);
	assert_string_equal(r->text, "[0,64) [64,128) ");
}

static void test_unequal_levels(void **state)
{
	struct record *r = *state;

	add(r, 0, 0, 256, S);
	for (uint64_t k = 0; k < 4; k++)
		add(r, 1, 64 * k, 64, S);
	add(r, 2, 0, 128, S);
	assert_string_equal(r->text, "");
	add(r, 2, 128, 128, S);
	assert_string_equal(r->text, "[0,256) ");
	assert_int_equal(r->sync_ns, 256 * MS);
}

/* Pieces cut by time end at other numbers on each member: only shared ends count. */
static void test_partial_pieces(void **state)
{
	struct record *r = *state;

	add(r, 0, 0, 100, S);
	add(r, 0, 100, 28, 2 * S);
	add(r, 1, 0, 93, S);
	add(r, 1, 93, 35, 2 * S);
	add(r, 2, 0, 128, 2 * S);
	assert_string_equal(r->text, "[0,128) ");
	add_all(r, 128, 1, 2 * S); /* all at the same number, but it took no time yet */
	assert_string_equal(r->text, "[0,128) ");
}

/* Blocks that are short in time are put together to windows worth judging. */
static void test_short_blocks_gather(void **state)
{
	struct record *r = *state;

	for (uint64_t k = 0; k < 16; k++)
		add_all(r, 8 * k, 8, S);
	assert_string_equal(r->text, "[0,56) [56,112) ");
}

/* A slow job: one operation in seconds. Each is a window of its own as soon as all have told it. */
static void test_slow_operations(void **state)
{
	struct record *r = *state;
	struct c4_piece p;

	for (uint64_t k = 0; k < 3; k++)
		for (uint32_t m = 0; m < 3; m++) {
			p = piece(k, 1, 3 * S);
			c4_join_add(r->join, m, &p, k * 3 * S);
		}
	assert_string_equal(r->text, "[0,1) [1,2) [2,3) ");
}

/* What is too short for a window of its own is closed when patience is over, or by force. */
static void test_patience_and_force(void **state)
{
	struct record *r = *state;

	add_all(r, 0, 4, S);
	c4_join_poll(r->join, S + S / 2, false);
	assert_string_equal(r->text, "");
	c4_join_poll(r->join, 2 * S, false);
	assert_string_equal(r->text, "[0,4) ");
	add_all(r, 4, 4, 2 * S);
	add(r, 0, 8, 4, 2 * S);
	assert_true(c4_join_pending(r->join));
	c4_join_poll(r->join, 2 * S, true);
	assert_string_equal(r->text, "[0,4) [4,8) ");
}

static void test_lost_pieces_are_missing(void **state)
{
	struct record *r = *state;
	struct c4_diag_window w[C4_DIAG_WINDOWS];

	add_all(r, 0, 64, S);
	add(r, 0, 64, 64, 2 * S);
	add(r, 1, 64, 64, 2 * S);
	add(r, 0, 128, 64, 3 * S); /* member 2's [64,128) never came */
	add(r, 1, 128, 64, 3 * S);
	add(r, 2, 128, 64, 3 * S);
	assert_string_equal(r->text, "[0,64) [64,128)! [128,192) ");
	assert_int_equal(c4_join_windows(r->join, w), 3);
	assert_false(w[1].parts[2].present);
	assert_true(w[1].parts[0].present);
	assert_int_equal(w[1].parts[0].signature, 192);
}

static void test_told_missing_operations(void **state)
{
	struct record *r = *state;
	struct c4_diag_window w[C4_DIAG_WINDOWS];
	struct c4_piece p = piece(0, 64, 10 * MS);

	p.part.missing = 5;
	add(r, 0, 0, 64, S);
	add(r, 1, 0, 64, S);
	c4_join_add(r->join, 2, &p, S);
	assert_string_equal(r->text, "[0,64)! ");
	c4_join_windows(r->join, w);
	assert_int_equal(w[0].parts[2].missing, 5);
	assert_int_equal(w[0].parts[2].signature, 0); /* not comparable */
}

static void test_repeated_pieces_are_ignored(void **state)
{
	struct record *r = *state;

	add(r, 0, 0, 64, S);
	assert_int_equal(add(r, 0, 0, 64, S), -17 /* EEXIST */);
	assert_int_equal(add(r, 0, 32, 64, S), -17);
	add(r, 1, 0, 64, S);
	add(r, 2, 0, 64, S);
	assert_int_equal(add(r, 1, 0, 64, S), -17);
	assert_int_equal(r->sync_ns, 64 * MS);
}

static void test_excused_member(void **state)
{
	struct record *r = *state;
	struct c4_diag_window w[C4_DIAG_WINDOWS];

	add_all(r, 0, 64, S);
	c4_join_excuse(r->join, 1);
	add(r, 0, 64, 64, 2 * S);
	add(r, 2, 64, 64, 2 * S);
	assert_string_equal(r->text, "[0,64) [64,128)! ");
	c4_join_windows(r->join, w);
	assert_false(w[1].parts[1].present);
	/* it is expected again from its next piece on */
	add(r, 1, 192, 64, 3 * S);
	add(r, 0, 128, 64, 3 * S);
	add(r, 2, 128, 64, 3 * S);
	assert_string_equal(r->text, "[0,64) [64,128)! [128,192)! ");
	add(r, 0, 192, 64, 4 * S);
	add(r, 2, 192, 64, 4 * S);
	assert_string_equal(r->text, "[0,64) [64,128)! [128,192)! [192,256) ");
}

/* Excusing takes back the boundaries the member had told: they must not count twice later. */
static void test_excuse_takes_marks_back(void **state)
{
	struct record *r = *state;

	add_all(r, 0, 64, S);
	add(r, 0, 64, 64, 2 * S);
	add(r, 1, 64, 64, 2 * S);
	c4_join_excuse(r->join, 1);
	c4_join_poll(r->join, 9 * S, true);
	assert_string_equal(r->text, "[0,64) "); /* member 2 has not told [64,128) */
	add(r, 2, 64, 64, 2 * S);
	assert_string_equal(r->text, "[0,64) [64,128)! ");
}

static void test_restarted_member_begins_anew(void **state)
{
	struct record *r = *state;

	add(r, 0, 0, 64, S);
	c4_join_restart(r->join, 0);
	assert_int_equal(add(r, 0, 0, 64, S), 0);
	add(r, 1, 0, 64, S);
	add(r, 2, 0, 64, S);
	assert_string_equal(r->text, "[0,64) ");
	assert_int_equal(r->sync_ns, 64 * MS);
}

/* Attached in the middle of a job: the first common number is where windows begin. */
static void test_begins_in_the_middle(void **state)
{
	struct record *r = *state;

	add(r, 0, 1000, 24, S);
	add(r, 1, 960, 64, S);
	add(r, 2, 1003, 21, S);
	assert_string_equal(r->text, "");
	add_all(r, 1024, 64, 2 * S);
	assert_string_equal(r->text, "[1024,1088) ");
}

/* A member that stays behind while another tells thousands of pieces: bounded, and nothing of the
 * sums is lost when it catches up. */
static void test_full_queue_keeps_sums(void **state)
{
	struct record *r = *state;
	const uint32_t n = 1024;

	for (uint64_t k = 0; k < n; k++) {
		assert_int_equal(add(r, 0, 4 * k, 4, S), 0);
		assert_int_equal(add(r, 1, 4 * k, 4, S), 0);
	}
	for (uint64_t k = 0; k < n; k++)
		assert_int_equal(add(r, 2, 4 * k, 4, 2 * S), 0);
	c4_join_poll(r->join, 9 * S, true);
	assert_int_equal(r->ops, 4 * n);
	assert_int_equal(r->sync_ns, 4 * n * MS);
	assert_null(strchr(r->text, '!'));
	assert_non_null(strstr(r->text, "[0,")); /* the roundest boundaries survived: */
	assert_true(c4_join_serial(r->join) >= 2);
}

/* Every member cuts where it likes, for long: only multiples of 256 are common. */
static void test_random_cuts(void **state)
{
	struct record *r = *state;
	uint64_t at[3] = {0};

	srand(3);
	for (int i = 0; i < 3000; i++) {
		uint32_t m = (uint32_t)rand() % 3;
		uint64_t to_limit = 256 - at[m] % 256;
		uint32_t count = 1 + (uint32_t)rand() % (uint32_t)to_limit;

		assert_int_equal(add(r, m, at[m], count, S), 0);
		at[m] += count;
	}
	assert_null(strchr(r->text, '!'));
	assert_int_equal(r->sync_ns, r->ops * MS);
	assert_true(r->ops + 4096 > at[0] || r->ops + 4096 > at[1] || r->ops + 4096 > at[2]);
}

static void test_keeps_the_last_windows(void **state)
{
	struct record *r = *state;
	struct c4_diag_window w[C4_DIAG_WINDOWS];

	for (uint64_t k = 0; k < 20; k++)
		add_all(r, 64 * k, 64, k * S);
	assert_int_equal(c4_join_windows(r->join, w), C4_DIAG_WINDOWS);
	assert_int_equal(w[7].serial, 20);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(w[i].first, 64 * (12 + i));
		assert_int_equal(w[i].parts[2].sync_sum_ns, 64 * MS);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_equal_blocks),
		T(test_waits_for_everybody),
		T(test_unequal_levels),
		T(test_partial_pieces),
		T(test_short_blocks_gather),
		T(test_slow_operations),
		T(test_patience_and_force),
		T(test_lost_pieces_are_missing),
		T(test_told_missing_operations),
		T(test_repeated_pieces_are_ignored),
		T(test_excused_member),
		T(test_excuse_takes_marks_back),
		T(test_restarted_member_begins_anew),
		T(test_begins_in_the_middle),
		T(test_full_queue_keeps_sums),
		T(test_random_cuts),
		T(test_keeps_the_last_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
