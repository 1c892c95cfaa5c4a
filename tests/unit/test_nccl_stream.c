// SPDX-License-Identifier: BSD-3-Clause
/*
 * The NCCL plugin, as NCCL would use it: every stream of tests/nccl/streams is replayed by a
 * process that loads the plugin, once for each version of the interface; the streams say themselves
 * what must be in the segment. One test per stream. Skipped, and says why, where there is no
 * plugin.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
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

#define STREAMS	    "tests/nccl/streams"
#define SUFFIX	    ".stream"
#define STREAMS_MAX 128
#define LIMIT_S	    60
#define OLDEST	    1
#define NEWEST	    9 /* a NCCL of years to come: it takes the newest we have */
#define NEWEST_OURS 6
#define SKIPPED	    77

static char build[PATH_MAX];
static char dir[64];

static const char *why_not(void)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/lib/libnccl-profiler-c4.so", build);
	if (access(path, R_OK))
		return "no libnccl-profiler-c4.so built";
	snprintf(path, sizeof path, "%s/nccl/nccl_host", build);
	if (access(path, X_OK))
		return "no nccl_host built";
	return NULL;
}

static void empty_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof cmd, "rm -rf '%s'/*", dir);
	assert_int_equal(system(cmd), 0);
}

/* An agent seems to run: segments stay until the test has read them. */
static void announce_agent(void)
{
	char path[96];
	int fd;

	empty_dir();
	snprintf(path, sizeof path, "%s/agent-test.lock", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/c4-nccl-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	/* one process in a stream forks, and its child goes on */
	setenv("TSAN_OPTIONS", "die_after_fork=0:halt_on_error=1:atexit_sleep_ms=0", 0);
	return setenv("C4_RUNTIME_DIR", dir, 1);
}

static int teardown(void **state)
{
	(void)state;
	empty_dir();
	return rmdir(dir);
}

/* Exit status of the replay; what it said goes to the log if it failed. */
static int replay(const char *stream, int version)
{
	char cmd[3 * PATH_MAX], said[8192] = "";
	int status;
	FILE *p;

	announce_agent();
	snprintf(cmd, sizeof cmd, "timeout -k 5 %d '%s/nccl/nccl_host' --api %d '%s' 2>&1", LIMIT_S,
		 build, version, stream);
	p = popen(cmd, "r");
	assert_non_null(p);
	said[fread(said, 1, sizeof said - 1, p)] = '\0';
	while (fgetc(p) != EOF)
		; /* whatever is too much */
	status = pclose(p);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (status && status != SKIPPED)
		print_error("%s, version %d: exit status %d\n%s\n", stream, version, status, said);
	return status;
}

static void test_stream(void **state)
{
	const char *stream = *state, *why = why_not();
	int applied = 0;

	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	for (int version = OLDEST; version <= NEWEST; version++) {
		int status = replay(stream, version);

		assert_true(status == 0 || status == SKIPPED);
		applied += status == 0;
	}
	assert_true(applied > 0);
}

/* ---- the library, and its judge ----------------------------------------------------------------
 */

/* Version 7 has several meanings in the field (agent/nccl/abi.h). And dlclose must not unmap it. */
static void test_exports(void **unused)
{
	char path[PATH_MAX + 64], symbol[32];
	const char *why = why_not();
	void *library;

	(void)unused;
	if (why) {
		print_message("skipped: %s\n", why);
		skip();
	}
	snprintf(path, sizeof path, "%s/lib/libnccl-profiler-c4.so", build);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	for (int v = OLDEST - 1; v <= NEWEST; v++) {
		snprintf(symbol, sizeof symbol, "ncclProfiler_v%d", v);
		assert_int_equal(dlsym(library, symbol) != NULL, v >= OLDEST && v <= NEWEST_OURS);
	}
	assert_int_equal(dlclose(library), 0);
	assert_non_null(dlopen(path, RTLD_NOW | RTLD_NOLOAD));
}

/* The judge would see what it says that nobody does. */
static void test_guard_sees(void **unused)
{
	static const char *const rules[] = {"malloc", "syscall"};
	char cmd[PATH_MAX + 64];
	const char *why = why_not();

	(void)unused;
	for (size_t i = 0; !why && i < sizeof rules / sizeof *rules; i++) {
		int status;

		snprintf(cmd, sizeof cmd, "'%s/nccl/nccl_host' --provoke %s 2>/dev/null", build,
			 rules[i]);
		status = system(cmd);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == SKIPPED)
			why = "this machine or build cannot watch callbacks";
		else
			assert_int_equal(WEXITSTATUS(status), 1);
	}
	if (!why)
		return;
	print_message("skipped: %s\n", why);
	skip();
}

static int is_stream(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > strlen(SUFFIX) && !strcmp(d->d_name + n - strlen(SUFFIX), SUFFIX);
}

int main(void)
{
	static struct CMUnitTest tests[STREAMS_MAX + 2] = {
		cmocka_unit_test(test_exports),
		cmocka_unit_test(test_guard_sees),
	};
	static char paths[STREAMS_MAX][PATH_MAX];
	char self[PATH_MAX] = "";
	struct dirent **found;
	int n = scandir(STREAMS, &found, is_stream, alphasort);

	if (n <= 0 || n > STREAMS_MAX || readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
		fprintf(stderr, "test_nccl_stream: run it in the repository's root\n");
		return 1;
	}
	strcpy(build, dirname(dirname(self)));
	for (int i = 0; i < n; i++) {
		snprintf(paths[i], sizeof paths[i], "%s/%s", STREAMS, found[i]->d_name);
		tests[i + 2] = (struct CMUnitTest){.name = paths[i] + strlen(STREAMS) + 1,
						   .test_func = test_stream,
						   .initial_state = paths[i]};
		free(found[i]);
	}
	free(found);
	return _cmocka_run_group_tests("nccl_stream", tests, (size_t)n + 2, setup, teardown);
}
