// SPDX-License-Identifier: BSD-3-Clause
/* Finding segments in a directory, and the lock that keeps a second agent out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/daemon/lock.h"
#include "agent/daemon/scan.h"

#define S(x) ((uint64_t)(x)*1000000000)

static char dir[64];
static struct c4_scan scan;
static enum c4_scan_verdict verdict;
static int visits;
static char visited[256];

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/c4-scan.XXXXXX");
	scan = (struct c4_scan){0};
	visits = 0;
	return !mkdtemp(dir);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	c4_scan_release(&scan);
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void make_file(const char *name)
{
	int fd = open(in_dir(name), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static enum c4_scan_verdict visit(void *arg, const char *path)
{
	(void)arg;
	visits++;
	snprintf(visited, sizeof visited, "%s", path);
	return verdict;
}

static int run(uint64_t now_ns)
{
	return c4_scan_run(&scan, dir, now_ns, &(struct c4_scan_visitor){visit, NULL});
}

static void test_taken_once(void **state)
{
	(void)state;
	make_file("1-2.seg");
	make_file("agent-n0.lock");
	make_file(".seg");
	make_file("note.txt");
	verdict = C4_SCAN_TAKEN;
	assert_int_equal(run(S(1)), 0);
	assert_int_equal(visits, 1);
	assert_string_equal(visited, in_dir("1-2.seg"));
	run(S(2));
	assert_int_equal(visits, 1);
	assert_int_equal(scan.bad, 0);
}

static void test_retry(void **state)
{
	(void)state;
	make_file("1-2.seg");
	verdict = C4_SCAN_RETRY;
	run(S(1));
	run(S(2));
	assert_int_equal(visits, 2);
	assert_int_equal(scan.bad, 0);
	run(S(60)); /* never published: counted, once, and still tried */
	run(S(61));
	assert_int_equal(visits, 4);
	assert_int_equal(scan.bad, 1);
}

static void test_bad_once(void **state)
{
	(void)state;
	make_file("1-2.seg");
	make_file("2-2.seg");
	verdict = C4_SCAN_BAD;
	run(S(1));
	run(S(2));
	assert_int_equal(visits, 2);
	assert_int_equal(scan.bad, 2);
}

/* The same name again is another file. */
static void test_comes_again(void **state)
{
	(void)state;
	make_file("1-2.seg");
	verdict = C4_SCAN_TAKEN;
	run(S(1));
	unlink(in_dir("1-2.seg"));
	run(S(2));
	assert_int_equal(scan.files.used, 0);
	make_file("1-2.seg");
	run(S(3));
	assert_int_equal(visits, 2);
}

static void test_many_vanish(void **state)
{
	char name[32];

	(void)state;
	verdict = C4_SCAN_IGNORED;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "%d-1.seg", i);
		make_file(name);
	}
	run(S(1));
	assert_int_equal(visits, 1000);
	for (int i = 0; i < 1000; i += 2) {
		snprintf(name, sizeof name, "%d-1.seg", i);
		unlink(in_dir(name));
	}
	run(S(2));
	assert_int_equal(scan.files.used, 500);
	assert_int_equal(visits, 1000);
}

static void test_no_directory(void **state)
{
	(void)state;
	rmdir(dir);
	assert_int_equal(run(S(1)), -ENOENT);
	mkdir(dir, 0700);
}

/* ---- the lock ------------------------------------------------------------------------------- */

static void test_lock(void **state)
{
	struct c4_lock a, b;

	(void)state;
	assert_int_equal(c4_lock_take(&a, dir, "rack/7"), 0);
	assert_int_equal(access(in_dir("agent-rack_7.lock"), F_OK), 0);
	assert_int_equal(c4_lock_take(&b, dir, "rack/7"), -EBUSY);
	assert_int_equal(c4_lock_take(&b, dir, "other"), 0);
	c4_lock_release(&b);
	c4_lock_release(&b);
	c4_lock_release(&a);
	assert_int_equal(access(in_dir("agent-rack_7.lock"), F_OK), -1);
	assert_int_equal(c4_lock_take(&b, dir, "rack/7"), 0);
	c4_lock_release(&b);
}

/* A killed agent leaves the file but not the lock. */
static void test_lock_of_the_dead(void **state)
{
	struct c4_lock lock;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(c4_lock_take(&lock, dir, "n0") ? 1 : 0);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(access(in_dir("agent-n0.lock"), F_OK), 0);
	assert_int_equal(c4_lock_take(&lock, dir, "n0"), 0);
	c4_lock_release(&lock);
}

static void test_lock_file_removed(void **state)
{
	struct c4_lock a, b;

	(void)state;
	assert_int_equal(c4_lock_take(&a, dir, "n0"), 0);
	assert_false(c4_lock_lost(&a));
	unlink(in_dir("agent-n0.lock"));
	assert_true(c4_lock_lost(&a));
	assert_int_equal(c4_lock_take(&b, dir, "n0"), 0);
	c4_lock_release(&a); /* must not remove the other one's */
	assert_false(c4_lock_lost(&b));
	c4_lock_release(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_taken_once),
		T(test_retry),
		T(test_bad_once),
		T(test_comes_again),
		T(test_many_vanish),
		T(test_no_directory),
		T(test_lock),
		T(test_lock_of_the_dead),
		T(test_lock_file_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
