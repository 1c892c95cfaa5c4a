// SPDX-License-Identifier: BSD-3-Clause
/* c4plan: the planner for people and scripts. One table drives commands and help. */
#include <stdio.h>
#include <string.h>

#include "common/opt.h"
#include "planner/cli/cmd_compare.h"
#include "planner/cli/cmd_export.h"
#include "planner/cli/cmd_fabric.h"
#include "planner/cli/cmd_make.h"
#include "planner/cli/cmd_order.h"
#include "planner/cli/cmd_show.h"

/* command, what --help says */
#define COMMANDS(X)                                                                                \
	X(fabric, "fabric make|check|show   describe a network: generate, examine, convert")       \
	X(make, "make                     routes for a demand on a fabric")                        \
	X(show, "show [PLAN]              a plan, or that of a running planner")                   \
	X(order, "order                    a rank order that keeps ring neighbours together")      \
	X(compare, "compare                  the planner beside ECMP and heuristics, simulated")   \
	X(export, "export                   a plan for a packet simulator")

#define HELP_LINE(name, help) "\n  " help
static const struct c4_opt opts[] = {{0}};
static const struct c4_cli cli = {
	.program = "c4plan",
	.synopsis = "COMMAND [OPTION]…",
	.about = "Plans routes for the collectives of training jobs.\n\nCommands (without one: "
		 "show), each with its own --help:" COMMANDS(HELP_LINE),
	.opts = opts,
};

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
#define COMMAND(name, help) {#name, c4_cmd_##name},
	COMMANDS(COMMAND)
#undef COMMAND
};

int main(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv);

	if (first >= argc)
		return c4_cmd_show(1, argv);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, argv[first]))
			return commands[i].run(argc - first, argv + first);
	return c4_cli_misuse(&cli, "unknown command '%s'", argv[first]);
}
