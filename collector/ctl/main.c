// SPDX-License-Identifier: BSD-3-Clause
/* c4ctl: the collector's answers for people and scripts. One table drives commands and help. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "c4/env.h"
#include "collector/ctl/client.h"
#include "collector/ctl/doctor.h"
#include "collector/ctl/show.h"
#include "common/opt.h"

static struct {
	const char *collector, *job, *comm;
	bool json;
} opt = {.collector = "127.0.0.1:7440"};

static struct c4_opt opts[] = {
	{"collector", 'c', C4_OPT_STR, &opt.collector, "HOST:PORT", C4_ENV_COLLECTOR,
	 "whom to ask (127.0.0.1:7440)", 0, 0},
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print the answer as JSON", 0, 0},
	{"job", 0, C4_OPT_STR, &opt.job, "ID", NULL, "this job only", 0, 0},
	{"comm", 0, C4_OPT_STR, &opt.comm, "NAME|ID", NULL, "matrix: this communicator only", 0, 0},
	{0},
};

/* command, path, how many operands, what --help says; why's operand is appended to the path */
#define COMMANDS(X)                                                                                \
	X(jobs, "/api/v1/jobs", 0,                                                                 \
	  "jobs          all jobs: state, ranks, progress, open incidents")                        \
	X(ranks, "/api/v1/ranks", 0, "ranks         what each rank does, and how its time goes")   \
	X(comms, "/api/v1/comms", 0,                                                               \
	  "comms         communicators: traffic, bandwidth, latest rank")                          \
	X(matrix, "/api/v1/matrix", 0,                                                             \
	  "matrix        sources and destinations: how fast their connections are")                \
	X(incidents, "/api/v1/incidents", 0, "incidents     what was found, newest last")          \
	X(why, "/api/v1/incidents/", 1,                                                            \
	  "why ID        one incident: culprit, evidence, what to do")                             \
	X(doctor, NULL, 0, "doctor        whether events flow on this machine, and if not, why")

#define HELP_LINE(name, path, operands, help) "\n  " help
static const struct c4_cli cli = {
	.program = "c4ctl",
	.synopsis = "[OPTION]… [COMMAND]",
	.about = "Asks a running c4collector.\n\nCommands (without one: jobs and open "
		 "incidents):" COMMANDS(HELP_LINE),
	.opts = opts,
};

static const struct command {
	const char *name, *path;
	int operands;
	void (*show)(const json_t *answer, FILE *f);
} commands[] = {
#define COMMAND(name, path, operands, help) {#name, path, operands, c4_show_##name},
	COMMANDS(COMMAND)
#undef COMMAND
};

static const struct command *command_of(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_json(const json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
}

static int complain(const struct c4_client *c)
{
	fprintf(stderr, "c4ctl: %s\n", c4_client_error(c));
	return 1;
}

static void print(const struct command *cmd, const json_t *answer)
{
	if (opt.json)
		print_json(answer);
	else
		cmd->show(answer, stdout);
}

/* The one that asks this machine instead of a collector. */
static int examine(const struct command *cmd)
{
	json_t *answer = c4_doctor(opt.collector);
	bool ok = json_is_true(json_object_get(answer, "ok"));

	if (answer)
		print(cmd, answer);
	json_decref(answer);
	return ok ? 0 : 1;
}

static int run(struct c4_client *c, const struct command *cmd, const char *operand)
{
	const struct c4_query query[] = {
		{"job", opt.job}, {"comm", cmd->show == c4_show_matrix ? opt.comm : NULL}, {0}};
	char path[256];
	json_t *answer;
	int status;

	snprintf(path, sizeof path, "%s%s", cmd->path, operand ? operand : "");
	answer = c4_client_get(c, path, cmd->operands ? NULL : query, &status);
	if (!answer)
		return complain(c);
	print(cmd, answer);
	json_decref(answer);
	return 0;
}

/* Leaves the open ones. */
static void drop_resolved(json_t *incidents)
{
	for (size_t i = json_array_size(incidents); i-- > 0;) {
		const char *state =
			json_string_value(json_object_get(json_array_get(incidents, i), "state"));

		if (state && !strcmp(state, "resolved"))
			json_array_remove(incidents, i);
	}
}

static int overview(struct c4_client *c)
{
	int status;
	const struct c4_query query[] = {{"job", opt.job}, {0}};
	json_t *jobs = c4_client_get(c, "/api/v1/jobs", query, &status), *incidents;

	if (!jobs)
		return complain(c);
	incidents = c4_client_get(c, "/api/v1/incidents", query, &status);
	if (!incidents) {
		json_decref(jobs);
		return complain(c);
	}
	drop_resolved(json_object_get(incidents, "incidents"));
	if (opt.json) {
		json_object_update(jobs, incidents);
		print_json(jobs);
	} else {
		c4_show_jobs(jobs, stdout);
		putchar('\n');
		c4_show_incidents(incidents, stdout);
	}
	json_decref(jobs);
	json_decref(incidents);
	return 0;
}

/* An id goes into a path: nothing but what ids are made of. */
static bool id_fit(const char *id)
{
	return *id && strlen(id) < 64 && !id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* Options may also follow the command; the environment was read before. */
static int parse_rest(int argc, char **argv)
{
	for (struct c4_opt *o = opts; o->name; o++)
		o->env = NULL;
	return c4_cli_parse(&cli, argc, argv);
}

/* What to run, from the words after the first options. 0, or the exit status of misuse. */
static int parse_command(int argc, char **argv, const struct command **cmd, const char **operand)
{
	int at;

	*cmd = command_of(argv[0]);
	if (!*cmd)
		return c4_cli_misuse(&cli, "unknown command '%s'", argv[0]);
	at = parse_rest(argc, argv);
	if ((*cmd)->operands) {
		if (at >= argc)
			return c4_cli_misuse(&cli, "%s needs the ID of an incident", (*cmd)->name);
		*operand = argv[at];
		at += parse_rest(argc - at, argv + at);
	}
	return at < argc ? c4_cli_misuse(&cli, "unexpected operand '%s'", argv[at]) : 0;
}

int main(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc = 0;
	const struct command *cmd = NULL;
	const char *operand = NULL;
	struct c4_client *c;

	if (first < argc)
		rc = parse_command(argc - first, argv + first, &cmd, &operand);
	if (rc)
		return rc;
	if (operand && !id_fit(operand)) {
		fprintf(stderr, "c4ctl: no incident '%s'\n", operand);
		return 1;
	}
	if (cmd && !cmd->path)
		return examine(cmd);
	c = c4_client_new(opt.collector);
	if (!c)
		return c4_cli_misuse(&cli, "'%s' is not HOST:PORT", opt.collector);
	rc = cmd ? run(c, cmd, operand) : overview(c);
	c4_client_free(c);
	return rc;
}
