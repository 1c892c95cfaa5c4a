// SPDX-License-Identifier: BSD-3-Clause
/* c4run - runs a job, watches it, ends as it ends. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/run/options.h"
#include "agent/run/plan.h"
#include "agent/run/session.h"
#include "common/log.h"

/*
 * Started with one of the standard descriptors closed, our own files would take its number and the
 * job would write into them. Placeholders, closed again for the job by exec.
 */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int dry_run(const struct c4_plan *plan)
{
	struct c4_job_env values = c4_plan_env(plan);
	struct c4_buf text = {0};

	c4_job_env_print(&values, plan->env, plan->opts->command, &text);
	fputs(c4_buf_str(&text), stdout);
	c4_buf_release(&text);
	if (plan->blind)
		c4_warn("%s: the job would run unobserved", plan->blind);
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct c4_run_opts opts;
	static struct c4_plan plan;
	static struct c4_session session;

	occupy_standard_descriptors();
	c4_log_init("c4run");
	c4_run_options_parse(&opts, argc, argv);
	if (opts.verbose)
		c4_log_set_level(C4_LOG_DEBUG);
	c4_plan_make(&plan, &opts, environ);
	return opts.dry_run ? dry_run(&plan) : c4_session_run(&session, &plan);
}
