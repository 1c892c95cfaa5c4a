// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "c4/env.h"
#include "common/find.h"

#define ANY_PORT "127.0.0.1:0"

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

static void add_preload(struct c4_plan *p, const char *path)
{
	size_t len = strlen(p->preload);

	snprintf(p->preload + len, sizeof p->preload - len, "%s%s", len ? ":" : "", path);
}

static void choose_mpi(struct c4_plan *p)
{
	const struct c4_run_opts *o = p->opts;
	char found[PATH_MAX];

	if (o->hook_lib ? !realpath(o->hook_lib, found)
			: c4_find_library(C4_LIB_MPI, found, sizeof found) != 0)
		p->blind = C4_LIB_MPI " is not installed beside c4run";
	else if (!can_preload(found))
		p->blind = "the path of " C4_LIB_MPI " has a blank or a colon";
	else
		add_preload(p, found);
}

/* NCCL knows one plugin, and the user may have his own: ours passes everything on to that. */
static void choose_profiler(struct c4_plan *p, const char *path)
{
	const char *users = c4_env_get(p->env, C4_ENV_NCCL_PROFILER);
	const char *next = c4_env_get(p->env, C4_ENV_NEXT_PROFILER);
	bool keep = users && *users && strcmp(users, path) != 0 && strcmp(users, "none") != 0;

	snprintf(p->profiler, sizeof p->profiler, "%s", path);
	if (keep && !(next && *next))
		p->next_profiler = users;
}

/* A job that uses no NCCL does not notice either of the two. */
static void choose_nccl(struct c4_plan *p)
{
	bool wanted = p->opts->hook == C4_HOOK_NCCL;
	char found[PATH_MAX];

	if (!c4_find_library(C4_LIB_NCCL_PROFILER, found, sizeof found))
		choose_profiler(p, found);
	else if (wanted)
		p->blind = C4_LIB_NCCL_PROFILER " is not installed beside c4run";
	if (!c4_find_library(C4_LIB_NCCL_API, found, sizeof found) && can_preload(found))
		add_preload(p, found);
	else if (wanted)
		p->blind = C4_LIB_NCCL_API " is not installed beside c4run";
}

/* Only when told to: c4 by itself does not change where a connection goes. */
static void choose_routes(struct c4_plan *p)
{
	char found[PATH_MAX];

	if (!c4_find_library(C4_LIB_ROUTE, found, sizeof found) && can_preload(found))
		add_preload(p, found);
	else
		p->blind = C4_LIB_ROUTE " is not installed beside c4run";
}

static void choose_hooks(struct c4_plan *p)
{
	enum c4_hook_choice hook = p->opts->hook;

	if (hook == C4_HOOK_AUTO || hook == C4_HOOK_MPI)
		choose_mpi(p);
	if (hook == C4_HOOK_AUTO || hook == C4_HOOK_NCCL)
		choose_nccl(p);
	if (p->opts->routes)
		choose_routes(p);
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
	choose_hooks(p);
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
	e.preload = *p->preload ? p->preload : NULL;
	e.profiler = *p->profiler ? p->profiler : NULL;
	e.next_profiler = p->next_profiler;
	e.runtime_dir = p->dir.path;
	e.collector = p->collector;
	return e;
}
