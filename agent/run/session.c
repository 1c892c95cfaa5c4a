// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/run/daemons.h"
#include "agent/run/finish.h"
#include "agent/run/monitor.h"
#include "common/base/clock.h"
#include "common/ending.h"
#include "common/log.h"

#define FOLLOW_MS      3000
#define FOLLOW_LOOK_MS 10

void c4_session_go_blind(struct c4_session *s, const char *why)
{
	if (!s->plan->blind && (s->keeper || s->voice))
		c4_warn("%s: the job runs unobserved", why);
	s->plan->blind = why;
	s->trouble = why;
}

/* ---- job ------------------------------------------------------------------------------------ */

static void could_not_start(struct c4_session *s, int error)
{
	char line[PATH_MAX + 128];

	s->start_error = error;
	snprintf(line, sizeof line, "c4run: cannot run '%s': %s", s->plan->opts->command[0],
		 strerror(-error));
	c4_live_line(&s->live, line);
	c4_finish_begin(s);
}

static int start_job(struct c4_session *s)
{
	struct c4_job_env values = c4_plan_env(s->plan);
	char **env = c4_job_env_new(&values, s->plan->env);
	int rc = c4_job_start(&s->job, s->plan->opts->command, env ? env : s->plan->env,
			      &s->signals);

	c4_env_free(env);
	return rc;
}

void c4_session_go(struct c4_session *s)
{
	uint64_t now_ns = c4_mono_ns();
	int rc = 0;

	s->stage = C4_STAGE_RUN;
	if (s->monitor)
		c4_monitor_run(s);
	else
		rc = start_job(s);
	if (rc)
		could_not_start(s, rc);
	else if (s->voice && s->api)
		c4_watch_start(&s->watch, &s->loop, s->api, &s->live, s->plan->collector,
			       s->plan->job, now_ns);
}

/* A rank learns its collector from the keeper's monitor; it does not wait for ever. */
static void on_follow(uv_timer_t *timer)
{
	struct c4_session *s = timer->data;
	char address[sizeof s->plan->collector];

	if (!c4_node_lookup(&s->node, address, sizeof address)) {
		if (*address)
			snprintf(s->plan->collector, sizeof s->plan->collector, "%s", address);
		else
			c4_session_go_blind(s, "this node has no collector");
	} else if (c4_mono_ns() < s->deadline_ns) {
		uv_timer_start(timer, on_follow, FOLLOW_LOOK_MS, 0);
		return;
	}
	c4_session_go(s);
}

static void begin(struct c4_session *s)
{
	bool follows = s->joined && !s->monitor;

	if (follows && s->plan->embedded && !s->plan->blind) {
		s->deadline_ns = c4_mono_ns() + FOLLOW_MS * 1000000ull;
		on_follow(&s->timer);
	} else {
		c4_daemons_start(s);
	}
}

/* ---- signals -------------------------------------------------------------------------------- */

static bool ends_us(int number)
{
	return number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT;
}

/*
 * The job stopped. On a terminal the shell has to see us stopped as well, or ^Z would not bring
 * the prompt back. Elsewhere a stopped rank is what we are here to watch.
 */
static void follow_stop(struct c4_session *s, int number)
{
	bool job_control = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;

	if (!job_control || (!isatty(STDIN_FILENO) && !isatty(STDERR_FILENO)))
		return;
	c4_live_clear(&s->live);
	c4_signals_stop(number);
}

static void on_child(struct c4_session *s)
{
	int stopped = c4_job_reap(&s->job);

	c4_daemons_reap(s);
	if (s->stage == C4_STAGE_LINGER)
		c4_finish_advance(s);
	else if (s->job.ended && s->stage == C4_STAGE_RUN)
		c4_finish_begin(s);
	else if (stopped)
		follow_stop(s, stopped);
}

/* Told to end before the job began: then it never does, and we end as told. */
static void end_early(struct c4_session *s, int number)
{
	s->job.ended = true;
	s->job.status = number;
	c4_finish_begin(s);
}

/*
 * Before the signal is passed on: the ranks' deaths may be seen within a millisecond. A rank's
 * wrapper is told by the launcher, as all are after a crash: that proves nothing.
 */
static void mark_ending(const struct c4_session *s)
{
	const struct c4_plan *p = s->plan;

	if (p->launch.shape == C4_SHAPE_LAUNCHER && s->stage == C4_STAGE_RUN && !p->blind)
		c4_ending_mark(p->dir.path, p->job);
}

static void on_signal(struct c4_session *s, const struct c4_signal *signal)
{
	if (signal->number == SIGCHLD) {
		on_child(s);
		return;
	}
	if (ends_us(signal->number))
		mark_ending(s);
	if (!s->monitor)
		c4_relay_take(&s->relay, signal);
	if (!ends_us(signal->number))
		return;
	if (s->stage == C4_STAGE_BEGIN)
		end_early(s, signal->number);
	else if (s->stage == C4_STAGE_RUN)
		c4_finish_report_now(s);
	else
		c4_finish_hurry(s);
}

static void on_signal_readable(uv_poll_t *poll, int status, int events)
{
	struct c4_session *s = poll->data;
	struct c4_signal signal;

	(void)status;
	(void)events;
	while (c4_signals_read(&s->signals, &signal))
		on_signal(s, &signal);
}

/* ---- life ----------------------------------------------------------------------------------- */

static int open_loop(struct c4_session *s)
{
	int rc = uv_loop_init(&s->loop);

	if (!rc)
		rc = uv_poll_init(&s->loop, &s->signal_poll, s->signals.fd);
	if (rc)
		return rc;
	s->signal_poll.data = s;
	uv_poll_start(&s->signal_poll, UV_READABLE, on_signal_readable);
	uv_timer_init(&s->loop, &s->timer);
	s->timer.data = s;
	c4_daemons_init(s);
	if (!s->monitor)
		c4_relay_init(&s->relay, &s->loop, &s->job);
	return 0;
}

/* No loop, no wrapper: be the command itself. */
static int run_plainly(struct c4_session *s, int error)
{
	char **command = s->plan->opts->command;

	c4_warn("event loop: %s: the job runs unobserved", strerror(-error));
	if (s->monitor)
		return 1;
	c4_signals_restore(&s->signals);
	execvp(command[0], command);
	return c4_job_exit_code(-errno);
}

static void release(struct c4_session *s)
{
	/* a question still under way has a time limit of its own */
	while (!c4_api_idle(s->api))
		uv_run(&s->loop, UV_RUN_ONCE);
	c4_api_free(s->api);
	c4_watch_release(&s->watch);
	json_decref(s->report);
	c4_live_clear(&s->live);
	if (!s->monitor)
		c4_relay_release(&s->relay);
	if (s->keeper)
		c4_rundir_remove(&s->plan->dir);
	if (s->joined)
		c4_node_leave(&s->node);
}

int c4_session_run(struct c4_session *s, struct c4_plan *plan)
{
	int rc;

	*s = (struct c4_session){.plan = plan};
	rc = c4_signals_init(&s->signals);
	if (rc)
		return run_plainly(s, rc);
	c4_monitor_prepare(s);
	rc = open_loop(s);
	if (rc)
		return run_plainly(s, rc);
	c4_live_init(&s->live, STDERR_FILENO, !plan->opts->quiet && !s->monitor);
	begin(s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	release(s);
	if (s->monitor)
		return 0;
	if (s->start_error)
		return c4_job_exit_code(s->start_error);
	c4_job_end_as(&s->job);
}
