// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/spawn.h"

#define KILL_GRACE_MS 500

void c4_sidecar_init(struct c4_sidecar *s, uv_loop_t *loop, const char *name, c4_sidecar_cb cb,
		     void *arg)
{
	*s = (struct c4_sidecar){.name = name, .cb = cb, .arg = arg, .ready_fd = -1};
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_unref((uv_handle_t *)&s->timer);
}

bool c4_sidecar_running(const struct c4_sidecar *s)
{
	return s->pid && !s->ended;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct c4_sidecar *s = handle->data;

	close(s->ready_fd);
	s->ready_fd = -1;
}

static void stop_listening(struct c4_sidecar *s)
{
	if (s->ready_fd >= 0 && !uv_is_closing((uv_handle_t *)&s->poll))
		uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static void fail(struct c4_sidecar *s)
{
	stop_listening(s);
	uv_timer_stop(&s->timer);
	if (c4_sidecar_running(s))
		kill(s->pid, SIGKILL);
	if (s->told)
		return;
	s->told = true;
	s->cb(s, C4_SIDECAR_FAILED, s->arg);
}

static void tell_ended(struct c4_sidecar *s)
{
	if (s->told)
		return;
	s->told = true;
	s->cb(s, C4_SIDECAR_ENDED, s->arg);
}

/* A process in uninterruptible sleep survives even SIGKILL: the job's end does not wait for it. */
static void on_deadline(uv_timer_t *timer)
{
	struct c4_sidecar *s = timer->data;

	if (!s->stopping) {
		fail(s);
	} else if (!s->killed) {
		s->killed = true;
		kill(s->pid, SIGKILL);
		uv_timer_start(timer, on_deadline, KILL_GRACE_MS, 0);
	} else {
		tell_ended(s);
	}
}

static void be_ready(struct c4_sidecar *s)
{
	s->line[strcspn(s->line, "\n")] = '\0';
	stop_listening(s);
	if (!s->stopping)
		uv_timer_stop(&s->timer);
	s->ready = true;
	s->cb(s, C4_SIDECAR_READY, s->arg);
}

/*
 * The line ends with a newline or with the file. End of file without anything: it is dying, and
 * how it died matters (SIGCHLD brings that), or it dropped the descriptor and the deadline decides.
 */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct c4_sidecar *s = poll->data;
	size_t room = sizeof s->line - 1 - s->line_len;
	ssize_t n = status < 0 ? 0 : read(s->ready_fd, s->line + s->line_len, room);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		s->line_len += (size_t)n;
		s->line[s->line_len] = '\0';
	}
	if (strchr(s->line, '\n') || (n <= 0 && s->line_len))
		be_ready(s);
	else if (n <= 0 || s->line_len == sizeof s->line - 1)
		stop_listening(s);
}

static int with_ready_fd(char *const *argv, int fd, char **full, char *number, size_t n)
{
	size_t k = 0;

	while (argv[k] && k < C4_SIDECAR_ARGS - 3) {
		full[k] = argv[k];
		k++;
	}
	if (argv[k])
		return -E2BIG;
	snprintf(number, n, "%d", fd);
	full[k++] = (char *)"--ready-fd";
	full[k++] = number;
	full[k] = NULL;
	return 0;
}

int c4_sidecar_start(struct c4_sidecar *s, char *const *argv, char *const *env,
		     const struct c4_signals *signals, unsigned int deadline_ms)
{
	char *full[C4_SIDECAR_ARGS], number[16];
	struct c4_spawn spawn = {.argv = full, .env = env, .signals = signals, .sidecar = true};
	int ends[2], rc;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	rc = with_ready_fd(argv, ends[1], full, number, sizeof number);
	spawn.keep_fd = ends[1];
	if (!rc)
		rc = uv_poll_init(s->timer.loop, &s->poll, ends[0]);
	if (rc)
		goto close_ends;
	s->poll.data = s;
	s->ready_fd = ends[0];
	rc = c4_spawn(&spawn, &s->pid);
	close(ends[1]);
	if (rc) {
		stop_listening(s);
		return rc;
	}
	uv_poll_start(&s->poll, UV_READABLE | UV_DISCONNECT, on_readable);
	uv_unref((uv_handle_t *)&s->poll);
	uv_timer_start(&s->timer, on_deadline, deadline_ms, 0);
	return 0;

close_ends:
	close(ends[0]);
	close(ends[1]);
	return rc;
}

bool c4_sidecar_stop(struct c4_sidecar *s, unsigned int grace_ms)
{
	if (!c4_sidecar_running(s) || s->told)
		return false;
	s->stopping = true;
	kill(s->pid, SIGTERM);
	uv_timer_start(&s->timer, on_deadline, grace_ms, 0);
	return true;
}

void c4_sidecar_reap(struct c4_sidecar *s)
{
	if (!c4_sidecar_running(s) || waitpid(s->pid, &s->status, WNOHANG) != s->pid)
		return;
	s->ended = true;
	uv_timer_stop(&s->timer);
	if (!s->ready && !s->stopping) {
		fail(s);
		return;
	}
	stop_listening(s);
	tell_ended(s);
}

const char *c4_sidecar_outcome(const struct c4_sidecar *s, char *buf, unsigned long n)
{
	if (!s->ended)
		snprintf(buf, n, "not ready in time");
	else if (WIFSIGNALED(s->status))
		snprintf(buf, n, "killed by signal %d", WTERMSIG(s->status));
	else
		snprintf(buf, n, "exit %d", WEXITSTATUS(s->status));
	return buf;
}
