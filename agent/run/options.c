// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c4/env.h"
#include "c4/segment.h"
#include "common/opt.h"

static struct c4_run_opts opts = {.hook_name = "auto"};

static const struct c4_opt table[] = {
	{"collector", 'c', C4_OPT_STR, &opts.collector, "HOST:PORT", C4_ENV_COLLECTOR,
	 "collector to report to; default: one of its own", 0, 0},
	{"job", 'j', C4_OPT_STR, &opts.job, "ID", C4_ENV_JOB, "job id; default: derived", 0, 0},
	{"report", 'r', C4_OPT_STR, &opts.report, "FILE", NULL, "write c4.report/v1 here", 0, 0},
	{"dry-run", 'n', C4_OPT_FLAG, &opts.dry_run, NULL, NULL,
	 "print the environment and the command, run nothing", 0, 0},
	{"hook", 0, C4_OPT_STR, &opts.hook_name, "auto|mpi|nccl|none", NULL,
	 "what to load into the job; auto: whatever it may need", 0, 0},
	{"hook-lib", 0, C4_OPT_STR, &opts.hook_lib, "FILE", NULL, "libc4mpi.so to load", 0, 0},
	{"routes", 0, C4_OPT_FLAG, &opts.routes, NULL, NULL,
	 "connections take the paths that C4_PLANNER plans; default: never", 0, 0},
	{"node", 0, C4_OPT_STR, &opts.node, "NAME", C4_ENV_NODE, "node name; default: host name", 0,
	 0},
	{"runtime-dir", 0, C4_OPT_STR, &opts.runtime_dir, "DIR", C4_ENV_RUNTIME_DIR,
	 "where segments live; default: a private one", 0, 0},
	{"store", 0, C4_OPT_STR, &opts.store, "FILE", NULL,
	 "database of its own collector; default: none", 0, 0},
	{"interval", 'i', C4_OPT_MS, &opts.interval_ms, "TIME", NULL,
	 "time between posts of its own agent, 50ms to 60s", 50, 60000},
	{"quiet", 'q', C4_OPT_FLAG, &opts.quiet, NULL, NULL, "no live line, no summary", 0, 0},
	{"verbose", 'v', C4_OPT_FLAG, &opts.verbose, NULL, NULL, "say what is started", 0, 0},
	{0}};

static const struct c4_cli cli = {
	.program = "c4run",
	.synopsis = "[OPTION]… [--] COMMAND [ARG]…",
	.about = "Runs an MPI or NCCL job, watches it, and names the rank that is slow or stuck.\n"
		 "  c4run -- mpirun -np 64 ./train     wraps the launcher\n"
		 "  mpirun -np 64 c4run ./train        wraps every rank\n"
		 "The exit status is the job's own; 127: command not found, 126: not executable.\n"
		 "It only observes: nothing is killed or drained, nor re-routed without --routes.",
	.opts = table,
};

static bool is_address(const char *s)
{
	const char *scheme = strstr(s, "://");
	const char *host = scheme ? scheme + 3 : s;
	const char *colon = strrchr(host, ':');
	char *end;
	long port;

	if (!colon || colon == host || !isdigit((unsigned char)colon[1]))
		return false;
	port = strtol(colon + 1, &end, 10);
	return !*end && port > 0 && port < 65536;
}

static bool is_name(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			return false;
	return n > 0 && n < C4_NAME_BYTES;
}

static int parse_hook(const char *s, enum c4_hook_choice *ret)
{
	static const char *const names[] = {"auto", "mpi", "nccl", "none"};

	for (unsigned int i = 0; i < 4; i++)
		if (!strcmp(s, names[i])) {
			*ret = (enum c4_hook_choice)i;
			return 0;
		}
	return -EINVAL;
}

int c4_run_options_check(struct c4_run_opts *o, char *why, unsigned long n)
{
	enum c4_hook_choice hook;

	if (!o->command || !o->command[0] || !*o->command[0])
		snprintf(why, n, "no command given");
	else if (o->collector && !is_address(o->collector))
		snprintf(why, n, "--collector: '%s' is not HOST:PORT", o->collector);
	else if (o->job && !is_name(o->job))
		snprintf(why, n, "--job: an id has 1 to %u printable characters, no blanks",
			 C4_NAME_BYTES - 1);
	else if (o->node && !is_name(o->node))
		snprintf(why, n, "--node: a name has 1 to %u printable characters, no blanks",
			 C4_NAME_BYTES - 1);
	else if (parse_hook(o->hook_name, &hook))
		snprintf(why, n, "--hook: '%s' is none of auto, mpi, nccl, none", o->hook_name);
	else if (o->hook_lib && access(o->hook_lib, R_OK))
		snprintf(why, n, "--hook-lib: '%s': %s", o->hook_lib, strerror(errno));
	else if (o->runtime_dir && o->runtime_dir[0] != '/')
		snprintf(why, n, "--runtime-dir: '%s' is not an absolute path", o->runtime_dir);
	else {
		o->hook = hook;
		return 0;
	}
	return -EINVAL;
}

void c4_run_options_parse(struct c4_run_opts *o, int argc, char **argv)
{
	char why[256];

	opts.command = argv + c4_cli_parse(&cli, argc, argv);
	if (c4_run_options_check(&opts, why, sizeof why))
		exit(c4_cli_misuse(&cli, "%s", why));
	*o = opts;
}
