// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/signals.h"

#include <errno.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int forwarded[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,  SIGUSR1, SIGUSR2,
				SIGCONT, SIGTSTP, SIGALRM, SIGWINCH, SIGXCPU};

/*
 * A signal that was ignored when we started stays ignored, in us and in the job (nohup). SIGCHLD
 * is ours to need whatever it was.
 */
static void wanted_set(sigset_t *set)
{
	struct sigaction found;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		if (!sigaction(forwarded[i], NULL, &found) && found.sa_handler != SIG_IGN)
			sigaddset(set, forwarded[i]);
	sigaddset(set, SIGCHLD);
}

int c4_signals_init(struct c4_signals *s)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t wanted, blocked;

	wanted_set(&wanted);
	sigaction(SIGPIPE, &ignore, &s->found_pipe);
	sigaction(SIGCHLD, &plain, &s->found_child);
	blocked = wanted;
	/* a status line written from the background must not stop us under "stty tostop" */
	sigaddset(&blocked, SIGTTOU);
	sigprocmask(SIG_BLOCK, &blocked, &s->found_mask);
	s->fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

bool c4_signals_read(const struct c4_signals *s, struct c4_signal *ret)
{
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof info) != sizeof info)
		return false;
	ret->number = (int)info.ssi_signo;
	ret->from_terminal = info.ssi_code == SI_KERNEL;
	ret->sender = (int)info.ssi_pid;
	return true;
}

void c4_signals_restore(const struct c4_signals *s)
{
	sigaction(SIGPIPE, &s->found_pipe, NULL);
	sigaction(SIGCHLD, &s->found_child, NULL);
	sigprocmask(SIG_SETMASK, &s->found_mask, NULL);
}

/*
 * Raised while still blocked: the terminal's own ^Z may be pending as well, and then both are one
 * stop, with SIGCONT dropping what is left. The other way round it would stop us twice.
 */
static void take_default(int number)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t one;

	sigaction(number, &plain, NULL);
	raise(number);
	sigemptyset(&one);
	sigaddset(&one, number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

void c4_signals_die(int number)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	take_default(number);
}

void c4_signals_stop(int number)
{
	sigset_t found;

	sigprocmask(SIG_BLOCK, NULL, &found);
	take_default(number);
	sigprocmask(SIG_SETMASK, &found, NULL);
}
