// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Everything up to exec is async-signal-safe: other threads may hold any lock. */
static void become_sidecar(pid_t parent)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0); /* it died before the kernel could promise anything */
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void run_child(const struct c4_spawn *s, pid_t parent, int error_fd)
{
	int err;

	if (s->sidecar)
		become_sidecar(parent);
	if (s->keep_fd >= 0)
		fcntl(s->keep_fd, F_SETFD, 0);
	c4_signals_restore(s->signals);
	execvpe(s->argv[0], s->argv, s->env);
	err = errno;
	if (write(error_fd, &err, sizeof err) < 0)
		_exit(126);
	_exit(127);
}

int c4_spawn(const struct c4_spawn *s, pid_t *ret_pid)
{
	pid_t self = getpid(), pid;
	int ends[2], err = 0;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		err = errno;
		close(ends[0]);
		close(ends[1]);
		return -err;
	}
	if (pid == 0)
		run_child(s, self, ends[1]);
	close(ends[1]);
	do
		n = read(ends[0], &err, sizeof err);
	while (n < 0 && errno == EINTR);
	close(ends[0]);
	if (n == sizeof err) {
		waitpid(pid, NULL, 0);
		return -err;
	}
	*ret_pid = pid;
	return 0;
}
