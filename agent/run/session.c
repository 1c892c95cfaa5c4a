// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/find.h"
#include "agent/run/finish.h"
#include "common/base/clock.h"
#include "common/log.h"

#define READY_MS	 3000
#define FOLLOW_MS	 3000
#define FOLLOW_LOOK_MS	 10
#define HTTP_MS		 2000
#define AGENT_LOCK_TAKEN 3 /* c4agent's exit status when another one serves the directory */

/* One process per node speaks about what concerns all of its ranks. */
static bool speaks(const struct c4_session *s)
{
	return s->keeper || s->voice;
}

/* Something of ours does not work: say so once, go on without. */
static void go_blind(struct c4_session *s, const char *why)
{
	if (!s->plan->blind && speaks(s))
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

static void start_job(struct c4_session *s)
{
	struct c4_job_env values = c4_plan_env(s->plan);
	char **env = c4_job_env_new(&values, s->plan->env);
	uint64_t now_ns = c4_mono_ns();
	int rc;

	s->stage = C4_STAGE_RUN;
	rc = c4_job_start(&s->job, s->plan->opts->command, env ? env : s->plan->env, &s->signals);
	c4_env_free(env);
	if (rc) {
		could_not_start(s, rc);
		return;
	}
	if (s->voice && s->api)
		c4_watch_start(&s->watch, &s->loop, s->api, &s->live, s->plan->collector,
			       s->plan->job, now_ns);
}

/* ---- daemons -------------------------------------------------------------------------------- */

static int launch(struct c4_session *s, struct c4_sidecar *sidecar, char **argv)
{
	static char program[2][PATH_MAX];
	char *path = program[sidecar == &s->agent];
	/* what they would warn of (nobody answers, nothing to read) we say ourselves, once */
	char **env = c4_sidecar_env_new(s->plan->env, s->plan->opts->verbose ? "info" : "error");
	int rc = env ? c4_find_program(sidecar->name, path, PATH_MAX) : -ENOMEM;

	argv[0] = path;
	if (!rc)
		rc = c4_sidecar_start(sidecar, argv, env, &s->signals, READY_MS);
	c4_env_free(env);
	if (!rc)
		c4_debug("started %s, pid %d", path, (int)sidecar->pid);
	return rc;
}

static int start_collector(struct c4_session *s)
{
	const struct c4_run_opts *o = s->plan->opts;
	/* its default would be the site's store: a job of our own has nothing to write there */
	char *argv[C4_SIDECAR_ARGS] = {NULL, (char *)"--listen", (char *)s->plan->collector,
				       (char *)"--store", (char *)(o->store ? o->store : "none")};

	return launch(s, &s->collector, argv);
}

static int start_agent(struct c4_session *s)
{
	const struct c4_run_opts *o = s->plan->opts;
	char every[32];
	char *argv[C4_SIDECAR_ARGS] = {NULL,
				       (char *)"--collector",
				       s->plan->collector,
				       (char *)"--runtime-dir",
				       s->plan->dir.path,
				       (char *)"--any-node"};
	unsigned int n = 6;

	if (o->node) {
		argv[n++] = (char *)"--node";
		argv[n++] = (char *)o->node;
	}
	if (o->interval_ms) {
		snprintf(every, sizeof every, "%lldms", (long long)o->interval_ms);
		argv[n++] = (char *)"--interval";
		argv[n++] = every;
	}
	return launch(s, &s->agent, argv);
}

/* With the collector's address known, or given up (s->plan->blind), nothing holds the job back. */
static void begin_with_address(struct c4_session *s)
{
	int rc;

	if (s->plan->blind) {
		start_job(s);
		return;
	}
	s->api = speaks(s) ? c4_api_new(&s->loop, s->plan->collector) : NULL;
	rc = s->keeper ? start_agent(s) : 0;
	if (rc) {
		go_blind(s, "c4agent cannot be started");
		c4_debug("c4agent: %s", strerror(-rc));
	}
	start_job(s);
}

/* It writes HOST:PORT, or the port alone. */
static bool take_address(struct c4_session *s, const char *line)
{
	const char *port = strrchr(line, ':');
	char *end;
	long number;

	port = port ? port + 1 : line;
	number = strtol(port, &end, 10);
	if (end == port || number <= 0 || number > 65535)
		return false;
	snprintf(s->plan->collector, sizeof s->plan->collector, "127.0.0.1:%ld", number);
	return true;
}

static void on_collector_known(struct c4_session *s, bool good)
{
	if (!good)
		go_blind(s, "c4collector does not start");
	if (s->joined)
		c4_node_publish(&s->node, good ? s->plan->collector : NULL);
	begin_with_address(s);
}

static void on_collector(struct c4_sidecar *sidecar, enum c4_sidecar_event what, void *arg)
{
	struct c4_session *s = arg;
	char how[64];

	if (what == C4_SIDECAR_READY && s->stage == C4_STAGE_BEGIN)
		on_collector_known(s, take_address(s, sidecar->line));
	else if (what == C4_SIDECAR_FAILED && s->stage == C4_STAGE_BEGIN)
		on_collector_known(s, false);
	else if (s->stage >= C4_STAGE_LINGER)
		c4_finish_advance(s);
	else if (what == C4_SIDECAR_ENDED)
		c4_warn("c4collector ended (%s): the job goes on unobserved",
			c4_sidecar_outcome(sidecar, how, sizeof how));
}

static bool lock_taken(const struct c4_sidecar *agent)
{
	return agent->ended && WIFEXITED(agent->status) &&
	       WEXITSTATUS(agent->status) == AGENT_LOCK_TAKEN;
}

static void on_agent(struct c4_sidecar *sidecar, enum c4_sidecar_event what, void *arg)
{
	struct c4_session *s = arg;
	char how[64];

	if (what == C4_SIDECAR_READY)
		return;
	if (s->stage >= C4_STAGE_LINGER)
		c4_finish_advance(s);
	else if (lock_taken(sidecar))
		c4_debug("this node has an agent already");
	else
		c4_warn("c4agent %s (%s): the job goes on unobserved",
			what == C4_SIDECAR_FAILED ? "does not start" : "ended",
			c4_sidecar_outcome(sidecar, how, sizeof how));
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

	c4_sidecar_reap(&s->collector);
	c4_sidecar_reap(&s->agent);
	if (s->job.ended && s->stage == C4_STAGE_RUN)
		c4_finish_begin(s);
	else if (stopped)
		follow_stop(s, stopped);
}

static void on_signal(struct c4_session *s, const struct c4_signal *signal)
{
	if (signal->number == SIGCHLD) {
		on_child(s);
		return;
	}
	if (!signal->from_terminal && !c4_witness_saw(&s->witness, signal->number))
		c4_job_signal(&s->job, signal->number);
	if (!ends_us(signal->number))
		return;
	if (s->stage == C4_STAGE_RUN)
		c4_finish_report_now(s);
	else if (s->stage == C4_STAGE_BEGIN)
		c4_signals_die(signal->number);
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

/* ---- begin ---------------------------------------------------------------------------------- */

static void on_follow(uv_timer_t *timer)
{
	struct c4_session *s = timer->data;
	char address[sizeof s->plan->collector];

	if (!c4_node_lookup(&s->node, address, sizeof address)) {
		if (*address)
			snprintf(s->plan->collector, sizeof s->plan->collector, "%s", address);
		else
			go_blind(s, "this node's c4run has no collector");
	} else if (c4_mono_ns() < s->deadline_ns) {
		uv_timer_start(timer, on_follow, FOLLOW_LOOK_MS, 0);
		return;
	}
	begin_with_address(s);
}

/* Where the segments go and who is keeper. A failure leaves each c4run on its own, and blind. */
static void prepare(struct c4_session *s)
{
	struct c4_plan *p = s->plan;
	bool rank0 = p->launch.rank == 0;
	bool ranks = p->launch.shape == C4_SHAPE_RANK;
	const char *why = p->blind;
	int rc;

	s->keeper = !ranks;
	p->blind = NULL;
	if (!why && c4_rundir_make(&p->dir, p->opts->runtime_dir, p->dir_name))
		why = "no directory for shared memory can be made";
	if (!why && ranks) {
		rc = c4_node_join(&s->node, p->dir.path, rank0);
		s->joined = rc == 0;
		s->keeper = s->joined && s->node.keeper;
		if (rc)
			why = "the runtime directory cannot be shared with the other ranks";
	}
	s->voice = !ranks || (p->embedded && s->joined ? s->keeper : rank0);
	if (why)
		go_blind(s, why);
	if (rank0 && p->embedded && p->launch.local_size && p->launch.size > p->launch.local_size)
		c4_warn("job has %ld ranks, %ld of them here: watching only this node's; "
			"give --collector HOST:PORT to see all",
			p->launch.size, p->launch.local_size);
}

static void begin(struct c4_session *s)
{
	bool unknown = !s->plan->blind && s->plan->embedded;

	if (unknown && s->keeper) {
		if (start_collector(s))
			on_collector_known(s, false);
	} else if (unknown) {
		s->deadline_ns = c4_mono_ns() + FOLLOW_MS * 1000000ull;
		on_follow(&s->timer);
	} else {
		begin_with_address(s);
	}
}

static int open_loop(struct c4_session *s)
{
	int rc = c4_signals_init(&s->signals);

	if (!rc) {
		c4_witness_start(&s->witness);
		rc = uv_loop_init(&s->loop);
	}
	if (!rc)
		rc = uv_poll_init(&s->loop, &s->signal_poll, s->signals.fd);
	if (rc)
		return rc;
	s->signal_poll.data = s;
	uv_poll_start(&s->signal_poll, UV_READABLE, on_signal_readable);
	uv_timer_init(&s->loop, &s->timer);
	s->timer.data = s;
	c4_sidecar_init(&s->collector, &s->loop, "c4collector", on_collector, s);
	c4_sidecar_init(&s->agent, &s->loop, "c4agent", on_agent, s);
	return 0;
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
	c4_witness_stop(&s->witness);
	if (s->keeper)
		c4_rundir_remove(&s->plan->dir);
	if (s->joined)
		c4_node_leave(&s->node);
}

int c4_session_run(struct c4_session *s, struct c4_plan *plan)
{
	int rc;

	*s = (struct c4_session){.plan = plan};
	rc = open_loop(s);
	if (rc) {
		/* no loop, no wrapper: be the command itself */
		c4_warn("event loop: %s: the job runs unobserved", uv_strerror(rc));
		c4_witness_stop(&s->witness);
		c4_signals_restore(&s->signals);
		execvp(plan->opts->command[0], plan->opts->command);
		return c4_job_exit_code(-errno);
	}
	c4_live_init(&s->live, STDERR_FILENO, !plan->opts->quiet);
	prepare(s);
	begin(s);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	release(s);
	if (s->start_error)
		return c4_job_exit_code(s->start_error);
	c4_job_end_as(&s->job);
}
