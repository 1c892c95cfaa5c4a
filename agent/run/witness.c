// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/witness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void sleep_forever(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	prctl(PR_SET_NAME, "c4run-witness");
	close_range(0, ~0u, 0);
	for (;;)
		pause();
}

/* Signals are blocked before the fork, or one could slip in between. */
void c4_witness_start(struct c4_witness *w)
{
	pid_t self = getpid(), pid;
	sigset_t all, found;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &found);
	pid = fork();
	if (pid == 0)
		sleep_forever(self);
	sigprocmask(SIG_SETMASK, &found, NULL);
	w->pid = pid > 0 ? pid : 0;
}

void c4_witness_stop(struct c4_witness *w)
{
	if (!w->pid)
		return;
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	w->pid = 0;
}

/* Signals pending for the process, one bit each; 0 if that cannot be known. */
static unsigned long long pending(pid_t pid)
{
	char path[32], text[4096], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, "\nShdPnd:");
	return at ? strtoull(at + strlen("\nShdPnd:"), NULL, 16) : 0;
}

/*
 * What pends at the witness never goes away, so a fresh one takes over. A signal that comes in
 * between is seen by neither, or by the fresh one alone: it counts as the same signal, as the
 * kernel itself would have merged the two had we been slower, and the change starts anew.
 */
static void replace(struct c4_witness *w, int number)
{
	const struct timespec now = {0, 0};
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, number);
	do {
		c4_witness_stop(w);
		c4_witness_start(w);
	} while (sigtimedwait(&one, NULL, &now) == number);
}

bool c4_witness_saw(struct c4_witness *w, int number)
{
	if (!w->pid || !(pending(w->pid) >> (number - 1) & 1))
		return false;
	replace(w, number);
	return true;
}
