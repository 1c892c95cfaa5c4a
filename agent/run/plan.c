// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/run/find.h"

#define HOOK_LIBRARY "libc4mpi.so"
#define ANY_PORT     "127.0.0.1:0"

static void name_job(struct c4_plan *p)
{
	const struct c4_run_opts *o = p->opts;

	if (o->job)
		snprintf(p->job, sizeof p->job, "%s", o->job);
	else if (p->launch.shape == C4_SHAPE_RANK)
		snprintf(p->job, sizeof p->job, "%s", p->launch.id);
	else
		c4_job_name(p->job, sizeof p->job, o->command[0], (long)time(NULL), (long)getpid());
}

/* ld.so splits LD_PRELOAD at blanks and colons and has no way to escape them. */
static bool can_preload(const char *path)
{
	return !strpbrk(path, ": \t\n");
}

static void choose_hook(struct c4_plan *p)
{
	const struct c4_run_opts *o = p->opts;
	char found[PATH_MAX];

	if (o->hook == C4_HOOK_NONE)
		return;
	if (o->hook_lib ? !realpath(o->hook_lib, found)
			: c4_find_library(HOOK_LIBRARY, found, sizeof found) != 0)
		p->blind = HOOK_LIBRARY " is not installed beside c4run";
	else if (!can_preload(found))
		p->blind = "the path of " HOOK_LIBRARY " has a blank or a colon";
	else
		memcpy(p->hook, found, strlen(found) + 1);
}

/*
 * Ranks of one launch meet in one directory, whatever job id the user gave them; two launchers
 * stay apart, even if he gave both the same.
 */
static void name_directory(struct c4_plan *p)
{
	if (p->launch.shape == C4_SHAPE_RANK)
		snprintf(p->dir_name, sizeof p->dir_name, "%s", p->launch.id);
	else if (p->opts->job)
		snprintf(p->dir_name, sizeof p->dir_name, "%.40s-%ld", p->job, (long)getpid());
	else
		snprintf(p->dir_name, sizeof p->dir_name, "%s", p->job);
}

void c4_plan_make(struct c4_plan *p, const struct c4_run_opts *opts, char *const *env)
{
	*p = (struct c4_plan){.opts = opts, .env = env, .embedded = !opts->collector};
	c4_launch_detect(&p->launch, env, opts->command[0], (long)getppid());
	name_job(p);
	choose_hook(p);
	snprintf(p->collector, sizeof p->collector, "%s",
		 opts->collector ? opts->collector : ANY_PORT);
	name_directory(p);
	if (c4_rundir_plan(&p->dir, opts->runtime_dir, p->dir_name) && !p->blind)
		p->blind = "no directory for shared memory can be written to";
}

struct c4_job_env c4_plan_env(const struct c4_plan *p)
{
	struct c4_job_env e = {.job = p->job, .node = p->opts->node};

	if (p->blind)
		return e;
	e.hook = *p->hook ? p->hook : NULL;
	e.runtime_dir = p->dir.path;
	e.collector = p->collector;
	return e;
}
