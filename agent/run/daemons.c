// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/daemons.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/find.h"
#include "agent/run/finish.h"
#include "common/log.h"

#define READY_MS	 3000
#define AGENT_LOCK_TAKEN 3 /* c4agent's exit status when another one serves the directory */

static int launch(struct c4_session *s, struct c4_sidecar *sidecar, char **argv)
{
	/* what they would warn of (nobody answers, nothing to read) we say ourselves, once */
	char **env = c4_sidecar_env_new(s->plan->env, s->plan->opts->verbose ? "info" : "error");
	char path[PATH_MAX];
	int rc = env ? c4_find_program(sidecar->name, path, sizeof path) : -ENOMEM;

	argv[0] = path;
	if (!rc)
		rc = c4_sidecar_start(sidecar, argv, env, &s->signals, READY_MS);
	c4_env_free(env);
	if (rc)
		c4_debug("%s: %s: not started", sidecar->name, strerror(-rc));
	else
		c4_debug("started %s, pid %d", path, (int)sidecar->pid);
	return rc;
}

static int start_collector(struct c4_session *s)
{
	const struct c4_run_opts *o = s->plan->opts;
	/* its default would be the site's store: a job of our own has nothing to write there */
	char *argv[C4_SIDECAR_ARGS] = {NULL, (char *)"--listen", s->plan->collector,
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

static void with_address(struct c4_session *s)
{
	if (!s->plan->blind) {
		s->api = s->voice || s->keeper ? c4_api_new(&s->loop, s->plan->collector) : NULL;
		if (s->keeper && start_agent(s))
			c4_session_go_blind(s, "c4agent cannot be started");
	}
	c4_session_go(s);
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
		c4_session_go_blind(s, "c4collector does not start");
	if (s->joined)
		c4_node_publish(&s->node, good ? s->plan->collector : NULL);
	with_address(s);
}

static void on_collector(struct c4_sidecar *sidecar, enum c4_sidecar_event what, void *arg)
{
	struct c4_session *s = arg;
	char how[64];

	if (what == C4_SIDECAR_READY && s->stage == C4_STAGE_BEGIN)
		on_collector_known(s, take_address(s, sidecar->line));
	else if (what == C4_SIDECAR_FAILED && s->stage == C4_STAGE_BEGIN)
		on_collector_known(s, false);
	else if (s->stage > C4_STAGE_RUN)
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
	if (s->stage > C4_STAGE_RUN)
		c4_finish_advance(s);
	else if (lock_taken(sidecar))
		c4_debug("this node has an agent already");
	else
		c4_warn("c4agent %s (%s): the job goes on unobserved",
			what == C4_SIDECAR_FAILED ? "does not start" : "ended",
			c4_sidecar_outcome(sidecar, how, sizeof how));
}

void c4_daemons_init(struct c4_session *s)
{
	c4_sidecar_init(&s->collector, &s->loop, "c4collector", on_collector, s);
	c4_sidecar_init(&s->agent, &s->loop, "c4agent", on_agent, s);
}

void c4_daemons_start(struct c4_session *s)
{
	if (s->plan->blind || !s->plan->embedded || !s->keeper)
		with_address(s);
	else if (start_collector(s))
		on_collector_known(s, false);
}

void c4_daemons_reap(struct c4_session *s)
{
	c4_sidecar_reap(&s->collector);
	c4_sidecar_reap(&s->agent);
}
