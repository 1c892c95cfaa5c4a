// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/monitor.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/run/finish.h"
#include "common/base/clock.h"
#include "common/ending.h"
#include "common/log.h"

#define LOOK_MS 50

/* The rank's stdin is not ours to read, and its stdout not ours to keep open. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

static void split(struct c4_session *s)
{
	pid_t pid;

	pid = fork();
	if (pid < 0) {
		c4_session_go_blind(s, "no process for the monitor");
		c4_node_resign(&s->node);
	} else if (pid > 0) {
		s->monitor_pid = pid;
		c4_node_resign(&s->node);
	} else {
		detach();
		s->monitor = true;
		s->keeper = s->node.keeper;
		s->voice = s->keeper ? s->plan->embedded || s->plan->launch.rank == 0 : true;
		if (c4_node_stand_by(&s->node))
			_exit(1);
	}
}

/* Ranks of one node meet in the runtime directory. */
static void prepare_rank(struct c4_session *s)
{
	struct c4_plan *p = s->plan;
	bool rank0 = p->launch.rank == 0;

	if (c4_node_join(&s->node, p->dir.path, rank0)) {
		c4_session_go_blind(s, "the runtime directory cannot be shared with other ranks");
		return;
	}
	s->joined = true;
	s->voice = false;
	if (s->node.keeper || (rank0 && !p->embedded))
		split(s);
	else
		c4_node_resign(&s->node);
}

static void note_other_nodes(const struct c4_plan *p)
{
	if (p->launch.rank == 0 && p->embedded && p->launch.local_size &&
	    p->launch.size > p->launch.local_size)
		c4_warn("job has %ld ranks, %ld of them here: watching only this node's ranks; "
			"give --collector HOST:PORT to see all",
			p->launch.size, p->launch.local_size);
}

void c4_monitor_prepare(struct c4_session *s)
{
	struct c4_plan *p = s->plan;
	bool ranks = p->launch.shape == C4_SHAPE_RANK;
	const char *why = p->blind;

	p->blind = NULL;
	s->keeper = !ranks;
	s->voice = !ranks || p->launch.rank == 0; /* until there is a monitor */
	if (!why && c4_rundir_make(&p->dir, p->opts->runtime_dir, p->dir_name))
		why = "no directory for shared memory can be made";
	if (why) {
		c4_session_go_blind(s, why);
		return;
	}
	if (!ranks) {
		c4_ending_clear(p->dir.path, p->job);
		return;
	}
	note_other_nodes(p);
	prepare_rank(s);
}

static void on_look(uv_timer_t *timer)
{
	struct c4_session *s = timer->data;

	if (!c4_node_alone(&s->node))
		return;
	uv_timer_stop(timer);
	c4_finish_begin(s);
}

void c4_monitor_run(struct c4_session *s)
{
	uv_timer_start(&s->timer, on_look, LOOK_MS, LOOK_MS);
}

bool c4_monitor_may_leave(struct c4_session *s)
{
	int status;
	bool clean = s->job.ended && WIFEXITED(s->job.status) && !WEXITSTATUS(s->job.status);

	if (s->joined && !s->monitor)
		c4_node_leave(&s->node);
	if (!s->monitor_pid || !clean)
		return true;
	if (waitpid(s->monitor_pid, &status, WNOHANG) == 0)
		return false;
	s->monitor_pid = 0;
	return true;
}
