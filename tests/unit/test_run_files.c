// SPDX-License-Identifier: BSD-3-Clause
/* c4run: the report file, the runtime directory, and who of a node's c4run is keeper. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/run/node.h"
#include "agent/run/report.h"
#include "agent/run/rundir.h"

static char dir[] = "/tmp/c4-run.XXXXXX";

static const char *at(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-run.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct c4_rundir r = {.private = true};

	(void)state;
	snprintf(r.path, sizeof r.path, "%s", dir);
	c4_rundir_remove(&r);
	return access(dir, F_OK) ? 0 : -1;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static json_t *read_json(const char *name)
{
	return json_load_file(at(name), 0, NULL);
}

static void test_report_replaces(void **state)
{
	json_t *report = c4_report_blank("job", "no collector"), *back;
	struct stat before, after;

	(void)state;
	write_file("r.json", "old");
	stat(at("r.json"), &before);
	assert_int_equal(c4_report_write(at("r.json"), report), 0);
	stat(at("r.json"), &after);
	assert_true(before.st_ino != after.st_ino); /* a reader of the old one keeps it whole */
	back = read_json("r.json");
	assert_true(json_equal(report, back));
	assert_string_equal(json_string_value(json_object_get(back, "schema")), "c4.report/v1");
	assert_string_equal(json_string_value(json_object_get(back, "error")), "no collector");
	json_decref(back);
	json_decref(report);
	report = c4_report_blank("job", NULL);
	assert_null(json_object_get(report, "error"));
	json_decref(report);
}

static void test_report_follows_links(void **state)
{
	json_t *report = c4_report_blank("job", NULL), *back;
	struct stat st;

	(void)state;
	write_file("real", "old");
	assert_int_equal(symlink("real", at("link")), 0);
	assert_int_equal(c4_report_write(at("link"), report), 0);
	assert_int_equal(lstat(at("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	back = read_json("real");
	assert_non_null(back);
	json_decref(back);
	json_decref(report);
}

static void test_report_failures(void **state)
{
	json_t *report = c4_report_blank("job", NULL);

	(void)state;
	assert_int_equal(c4_report_write("/dev/full", report), -ENOSPC);
	assert_int_equal(access("/dev/full", F_OK), 0);
	assert_int_equal(c4_report_write(at("no/such/dir"), report), -ENOENT);
	assert_int_equal(c4_report_write("/dev/null", report), 0);
	json_decref(report);
}

static void test_one_keeper(void **state)
{
	struct c4_node first, second;
	char address[64];

	(void)state;
	assert_int_equal(c4_node_join(&first, dir, false), 0);
	assert_int_equal(c4_node_join(&second, dir, true), 0);
	assert_true(first.keeper);
	assert_false(second.keeper);
	assert_true(c4_node_has_rank0(&first));

	assert_int_equal(c4_node_lookup(&second, address, sizeof address), -EAGAIN);
	assert_int_equal(c4_node_publish(&first, "127.0.0.1:5"), 0);
	assert_int_equal(c4_node_lookup(&second, address, sizeof address), 0);
	assert_string_equal(address, "127.0.0.1:5");
	assert_int_equal(c4_node_publish(&first, NULL), 0);
	assert_int_equal(c4_node_lookup(&second, address, sizeof address), 0);
	assert_string_equal(address, "");

	assert_false(c4_node_alone(&first));
	c4_node_leave(&second);
	assert_true(c4_node_alone(&first));
	assert_int_equal(c4_node_join(&second, dir, false), -EBUSY); /* too late */
	c4_node_leave(&first);
}

static void test_monitor_outlives_its_rank(void **state)
{
	struct c4_node rank, monitor, next;

	(void)state;
	assert_int_equal(c4_node_join(&rank, dir, false), 0);
	/* as after a fork: both hold the same descriptions */
	monitor = rank;
	monitor.members_fd = dup(rank.members_fd);
	monitor.keeper_fd = dup(rank.keeper_fd);
	c4_node_resign(&rank);
	assert_int_equal(c4_node_stand_by(&monitor), 0);
	assert_false(c4_node_alone(&monitor)); /* the rank is there */
	assert_int_equal(c4_node_join(&next, dir, false), 0);
	assert_false(next.keeper); /* the lock is the monitor's */
	c4_node_leave(&rank);
	assert_false(c4_node_alone(&monitor));
	c4_node_leave(&next);
	assert_true(c4_node_alone(&monitor));
	c4_node_leave(&monitor);
	c4_node_leave(&monitor);
}

static void test_new_keeper_forgets(void **state)
{
	struct c4_node node;
	char address[64];

	(void)state;
	write_file("run.collector", "127.0.0.1:7\n");
	assert_int_equal(c4_node_join(&node, dir, false), 0);
	assert_int_equal(c4_node_lookup(&node, address, sizeof address), -EAGAIN);
	assert_false(c4_node_has_rank0(&node));
	c4_node_leave(&node);
}

static void test_given_directory_stays(void **state)
{
	struct c4_rundir r;
	char given[256];

	(void)state;
	snprintf(given, sizeof given, "%s", at("given"));
	assert_int_equal(c4_rundir_make(&r, given, "job"), 0);
	assert_string_equal(r.path, given);
	c4_rundir_remove(&r);
	assert_int_equal(access(given, F_OK), 0);
	assert_int_equal(chmod(given, 0777), 0); /* anybody could plant segments */
	assert_int_equal(c4_rundir_make(&r, given, "job"), -EPERM);
	rmdir(given);
}

static void test_private_directory_goes(void **state)
{
	struct c4_rundir planned, made;
	struct stat st;
	char file[PATH_MAX + 16];

	(void)state;
	assert_int_equal(c4_rundir_plan(&planned, NULL, "c4/unit test"), 0);
	assert_int_equal(access(planned.path, F_OK), -1);
	assert_int_equal(c4_rundir_make(&made, NULL, "c4/unit test"), 0);
	assert_string_equal(made.path, planned.path);
	assert_int_equal(stat(made.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_non_null(strstr(made.path, "/c4_unit_test"));
	snprintf(file, sizeof file, "%s/left.seg", made.path);
	fclose(fopen(file, "w"));
	c4_rundir_remove(&made);
	assert_int_equal(access(made.path, F_OK), -1);
}

static void make_old(const char *name)
{
	const struct timespec day[2] = {{.tv_sec = 86400}, {.tv_sec = 86400}};

	assert_int_equal(utimensat(AT_FDCWD, at(name), day, 0), 0);
}

static void test_sweep_takes_only_what_nobody_uses(void **state)
{
	static const char *const names[] = {"left", "young", "foreign", "held"};
	int fd;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(mkdir(at(names[i]), 0700), 0);
	write_file("left/run.lock", "");
	write_file("left/1-2.seg", "x");
	write_file("young/run.lock", "");
	write_file("foreign/1-2.seg", "x"); /* not made by a c4run */
	write_file("held/run.lock", "");
	write_file("7-8.seg", "x");
	fd = open(at("held/run.lock"), O_RDWR);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	make_old("left");
	make_old("foreign");
	make_old("held");
	make_old("7-8.seg");

	assert_int_equal(c4_rundir_sweep_jobs(dir), 1);
	assert_int_equal(access(at("left"), F_OK), -1);
	assert_int_equal(access(at("young/run.lock"), F_OK), 0);
	assert_int_equal(access(at("foreign/1-2.seg"), F_OK), 0);
	assert_int_equal(access(at("held/run.lock"), F_OK), 0);
	assert_int_equal(access(at("7-8.seg"), F_OK), 0);
	close(fd);
	make_old("young");
	assert_int_equal(c4_rundir_sweep_jobs(dir), 2);
	unlink(at("foreign/1-2.seg"));
	rmdir(at("foreign"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_report_replaces),
		TEST(test_report_follows_links),
		TEST(test_report_failures),
		TEST(test_one_keeper),
		TEST(test_monitor_outlives_its_rank),
		TEST(test_new_keeper_forgets),
		TEST(test_given_directory_stays),
		TEST(test_private_directory_goes),
		TEST(test_sweep_takes_only_what_nobody_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
