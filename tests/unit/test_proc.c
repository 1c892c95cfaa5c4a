// SPDX-License-Identifier: BSD-3-Clause
/* What the kernel says of processes: parsing, reading, and how one ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/pidfd.h"
#include "agent/daemon/proc.h"
#include "common/base/segment.h"

#define TAIL                                                                                       \
	" 1 2 3 0 -1 4194560 5 6 7 8 250 31 11 12 20 0 4 0 987654 4096 33 18446744073709551615 "   \
	"1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 139\n"

static void check_tail(const struct c4_proc_stat *st)
{
	assert_int_equal(st->cpu_jiffies, 281);
	assert_int_equal(st->threads, 4);
	assert_int_equal(st->start_jiffies, 987654);
	assert_int_equal(st->exit_code, 139);
}

/* A program may be called anything, also like the rest of the line. */
static void test_stat_names(void **state)
{
	static const char *const names[] = {"python3", "a b c", ") R 1 2", "((", "x) S (y", ""};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct c4_proc_stat st = {0};
		char line[512];

		snprintf(line, sizeof line, "4711 (%s) D" TAIL, names[i]);
		assert_int_equal(c4_proc_parse_stat(line, &st), 0);
		assert_int_equal(st.state, 'D');
		check_tail(&st);
	}
}

static void test_stat_malformed(void **state)
{
	static const char *const lines[] = {
		"",	   "4711",	    "4711 (x",	   "4711 (x)",
		"1 (x) R", "1 (x) R 1 2 3", "1 (x) R a b", "1 (x)R 1 2"};
	struct c4_proc_stat st = {.state = '!'};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_int_equal(c4_proc_parse_stat(lines[i], &st), -EBADMSG);
	assert_int_equal(st.state, '!');
}

/* Kernels before 3.5 end before the exit code. */
static void test_stat_short(void **state)
{
	struct c4_proc_stat st;

	(void)state;
	assert_int_equal(
		c4_proc_parse_stat("1 (x) S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 4 0 77\n", &st),
		0);
	assert_int_equal(st.start_jiffies, 77);
	assert_int_equal(st.exit_code, 0);
}

static void test_other_files(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(c4_proc_parse_schedstat("11 22 33\n", &v), 0);
	assert_int_equal(v, 22);
	assert_int_equal(c4_proc_parse_schedstat("11\n", &v), -EBADMSG);
	assert_int_equal(c4_proc_parse_io("rchar: 100\nwchar: 23\nsyscr: 1\n", &v), 0);
	assert_int_equal(v, 123);
	assert_int_equal(c4_proc_parse_io("rchar: x\n", &v), -EBADMSG);
	assert_int_equal(v, 123);
}

static void test_read_self(void **state)
{
	struct c4_proc p;

	(void)state;
	assert_int_equal(c4_proc_read((uint32_t)getpid(), &p), 0);
	assert_int_equal(p.stat.state, 'R');
	assert_true(p.stat.start_jiffies == c4_proc_start_jiffies((uint32_t)getpid()));
	assert_true(p.has_io);
	assert_true(p.io_bytes > 0);
	assert_int_equal(c4_proc_read(UINT32_MAX, &p), -ESRCH);
}

/* A child that ends by a signal or an exit code once told to. */
static pid_t child(int signo, int code)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (signo)
		raise(signo);
	_exit(code);
}

static int32_t status_of(int signo, int code, bool reap)
{
	struct pollfd p = {.events = POLLIN};
	pid_t pid = child(signo, code);
	uint64_t start = c4_proc_start_jiffies((uint32_t)pid);
	int32_t status = -1;

	p.fd = c4_pidfd_open((uint32_t)pid);
	if (p.fd < 0) { /* ended before we looked is fine, the zombie is ours; no pidfds is not */
		waitpid(pid, NULL, 0);
		skip();
	}
	assert_int_equal(poll(&p, 1, 10000), 1);
	if (reap)
		waitpid(pid, NULL, 0);
	if (!c4_pidfd_status(p.fd, (uint32_t)pid, start, &status))
		status = -2;
	close(p.fd);
	if (!reap)
		waitpid(pid, NULL, 0);
	return status;
}

static void test_status_of_zombie(void **state)
{
	(void)state;
	assert_int_equal(status_of(0, 7, false), 7 << 8);
	assert_int_equal(status_of(SIGKILL, 0, false), SIGKILL);
}

/* The parent was quicker: only newer kernels still know. */
static void test_status_when_reaped(void **state)
{
	int32_t status = status_of(SIGKILL, 0, true);

	(void)state;
	if (status == -2)
		skip();
	assert_int_equal(status, SIGKILL);
}

static void test_status_of_living(void **state)
{
	int fd = c4_pidfd_open((uint32_t)getpid());
	int32_t status = 42;

	(void)state;
	assert_false(c4_pidfd_status(fd, (uint32_t)getpid(),
				     c4_proc_start_jiffies((uint32_t)getpid()), &status));
	assert_int_equal(status, 42);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_names),	   cmocka_unit_test(test_stat_malformed),
		cmocka_unit_test(test_stat_short),	   cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_read_self),	   cmocka_unit_test(test_status_of_zombie),
		cmocka_unit_test(test_status_when_reaped), cmocka_unit_test(test_status_of_living),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
