// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/spawn.h"

int c4_job_start(struct c4_job *j, char *const *argv, char *const *env,
		 const struct c4_signals *signals)
{
	const struct c4_spawn s = {.argv = argv, .env = env, .signals = signals, .keep_fd = -1};

	return c4_spawn(&s, &j->pid);
}

int c4_job_reap(struct c4_job *j)
{
	int status, stopped = 0;

	while (j->pid && !j->ended && waitpid(j->pid, &status, WNOHANG | WUNTRACED) == j->pid) {
		if (WIFSTOPPED(status)) {
			stopped = WSTOPSIG(status);
			continue;
		}
		j->status = status;
		j->ended = true;
		stopped = 0;
	}
	return stopped;
}

void c4_job_signal(const struct c4_job *j, int number)
{
	/* not reaped yet, so the pid is still its own */
	if (j->pid && !j->ended)
		kill(j->pid, number);
}

int c4_job_exit_code(int error)
{
	return error == -ENOENT || error == -ENOTDIR ? 127 : 126;
}

const char *c4_job_outcome(const struct c4_job *j, char *buf, unsigned long n)
{
	if (!j->pid)
		snprintf(buf, n, "not started");
	else if (!j->ended)
		snprintf(buf, n, "running");
	else if (WIFSIGNALED(j->status))
		snprintf(buf, n, "killed by SIG%s",
			 sigabbrev_np(WTERMSIG(j->status)) ? sigabbrev_np(WTERMSIG(j->status))
							   : "?");
	else
		snprintf(buf, n, "exit %d", WEXITSTATUS(j->status));
	return buf;
}

void c4_job_end_as(const struct c4_job *j)
{
	if (WIFSIGNALED(j->status)) {
		c4_signals_die(WTERMSIG(j->status));
		exit(128 + WTERMSIG(j->status));
	}
	exit(WEXITSTATUS(j->status));
}
