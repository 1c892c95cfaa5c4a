// SPDX-License-Identifier: BSD-3-Clause
/*
 * nccl_host - stands in for a program with NCCL: loads a profiler plugin as NCCL does and replays a
 * stream of events (stream.h) into it.
 *
 *   nccl_host [--plugin FILE] [--api N] [--set NAME=N]… [--dump] [--verbose] [--linger S] STREAM
 *   nccl_host --ranks N [--nodes M] … STREAM     N processes of itself, started like a job
 *   nccl_host --provoke syscall|malloc           must fail: what no callback may do (guard.h) is
 * seen
 *
 * --linger: stays that long after the stream's last event, as a program does that hangs.
 * STREAM may hold %d, which becomes the rank. Exit status: 0; 1 the stream failed; 2 misuse;
 * 77 the stream says that it does not apply, or --provoke that it is not watched over here.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/nccl/core.h"
#include "tests/nccl/expect.h"
#include "tests/nccl/guard.h"
#include "tests/nccl/play.h"

#define RANKS_MAX 64
#define SETS_MAX  16
#define LEAD_NS	  200000000 /* until all ranks of a job are up */

struct options {
	struct core_options core;
	int ranks, nodes;
	bool dump;
	unsigned int linger_s;
	uint64_t start_ns; /* the origin, CLOCK_MONOTONIC; 0: now */
	const char *set[SETS_MAX];
	int sets;
	const char *stream;
};

static _Noreturn void misuse(const char *what)
{
	fprintf(stderr, "nccl_host: %s (see the head of tests/nccl/main.c)\n", what);
	exit(2);
}

/* Ends the program if it is seen. */
static int provoke(const char *rule)
{
	guard_setup();
	if (!(guard_watches() & (strcmp(rule, "malloc") ? GUARD_SYSCALLS : GUARD_MEMORY)))
		return 77;
	guard_provoke(rule);
	return 0;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{"plugin", 1, NULL, 'p'},  {"api", 1, NULL, 'a'},     {"ranks", 1, NULL, 'r'},
		{"nodes", 1, NULL, 'n'},   {"set", 1, NULL, 's'},     {"dump", 0, NULL, 'd'},
		{"start", 1, NULL, 't'},   {"verbose", 0, NULL, 'v'}, {"linger", 1, NULL, 'l'},
		{"provoke", 1, NULL, 'P'}, {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'p': o->core.plugin = optarg; break;
		case 'a': o->core.newest = atoi(optarg); break;
		case 'r': o->ranks = atoi(optarg); break;
		case 'n': o->nodes = atoi(optarg); break;
		case 't': o->start_ns = strtoull(optarg, NULL, 10); break;
		case 'l': o->linger_s = (unsigned int)atoi(optarg); break;
		case 'd': o->dump = true; break;
		case 'P': exit(provoke(optarg));
		case 'v': o->core.verbose = true; break;
		case 's':
			if (o->sets == SETS_MAX)
				misuse("too many --set");
			o->set[o->sets++] = optarg;
			break;
		default: misuse("unknown option");
		}
	}
	if (optind + 1 != argc || o->core.newest < ABI_OLDEST || o->core.newest > ABI_ASKED ||
	    o->ranks < 0 || o->ranks > RANKS_MAX || o->nodes < 0)
		misuse("bad arguments");
	o->stream = argv[optind];
}

/* The plugin of the build this program belongs to. */
static const char *own_plugin(void)
{
	static char path[2 * PATH_MAX];
	char self[PATH_MAX] = "";

	if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		misuse("no /proc");
	snprintf(path, sizeof path, "%s/lib/libnccl-profiler-c4.so", dirname(dirname(self)));
	return path;
}

/* ---- one process per rank ----------------------------------------------------------------------
 */

static void set_number(const char *name, const char *prefix, int value)
{
	char text[32];

	snprintf(text, sizeof text, "%s%d", prefix, value);
	setenv(name, text, 1);
}

/* Becomes this rank: the same command line, told when to begin. */
static _Noreturn void become(const struct options *o, int rank, char **argv, int argc)
{
	int nodes = o->nodes ? o->nodes : o->ranks;
	char start[48], **line = calloc((size_t)argc + 2, sizeof *line);

	if (!line)
		abort();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_number("RANK", "", rank);
	set_number("WORLD_SIZE", "", o->ranks);
	set_number("C4_NODE", "n", rank * nodes / o->ranks);
	setenv("C4_JOB", "nccl-replay", 0);
	snprintf(start, sizeof start, "--start=%llu", (unsigned long long)o->start_ns);
	line[0] = argv[0];
	line[1] = start;
	memcpy(line + 2, argv + 1, (size_t)(argc - 1) * sizeof *line);
	execv("/proc/self/exe", line);
	_exit(2);
}

static int first_failure(int ranks)
{
	int status, failed = 0;

	while (ranks--) {
		if (wait(&status) < 0)
			return 2;
		if (!failed && status)
			failed = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return failed;
}

static int run_job(struct options *o, int argc, char **argv)
{
	o->start_ns = c4_mono_ns() + LEAD_NS;
	for (int rank = 0; rank < o->ranks; rank++) {
		pid_t pid = fork();

		if (pid < 0)
			misuse(strerror(errno));
		if (!pid)
			become(o, rank, argv, argc);
	}
	return first_failure(o->ranks);
}

/* ---- this rank ---------------------------------------------------------------------------------
 */

static void set_variables(struct player *p, const struct options *o)
{
	const struct stmt from = {.file = "--set", .line = 0};

	for (int i = 0; i < o->sets; i++) {
		char name[NAME_MAX_], *value = strchr(o->set[i], '=');

		if (!value)
			misuse("--set NAME=N");
		snprintf(name, sizeof name, "%.*s", (int)(value - o->set[i]), o->set[i]);
		player_let(p, &from, name, player_eval(p, &from, value + 1));
	}
}

static void stream_path(char *path, size_t n, const char *pattern)
{
	const char *rank = getenv("RANK"), *hole = strstr(pattern, "%d");

	if (!hole)
		snprintf(path, n, "%s", pattern);
	else
		snprintf(path, n, "%.*s%s%s", (int)(hole - pattern), pattern, rank ? rank : "0",
			 hole + 2);
}

static void run_rank(const struct options *o)
{
	static struct player p;
	static struct stream s;
	char path[PATH_MAX];

	stream_path(path, sizeof path, o->stream);
	stream_read(&s, path);
	core_setup(&o->core);
	player_init(&p, &s, o->start_ns ? o->start_ns : c4_mono_ns());
	set_variables(&p, o);
	player_run(&p);
	if (o->dump)
		expect_dump(&p);
	sleep(o->linger_s);
}

int main(int argc, char **argv)
{
	struct options o = {.core = {.newest = 5}};

	parse(&o, argc, argv);
	if (!o.core.plugin)
		o.core.plugin = own_plugin();
	if (o.ranks && !o.start_ns)
		return run_job(&o, argc, argv);
	run_rank(&o);
	return 0;
}
