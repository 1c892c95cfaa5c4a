/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * env.h - the variables c4run sets for the job, written once: exec and --dry-run use the same
 * list. An environment is a NULL-terminated array of "VAR=value" in one allocation per string.
 */
#ifndef C4_RUN_ENV_H
#define C4_RUN_ENV_H

#include "common/buf.h"

/* NULL members are left as the user has them. */
struct c4_job_env {
	const char *preload;	   /* libraries to preload, separated by colons */
	const char *profiler;	   /* NCCL's profiler plugin */
	const char *next_profiler; /* the user's own, which ours passes everything on to */
	const char *job;
	const char *runtime_dir;
	const char *collector;
	const char *node;
};

/* base with our variables set or replaced; NULL when out of memory. */
char **c4_job_env_new(const struct c4_job_env *e, char *const *base);

/*
 * For our own daemons: base without LD_PRELOAD (a hook must not watch its watcher), with C4_LOG
 * set to level unless the user chose one.
 */
char **c4_sidecar_env_new(char *const *base, const char *level);

void c4_env_free(char **env);

/* What --dry-run prints: one VAR=value line per variable we set, then the command, each quoted
 * for a shell where it must be. */
void c4_job_env_print(const struct c4_job_env *e, char *const *base, char *const *command,
		      struct c4_buf *out);

#endif
