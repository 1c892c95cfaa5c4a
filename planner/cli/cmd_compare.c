// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_compare.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/opt.h"
#include "planner/cli/compare.h"
#include "planner/cli/input.h"
#include "planner/cli/report.h"
#include "planner/io/oracle_spec.h"
#include "planner/io/plan_read.h"

static struct {
	const char *scene, *fabric, *demand, *plan, *switches, *report;
	int64_t seeds;
	bool json;
} opt = {.switches = "crc32"};

static const struct c4_opt opts[] = {
	{"scene", 's', C4_OPT_STR, &opt.scene, "NAME|all", NULL,
	 "a made-up situation; list names them", 0, 0},
	{"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL, "a network of yours", 0, 0},
	{"demand", 'd', C4_OPT_STR, &opt.demand, "FILE", NULL, "… and its connections", 0, 0},
	{"plan", 'p', C4_OPT_STR, &opt.plan, "FILE", NULL,
	 "judge the source ports of this plan, too", 0, 0},
	{"switches", 0, C4_OPT_STR, &opt.switches, "HASH", NULL,
	 "how the switches of --fabric hash: " C4_HASH_SPEC_HELP " (crc32)", 0, 0},
	{"seeds", 'n', C4_OPT_INT, &opt.seeds, "N", NULL, "repeat with N seeds", 1, 1000},
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print JSON, c4.compare/v1", 0, 0},
	{"report", 'r', C4_OPT_STR, &opt.report, "FILE", NULL, "write a document as well", 0, 0},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4plan compare",
	.synopsis = "[--scene NAME|all|list | --fabric FILE --demand FILE [--plan FILE]] [OPTION]…",
	.about =
		"Simulates jobs at flow level under ECMP, greedy, two choices and the exact plan,\n"
		"and shows how fast the slowest one runs. Paths are recomputed from source ports\n"
		"through the switches' hash. Without arguments: all scenes (a minute).",
	.opts = opts,
};

static int failed(const char *what)
{
	fprintf(stderr, "c4plan compare: %s\n", what);
	return 1;
}

/* ---- a network of the user's ----------------------------------------------------------------- */

/* Rows that keep the demand's own QPs come first: the others change them. */
static const struct c4_method own_methods[] = {
	{"the given plan", C4_ROUTING_GIVEN, C4_QPS_KEEP, C4_KNOWS_HASH},
	{"exact, QPs as given", C4_ROUTING_EXACT, C4_QPS_KEEP, C4_KNOWS_HASH},
	{"ECMP, QPs as given", C4_ROUTING_ECMP, C4_QPS_KEEP, C4_KNOWS_HASH},
	{"ECMP", C4_ROUTING_ECMP, 1, C4_KNOWS_HASH},
	{"ECMP", C4_ROUTING_ECMP, 4, C4_KNOWS_HASH},
	{"ECMP", C4_ROUTING_ECMP, 8, C4_KNOWS_HASH},
	{"ECMP", C4_ROUTING_ECMP, 16, C4_KNOWS_HASH},
	{"greedy", C4_ROUTING_GREEDY, 1, C4_KNOWS_HASH},
	{"two choices", C4_ROUTING_TWO_CHOICES, 1, C4_KNOWS_HASH},
	{"exact", C4_ROUTING_EXACT, 1, C4_KNOWS_HASH},
	{"exact, k matched", C4_ROUTING_EXACT, 0, C4_KNOWS_HASH},
};

static int make_own(void *arg, struct c4_world *w, uint64_t seed, struct c4_fault *fault)
{
	(void)seed;
	*w = (struct c4_world){.switches = *(const struct c4_hash_model *)arg};
	if (c4_input_fabric(opt.fabric, &w->f))
		return c4_fault_set(fault, -EINVAL, "%s", opt.fabric);
	if (c4_input_demand(opt.demand, &w->f, &w->d)) {
		c4_fabric_release(&w->f);
		return c4_fault_set(fault, -EINVAL, "%s", opt.demand);
	}
	return 0;
}

static int read_plan(struct c4_hash_model *m, struct c4_plan *plan)
{
	struct c4_buf text = {0}, errors = {0};
	struct c4_fault fault;
	struct c4_world w;
	uint64_t unknown;
	int rc;

	if (!opt.plan)
		return 0;
	if (make_own(m, &w, 0, &fault))
		return 1;
	rc = c4_input_text(opt.plan, &text);
	if (rc == 0 && c4_plan_read_onto(&w.f, &w.d, opt.plan, c4_buf_str(&text), text.len, plan,
					 &unknown, &errors))
		rc = c4_input_errors(&errors);
	c4_buf_release(&text);
	c4_world_release(&w);
	return rc;
}

static int compare_own(struct c4_report_part *part)
{
	struct c4_hash_model m;
	struct c4_fault fault;
	struct c4_plan plan = {0};
	struct c4_comparison c = {.methods = own_methods,
				  .n_methods = sizeof own_methods / sizeof *own_methods,
				  .seeds = opt.seeds ? (uint32_t)opt.seeds : 5,
				  .make = make_own,
				  .arg = &m,
				  .given = &plan};
	int rc;

	if (c4_hash_spec(opt.switches, &m, &fault))
		return c4_cli_misuse(&cli, "--switches: %s", fault.what);
	if (read_plan(&m, &plan))
		return 1;
	if (!opt.plan) {
		c.methods++;
		c.n_methods--;
	}
	*part = (struct c4_report_part){.name = opt.demand, .about = opt.fabric, .seeds = c.seeds};
	rc = c4_compare(&c, &part->rows, &fault);
	c4_plan_release(&plan);
	return rc ? failed(fault.what) : 0;
}

/* ---- scenes ---------------------------------------------------------------------------------- */

static int list_scenes(void)
{
	size_t n;
	const struct c4_scene *s = c4_scenes(&n);

	for (size_t i = 0; i < n; i++)
		printf("%-18s %s\n", s[i].name, s[i].about);
	return 0;
}

static void print_part(const struct c4_report_part *part)
{
	printf("%s: %s; %u seeds\n\n", part->name, part->about, part->seeds);
	c4_rows_print(&part->rows, stdout);
	putchar('\n');
	fflush(stdout); /* scenes take seconds: each as soon as it is there */
}

static int compare_scenes(struct c4_report_part *parts, uint32_t *ret_n)
{
	bool all = !opt.scene || !strcmp(opt.scene, "all");
	struct c4_fault fault;
	uint32_t n = 0;
	size_t n_scenes;
	const struct c4_scene *s = c4_scenes(&n_scenes);

	for (size_t i = 0; i < n_scenes; i++) {
		struct c4_scene scene = s[i];

		if (!all && strcmp(scene.name, opt.scene))
			continue;
		if (opt.seeds)
			scene.seeds = (uint32_t)opt.seeds;
		parts[n] = (struct c4_report_part){.name = scene.name,
						   .about = scene.about,
						   .published = scene.published,
						   .seeds = scene.seeds};
		if (c4_compare_scene(&scene, &parts[n].rows, &fault))
			return failed(fault.what);
		if (!opt.json)
			print_part(&parts[n]);
		n++;
	}
	*ret_n = n;
	return n ? 0 : c4_cli_misuse(&cli, "no scene '%s': --scene list names them", opt.scene);
}

/* ---- output ---------------------------------------------------------------------------------- */

static int print_json(const struct c4_report_part *parts, uint32_t n)
{
	json_t *doc = c4_report_json(parts, n);

	if (!doc)
		return failed("out of memory");
	json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(doc);
	return 0;
}

/* The command as the reader may repeat it. */
static void command_of(int argc, char **argv, struct c4_buf *ret)
{
	c4_buf_printf(ret, "c4plan");
	for (int i = 0; i < argc; i++)
		c4_buf_printf(ret, " %s", argv[i]);
}

static int write_report(const struct c4_report_part *parts, uint32_t n, int argc, char **argv)
{
	struct c4_buf command = {0};
	FILE *f = fopen(opt.report, "w");
	int rc = f ? 0 : errno;

	command_of(argc, argv, &command);
	if (f) {
		c4_report_markdown(parts, n, c4_buf_str(&command), f);
		rc = ferror(f) ? EIO : 0;
		if (fclose(f) && !rc)
			rc = errno;
	}
	c4_buf_release(&command);
	if (rc)
		fprintf(stderr, "c4plan compare: %s: %s\n", opt.report, strerror(rc));
	return rc ? 1 : 0;
}

static int compare(struct c4_report_part *parts, int argc, char **argv)
{
	uint32_t n = 1;
	int rc = opt.fabric ? compare_own(parts) : compare_scenes(parts, &n);

	if (rc == 0 && opt.json)
		rc = print_json(parts, n);
	else if (rc == 0 && opt.fabric)
		print_part(parts);
	if (rc == 0 && opt.report)
		rc = write_report(parts, n, argc, argv);
	return rc;
}

int c4_cmd_compare(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	struct c4_report_part *parts;
	size_t n;

	if (first < argc)
		return c4_cli_misuse(&cli, "'%s': unexpected", argv[first]);
	if (!opt.fabric != !opt.demand || (opt.plan && !opt.fabric))
		return c4_cli_misuse(&cli, "--fabric and --demand (and --plan) belong together");
	if (opt.fabric && opt.scene)
		return c4_cli_misuse(&cli, "either --scene or --fabric");
	if (opt.scene && !strcmp(opt.scene, "list"))
		return list_scenes();
	c4_scenes(&n);
	parts = calloc(n, sizeof *parts);
	rc = parts ? compare(parts, argc, argv) : failed("out of memory");
	free(parts);
	return rc;
}
