// SPDX-License-Identifier: BSD-3-Clause
/* c4run: what it refuses before anything is started, and where it finds its parts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/find.h"
#include "agent/run/options.h"

static char *command[] = {(char *)(uintptr_t) "true", NULL};

static struct c4_run_opts good(void)
{
	return (struct c4_run_opts){.hook_name = "auto", .command = command};
}

static void assert_refused(struct c4_run_opts o, const char *about)
{
	char why[256] = "";

	assert_int_equal(c4_run_options_check(&o, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, about));
}

static void assert_taken(struct c4_run_opts o)
{
	char why[256] = "";

	assert_int_equal(c4_run_options_check(&o, why, sizeof why), 0);
	assert_string_equal(why, "");
}

static void test_command(void **state)
{
	char *none[] = {NULL};
	char *empty[] = {(char *)(uintptr_t) "", NULL};
	struct c4_run_opts o = good();

	(void)state;
	assert_taken(o);
	o.command = none;
	assert_refused(o, "no command");
	o.command = empty;
	assert_refused(o, "no command");
}

static void test_collector(void **state)
{
	static const char *const bad[] = {"host",   ":80",	  "host:",    "host:x",
					  "host:0", "host:65536", "host:80x", "http://:80"};
	static const char *const fine[] = {"host:80", "10.0.0.1:65535", "http://h:1", "[::1]:80"};
	struct c4_run_opts o = good();

	(void)state;
	for (unsigned int i = 0; i < sizeof bad / sizeof *bad; i++) {
		o.collector = bad[i];
		assert_refused(o, "--collector");
	}
	for (unsigned int i = 0; i < sizeof fine / sizeof *fine; i++) {
		o.collector = fine[i];
		assert_taken(o);
	}
}

static void test_names(void **state)
{
	char longest[65];
	struct c4_run_opts o = good();

	(void)state;
	memset(longest, 'j', sizeof longest);
	longest[64] = '\0';
	o.job = longest; /* segments would cut it, and then no two of us agree */
	assert_refused(o, "--job");
	longest[63] = '\0';
	assert_taken(o);
	o.job = "a b";
	assert_refused(o, "--job");
	o.job = "";
	assert_refused(o, "--job");
	o.job = NULL;
	o.node = "n\n";
	assert_refused(o, "--node");
}

static void test_files(void **state)
{
	struct c4_run_opts o = good();

	(void)state;
	o.hook_lib = "/nonexistent/libc4mpi.so";
	assert_refused(o, "--hook-lib");
	o.hook_lib = NULL;
	o.runtime_dir = "relative";
	assert_refused(o, "--runtime-dir");
}

static void test_hook_choice(void **state)
{
	struct c4_run_opts o = good();
	char why[256];

	(void)state;
	o.hook_name = "cuda";
	assert_refused(o, "--hook");
	o.hook_name = "nccl";
	assert_int_equal(c4_run_options_check(&o, why, sizeof why), 0);
	assert_int_equal(o.hook, C4_HOOK_NCCL);
	o.hook_name = "none";
	assert_int_equal(c4_run_options_check(&o, why, sizeof why), 0);
	assert_int_equal(o.hook, C4_HOOK_NONE);
}

static void test_find_in_path(void **state)
{
	char dir[] = "/tmp/c4-find.XXXXXX", plain[64], tool[64], path[128], buf[128] = "untouched";

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(plain, sizeof plain, "%s/plain", dir);
	snprintf(tool, sizeof tool, "%s/tool", dir);
	fclose(fopen(plain, "w"));
	fclose(fopen(tool, "w"));
	chmod(tool, 0700);
	snprintf(path, sizeof path, "/nonexistent::%s", dir);
	assert_int_equal(c4_find_in_path(path, "plain", buf, sizeof buf), -ENOENT);
	assert_string_equal(buf, "untouched");
	assert_int_equal(c4_find_in_path(NULL, "tool", buf, sizeof buf), -ENOENT);
	assert_int_equal(c4_find_in_path(path, "tool", buf, sizeof buf), 0);
	assert_string_equal(buf, tool);
	unlink(plain);
	unlink(tool);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),	    cmocka_unit_test(test_collector),
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_files),
		cmocka_unit_test(test_hook_choice), cmocka_unit_test(test_find_in_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
