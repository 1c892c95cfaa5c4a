// SPDX-License-Identifier: BSD-3-Clause
/* The floor: options, strings, numbers for people, operations' table, ticks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "c4/op.h"
#include "common/base/clock.h"
#include "common/buf.h"
#include "common/ending.h"
#include "common/fmt.h"
#include "common/opt.h"

static struct {
	const char *name;
	bool flag;
	int64_t count, every_ms;
} o;

static const struct c4_opt opts[] = {
	{"name", 'n', C4_OPT_STR, &o.name, "NAME", "C4_TEST_NAME", "a name", 0, 0},
	{"flag", 'f', C4_OPT_FLAG, &o.flag, NULL, NULL, "a flag", 0, 0},
	{"count", 'c', C4_OPT_INT, &o.count, "N", NULL, "a number", 1, 9},
	{"every", 0, C4_OPT_MS, &o.every_ms, "TIME", NULL, "a time", 0, 0},
	{0}};
static const struct c4_cli cli = {"prog", "[OPTION]…", "Tests.", opts};

static int parse(int argc, const char *const *argv)
{
	char *copy[16];

	memset(&o, 0, sizeof o);
	for (int i = 0; i < argc; i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	copy[argc] = NULL;
	return c4_cli_parse(&cli, argc, copy);
}
#define PARSE(...)                                                                                 \
	parse((int)(sizeof((const char *[]){"prog", __VA_ARGS__}) / sizeof(char *)),               \
	      (const char *[]){"prog", __VA_ARGS__})

static void test_options(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--name=x", "-f", "-c", "5", "--every", "250ms", "run", "-z"), 7);
	assert_string_equal(o.name, "x");
	assert_true(o.flag);
	assert_int_equal(o.count, 5);
	assert_int_equal(o.every_ms, 250);
	assert_int_equal(PARSE("--every", "2m", "--", "--name"), 4);
	assert_int_equal(o.every_ms, 120000);
	assert_int_equal(PARSE("-n", "y", "-c9"), 4);
	assert_string_equal(o.name, "y");
}

static void test_environment_gives_defaults(void **state)
{
	(void)state;
	setenv("C4_TEST_NAME", "env", 1);
	PARSE("-f");
	assert_string_equal(o.name, "env");
	PARSE("-n", "arg");
	assert_string_equal(o.name, "arg");
	unsetenv("C4_TEST_NAME");
}

/* Exit status of parsing in a child. */
static int status_of(const char *a, const char *b)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout))
			_exit(99);
		if (b)
			PARSE(a, b);
		else
			PARSE(a);
		_exit(55);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void test_misuse_exits_2(void **state)
{
	(void)state;
	assert_int_equal(status_of("--nope", NULL), 2);
	assert_int_equal(status_of("--count", "10"), 2);
	assert_int_equal(status_of("--count", "5x"), 2);
	assert_int_equal(status_of("--every", "-1s"), 2);
	assert_int_equal(status_of("--every", "nan"), 2);
	assert_int_equal(status_of("--flag=1", NULL), 2);
	assert_int_equal(status_of("--name", NULL), 2);
	assert_int_equal(status_of("--help", NULL), 0);
	assert_int_equal(status_of("--version", NULL), 0);
	assert_int_equal(status_of("--count", "9"), 55);
}

static void test_buf(void **state)
{
	struct c4_buf b = {0};
	char *s;

	(void)state;
	assert_string_equal(c4_buf_str(&b), "");
	for (int i = 0; i < 1000; i++)
		c4_buf_printf(&b, "%d,", i);
	assert_int_equal(strlen(b.data), b.len);
	assert_memory_equal(b.data + b.len - 4, "999,", 4);
	s = c4_buf_take(&b);
	assert_non_null(s);
	assert_null(b.data);
	free(s);
}

static void test_numbers_for_people(void **state)
{
	char buf[C4_FMT_BYTES];
	int32_t ranks[] = {0, 1, 2, 3, 7, 9, 10};

	(void)state;
	assert_string_equal(c4_fmt_bytes(buf, sizeof buf, 1536), "1.5 KiB");
	assert_string_equal(c4_fmt_bytes(buf, sizeof buf, 12), "12 B");
	assert_string_equal(c4_fmt_duration(buf, sizeof buf, 41000000), "41 ms");
	assert_string_equal(c4_fmt_count(buf, sizeof buf, 1234), "1.2k");
	assert_string_equal(c4_fmt_ranks(buf, sizeof buf, ranks, 7), "0-3,7,9,10");
	assert_string_equal(c4_fmt_ranks(buf, 10, ranks, 7), "0-3,7…");
	assert_string_equal(c4_fmt_time(buf, sizeof buf, 1700000000123000000u),
			    "2023-11-14T22:13:20.123Z");
}

static void test_operations_table(void **state)
{
	(void)state;
	assert_string_equal(c4_op_info(C4_OP_ALLREDUCE)->name, "AllReduce");
	assert_string_equal(c4_op_info(9999)->name, "none");
	assert_true(c4_op_bus_bytes(C4_OP_ALLREDUCE, 100, 4) == 150);
	assert_true(c4_op_bus_bytes(C4_OP_ALLGATHER, 100, 4) == 300);
	assert_true(c4_op_bus_bytes(C4_OP_BARRIER, 0, 4) == 0);
	assert_true(c4_op_alg_bytes(C4_OP_ALLREDUCE, 100, 4) == 100);
	assert_true(c4_op_alg_bytes(C4_OP_ALLGATHER, 100, 4) == 400);
	assert_true(c4_op_alg_bytes(C4_OP_ALLTOALLV, 100, 4) == 0);
	assert_true(c4_op_bus_bytes(C4_OP_ALLREDUCE, 100, 1) == 0);
}

static void test_signature_sees_what_must_agree(void **state)
{
	uint64_t a = c4_op_signature(5, C4_OP_ALLREDUCE, 100, -1);

	(void)state;
	assert_true(a == c4_op_signature(5, C4_OP_ALLREDUCE, 100, 3)); /* no root there */
	assert_true(a != c4_op_signature(6, C4_OP_ALLREDUCE, 100, -1));
	assert_true(a != c4_op_signature(5, C4_OP_ALLREDUCE, 101, -1));
	assert_true(a != c4_op_signature(5, C4_OP_ALLGATHER, 100, -1));
	assert_true(c4_op_signature(5, C4_OP_ALLGATHERV, 1, -1) ==
		    c4_op_signature(5, C4_OP_ALLGATHERV, 2, -1));
	assert_true(c4_op_signature(5, C4_OP_BCAST, 1, 0) != c4_op_signature(5, C4_OP_BCAST, 1, 1));
}

static void test_ticks_become_time(void **state)
{
	uint32_t source = c4_clock_source();
	uint64_t ticks0 = c4_ticks(source), mono0 = c4_mono_ns(), ticks1, mono1;
	struct c4_tick_rate rate;

	(void)state;
	while (c4_mono_ns() < mono0 + 50000000u)
		;
	ticks1 = c4_ticks(source);
	mono1 = c4_mono_ns();
	c4_tick_rate_init(&rate, source, ticks0, mono0);
	assert_true(c4_ticks_to_mono(&rate, ticks0) == mono0);
	assert_true(c4_ticks_to_mono(&rate, 0) == mono0);
	/* 1 % of 50 ms: preemption between the two readings of a pair is possible */
	assert_in_range(c4_ticks_to_mono(&rate, ticks1), mono1 - 500000u, mono1 + 500000u);
}

static void test_ending_mark(void **state)
{
	char dir[] = "/tmp/c4-ending.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_false(c4_ending_marked(dir, "a/b"));
	assert_int_equal(c4_ending_mark(dir, "a/b"), 0);
	assert_int_equal(c4_ending_mark(dir, "a/b"), 0);
	assert_true(c4_ending_marked(dir, "a/b"));
	assert_false(c4_ending_marked(dir, "a"));
	c4_ending_clear(dir, "a/b");
	assert_false(c4_ending_marked(dir, "a/b"));
	assert_int_equal(rmdir(dir), 0);
	assert_true(c4_ending_mark(dir, "a") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_environment_gives_defaults),
		cmocka_unit_test(test_misuse_exits_2),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_numbers_for_people),
		cmocka_unit_test(test_operations_table),
		cmocka_unit_test(test_signature_sees_what_must_agree),
		cmocka_unit_test(test_ticks_become_time),
		cmocka_unit_test(test_ending_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
