// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_fabric.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/opt.h"
#include "planner/cli/fabric_summary.h"
#include "planner/io/fabric_json.h"
#include "planner/io/fabric_load.h"
#include "planner/io/fabric_yaml.h"
#include "planner/model/fabric/clos.h"

static struct {
	int64_t leaves, spines, hosts_per_leaf, rails, planes, pods, cores;
	const char *gbps;
	const char *fabric, *format, *out;
	bool json, yaml;
} opt = {.leaves = 8,
	 .spines = 8,
	 .hosts_per_leaf = 8,
	 .rails = 1,
	 .planes = 1,
	 .gbps = "400",
	 .fabric = NULL};

#define COUNT(name, field, max, help)                                                              \
	{                                                                                          \
		name, 0, C4_OPT_INT, &opt.field, "N", NULL, help, 1, max                           \
	}
#define OPT_OUT                                                                                    \
	{                                                                                          \
		"output", 'o', C4_OPT_STR, &opt.out, "FILE", NULL,                                 \
			"write there (standard output)", 0, 0                                      \
	}
#define OPT_FABRIC                                                                                 \
	{                                                                                          \
		"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL,                              \
			"the fabric; - is standard input", 0, 0                                    \
	}
#define OPT_FORMAT                                                                                 \
	{                                                                                          \
		"format", 0, C4_OPT_STR, &opt.format, "FORMAT", NULL,                              \
			"yaml, slurm (topology.conf) or ibnet (ibnetdiscover); guessed", 0, 0      \
	}

static const struct c4_opt make_opts[] = {
	COUNT("leaves", leaves, C4_FABRIC_SWITCHES_MAX, "leaves of one rail of one plane (8)"),
	COUNT("spines", spines, C4_FABRIC_SWITCHES_MAX,
	      "spines of one plane, with pods of one pod (8)"),
	COUNT("hosts-per-leaf", hosts_per_leaf, C4_FABRIC_HOSTS_MAX, "hosts per leaf (8)"),
	COUNT("rails", rails, C4_HOST_NICS_MAX, "NICs of a host in each plane (1)"),
	COUNT("planes", planes, C4_FABRIC_PLANES_MAX, "separate networks (1)"),
	COUNT("pods", pods, C4_FABRIC_SWITCHES_MAX,
	      "cut the leaves into N pods, joined by cores (two tiers)"),
	COUNT("cores", cores, C4_FABRIC_SWITCHES_MAX,
	      "cores per group (as many as a spine has leaves)"),
	{"gbps", 0, C4_OPT_STR, &opt.gbps, "G", NULL, "rate of every link (400)", 0, 0},
	OPT_OUT,
	{0},
};

static const struct c4_opt check_opts[] = {OPT_FABRIC, OPT_FORMAT, {0}};

static const struct c4_opt show_opts[] = {
	OPT_FABRIC,
	OPT_FORMAT,
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print JSON", 0, 0},
	{"yaml", 'y', C4_OPT_FLAG, &opt.yaml, NULL, NULL,
	 "print c4.fabric/v1 YAML, whatever the input was", 0, 0},
	OPT_OUT,
	{0},
};

static int make(const struct c4_cli *cli);
static int check(const struct c4_cli *cli);
static int show(const struct c4_cli *cli);

/* One table drives commands and help; `file` says whether an operand may name the fabric. */
static const struct command {
	const char *name;
	int (*run)(const struct c4_cli *cli);
	struct c4_cli cli;
	bool file;
} commands[] = {
	{"make",
	 make,
	 {"c4plan fabric make", "[OPTION]…", "Makes a regular Clos fabric as c4.fabric/v1 YAML.",
	  make_opts},
	 false},
	{"check",
	 check,
	 {"c4plan fabric check", "[OPTION]… [FILE]",
	  "Says what is wrong with a fabric. Exit status: 0 it can be planned on, 1 it cannot.",
	  check_opts},
	 true},
	{"show",
	 show,
	 {"c4plan fabric show", "[OPTION]… [FILE]",
	  "Shows a fabric: a summary, or all of it as JSON or YAML.", show_opts},
	 true},
};

static const struct c4_opt no_opts[] = {{0}};
static const struct c4_cli fabric_cli = {
	.program = "c4plan fabric",
	.synopsis = "make|check|show [OPTION]…",
	.about = "The network that is planned on.\n\nCommands (each with --help):\n"
		 "  make          a regular Clos fabric: leaves, spines, rails, planes, pods\n"
		 "  check         what is wrong with a fabric\n"
		 "  show          a summary, or all of it as JSON or YAML",
	.opts = no_opts,
};

/* ---- output ---------------------------------------------------------------------------------- */

static int complain(const char *object, int rc)
{
	fprintf(stderr, "c4plan: %s: %s\n", object, strerror(-rc));
	return 1;
}

typedef int (*writer)(const struct c4_fabric *f, FILE *out);

static int write_out(const struct c4_fabric *f, writer write)
{
	FILE *out = opt.out && strcmp(opt.out, "-") != 0 ? fopen(opt.out, "we") : stdout;
	const char *name = out == stdout ? "standard output" : opt.out;
	int rc;

	if (!out)
		return complain(opt.out, -errno);
	rc = write(f, out);
	if (out != stdout && fclose(out) && !rc)
		rc = -errno;
	return rc ? complain(name, rc) : 0;
}

/* ---- input ----------------------------------------------------------------------------------- */

/* 0, or the exit status. */
static int load(const struct c4_cli *cli, struct c4_fabric *f)
{
	struct c4_buf errors = {0};
	int format = opt.format ? c4_fabric_format_of(opt.format) : C4_FABRIC_GUESS;
	int rc;

	if (!opt.fabric)
		return c4_cli_misuse(cli, "no fabric, expected --fabric FILE");
	if (format < 0)
		return c4_cli_misuse(cli, "format '%s', expected yaml, slurm or ibnet", opt.format);
	rc = c4_fabric_load(f, opt.fabric, (enum c4_fabric_format)format, &errors);
	fputs(c4_buf_str(&errors), stderr);
	c4_buf_release(&errors);
	return rc ? 1 : 0;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int make(const struct c4_cli *cli)
{
	struct c4_clos shape = {.leaves = (uint32_t)opt.leaves,
				.spines = (uint32_t)opt.spines,
				.hosts_per_leaf = (uint32_t)opt.hosts_per_leaf,
				.rails = (uint32_t)opt.rails,
				.planes = (uint32_t)opt.planes,
				.pods = (uint32_t)opt.pods,
				.cores = (uint32_t)opt.cores};
	struct c4_fabric f;
	struct c4_fault fault;
	char *end;
	int rc;

	shape.gbps = strtod(opt.gbps, &end);
	if (end == opt.gbps || *end)
		return c4_cli_misuse(cli, "gbps '%s', expected a number", opt.gbps);
	c4_fabric_init(&f);
	rc = c4_clos_make(&f, &shape, &fault);
	rc = rc ? c4_cli_misuse(cli, "%s", fault.what) : write_out(&f, c4_fabric_write_yaml);
	c4_fabric_release(&f);
	return rc;
}

static void print_problem(void *arg, const char *what)
{
	const char *file = arg;

	printf("%s: warning: %s\n", file, what);
}

static int check(const struct c4_cli *cli)
{
	struct c4_fabric f;
	int rc = load(cli, &f);
	size_t n;

	if (rc)
		return rc;
	n = c4_fabric_check(&f, print_problem, (void *)(uintptr_t)opt.fabric);
	printf("%s: %u hosts, %u NICs, %u switches, %u links; %zu warning%s\n", opt.fabric,
	       f.n_hosts, f.n_nics, f.n_switches, f.n_links, n, n == 1 ? "" : "s");
	c4_fabric_release(&f);
	return 0;
}

static int show(const struct c4_cli *cli)
{
	struct c4_fabric f;
	writer write = opt.json	  ? c4_fabric_write_json
		       : opt.yaml ? c4_fabric_write_yaml
				  : c4_fabric_summary;
	int rc;

	if (opt.json && opt.yaml)
		return c4_cli_misuse(cli, "--json and --yaml, expected one of them");
	rc = load(cli, &f);
	if (rc)
		return rc;
	rc = write_out(&f, write);
	c4_fabric_release(&f);
	return rc;
}

/* Options, perhaps the file, perhaps more options. 0, or the exit status of misuse. */
static int parse(const struct command *cmd, int argc, char **argv)
{
	int at = c4_cli_parse(&cmd->cli, argc, argv);

	if (cmd->file && at < argc && !opt.fabric) {
		opt.fabric = argv[at];
		at += c4_cli_parse(&cmd->cli, argc - at, argv + at);
	}
	return at < argc ? c4_cli_misuse(&cmd->cli, "unexpected operand '%s'", argv[at]) : 0;
}

int c4_cmd_fabric(int argc, char **argv)
{
	int at = c4_cli_parse(&fabric_cli, argc, argv), rc;

	if (at >= argc)
		return c4_cli_misuse(&fabric_cli, "no command, expected make, check or show");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, argv[at]) != 0)
			continue;
		rc = parse(&commands[i], argc - at, argv + at);
		return rc ? rc : commands[i].run(&commands[i].cli);
	}
	return c4_cli_misuse(&fabric_cli, "unknown command '%s', expected make, check or show",
			     argv[at]);
}
