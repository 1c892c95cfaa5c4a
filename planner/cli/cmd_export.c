// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/opt.h"
#include "planner/cli/input.h"
#include "planner/io/export.h"
#include "planner/io/plan_read.h"

static struct {
	const char *fabric, *demand, *plan, *out;
	int64_t net, bytes;
} opt = {.out = "plan", .bytes = 10000000};

static const struct c4_opt opts[] = {
	{"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL, "the network", 0, 0},
	{"demand", 'd', C4_OPT_STR, &opt.demand, "FILE", NULL, "the connections", 0, 0},
	{"plan", 'p', C4_OPT_STR, &opt.plan, "FILE", NULL, "their plan, of c4plan make --json", 0,
	 0},
	{"net", 'n', C4_OPT_INT, &opt.net, "N", NULL, "which network, usually a plane (0)", 0, 0},
	{"bytes", 'b', C4_OPT_INT, &opt.bytes, "N", NULL,
	 "what a connection of weight 1 sends (10000000)", 1, INT64_MAX / 2},
	{"output", 'o', C4_OPT_STR, &opt.out, "PREFIX", NULL, "PREFIX.cm and PREFIX.pins (plan)", 0,
	 0},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4plan export",
	.synopsis = "--fabric FILE --demand FILE --plan FILE [OPTION]…",
	.about = "Writes a plan for a packet simulator: the connection matrix of htsim, and the\n"
		 "uplinks that each of its connections should take.",
	.opts = opts,
};

static int write_one(const char *suffix, const struct c4_export *e,
		     int (*write)(const struct c4_export *e, FILE *f))
{
	char path[4096];
	FILE *f = NULL;
	int rc = 0;

	if ((size_t)snprintf(path, sizeof path, "%s.%s", opt.out, suffix) >= sizeof path)
		rc = -ENAMETOOLONG;
	if (!rc)
		f = fopen(path, "w");
	if (!rc && !f)
		rc = -errno;
	if (f) {
		rc = write(e, f);
		if (fclose(f) && !rc)
			rc = -errno;
	}
	if (rc)
		fprintf(stderr, "c4plan export: %s.%s: %s\n", opt.out, suffix, strerror(-rc));
	return rc ? 1 : 0;
}

static int read_plan(const struct c4_fabric *f, const struct c4_demand *d, struct c4_plan *p)
{
	struct c4_buf text = {0}, errors = {0};
	uint64_t unknown = 0;
	int rc = c4_input_text(opt.plan, &text);

	if (rc == 0 &&
	    c4_plan_read_onto(f, d, opt.plan, c4_buf_str(&text), text.len, p, &unknown, &errors))
		rc = c4_input_errors(&errors);
	if (rc == 0 && unknown)
		fprintf(stderr,
			"c4plan export: %llu routes of the plan are of no connection here\n",
			(unsigned long long)unknown);
	c4_buf_release(&text);
	return rc;
}

static int export(const struct c4_fabric *f, const struct c4_demand *d)
{
	struct c4_plan p = {0};
	struct c4_export e = {
		.f = f, .d = d, .p = &p, .net = (uint32_t)opt.net, .bytes = (uint64_t)opt.bytes};
	int rc;

	if (opt.net >= f->n_nets)
		return c4_cli_misuse(&cli, "--net %lld: the fabric has %u", (long long)opt.net,
				     f->n_nets);
	rc = read_plan(f, d, &p);
	rc = rc ? rc : write_one("cm", &e, c4_export_matrix);
	rc = rc ? rc : write_one("pins", &e, c4_export_pins);
	c4_plan_release(&p);
	return rc;
}

int c4_cmd_export(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	struct c4_fabric f;
	struct c4_demand d;

	if (first < argc)
		return c4_cli_misuse(&cli, "'%s': unexpected", argv[first]);
	if (!opt.fabric || !opt.demand || !opt.plan)
		return c4_cli_misuse(&cli, "--fabric, --demand and --plan are needed");
	if (c4_input_fabric(opt.fabric, &f))
		return 1;
	rc = c4_input_demand(opt.demand, &f, &d);
	if (rc == 0) {
		rc = export(&f, &d);
		c4_demand_release(&d);
	}
	c4_fabric_release(&f);
	return rc;
}
