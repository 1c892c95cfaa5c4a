/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * plan.h - what c4run is going to do, decided before anything is started: --dry-run prints it, a
 * session carries it out. Reads the environment and looks for files, changes nothing.
 */
#ifndef C4_RUN_PLAN_H
#define C4_RUN_PLAN_H

#include <limits.h>
#include <stdbool.h>

#include "agent/run/env.h"
#include "agent/run/options.h"
#include "agent/run/rundir.h"
#include "agent/run/shape.h"

struct c4_plan {
	const struct c4_run_opts *opts;
	char *const *env; /* ours, as found */
	struct c4_launch launch;
	char job[C4_NAME_BYTES];
	char preload[3 * PATH_MAX];   /* libraries, separated by colons; empty: none */
	char profiler[PATH_MAX];      /* NCCL's plugin; empty: none */
	const char *next_profiler;    /* the user's own; NULL: none */
	const char *blind;	      /* why the job cannot be observed, NULL if it can */
	char dir_name[C4_NAME_BYTES]; /* of a private runtime directory */
	struct c4_rundir dir;	      /* planned, not made */
	char collector[256];	      /* HOST:PORT; port 0 stands for "a free one" */
	bool embedded;		      /* the collector is our own */
};

void c4_plan_make(struct c4_plan *p, const struct c4_run_opts *opts, char *const *env);

/* The variables of the job; pointers into the plan. */
struct c4_job_env c4_plan_env(const struct c4_plan *p);

#endif
