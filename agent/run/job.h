/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * job.h - the user's command as our child: same descriptors, same process group, same signals.
 * Knows how it ended and how we have to end so that nobody sees a difference. Main thread.
 */
#ifndef C4_RUN_JOB_H
#define C4_RUN_JOB_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/run/signals.h"

struct c4_job {
	pid_t pid; /* 0: not started */
	bool ended;
	int status; /* as waitpid(2), once ended */
};

/* 0 or a negative errno; the job is not started then. */
int c4_job_start(struct c4_job *j, char *const *argv, char *const *env,
		 const struct c4_signals *signals);

/* To be called on SIGCHLD. Returns the signal that has just stopped the job, else 0. */
int c4_job_reap(struct c4_job *j);

/* Passes a signal on. */
void c4_job_signal(const struct c4_job *j, int number);

/* Exit code for a command that could not be started, as shells have it. */
int c4_job_exit_code(int error);

/* "exit 0", "exit 3", "killed by SIGKILL" */
const char *c4_job_outcome(const struct c4_job *j, char *buf, unsigned long n);

/* Ends this process as the job ended. */
_Noreturn void c4_job_end_as(const struct c4_job *j);

#endif
