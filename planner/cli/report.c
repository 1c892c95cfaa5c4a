// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/report.h"

#include <string.h>

/* What is promised of a scene: the slowest job against `ideal` (0: the bound of the row), at least
 * `share` of it in every seed. */
static const struct target {
	const char *scene, *method;
	double ideal, share;
	const char *what;
} targets[] = {
	{"c4-1to1", "exact", 0, 0.99, "1:1, slowest job against its bound"},
	{"c4-2to1", "exact", 0, 0.99, "2:1, slowest job against its bound"},
	{"rings", "exact", 0, 0.99, "16 leaves, fragmented, slowest job against its bound"},
	{"rings-2to1", "exact", 0, 0.99, "the same at 2:1"},
	{"c4-dead-uplink", "exact, k matched", 7.0 / 8, 0.97,
	 "one dead uplink, k matched, slowest job against 7/8"},
};

static const char columns[] =
	"Rates are fractions of full speed: 1 means that all connections of a job run at their "
	"NICs' rate. All flows of a\njob progress together, so its slowest one is its rate; rates "
	"are max–min fair between jobs.\n\n"
	"* **slowest**: the slowest job, mean over seeds; **worst**: the slowest of all seeds\n"
	"* **mean**, **5 %**: of all jobs of all seeds\n"
	"* **fullest link**: its load at full speed of all jobs, 1 = what it carries; mean over "
	"seeds\n"
	"* **bound**: what no routes with this many equal QPs per connection let the slowest job "
	"exceed (degree and\n  cut bounds, planner/model/assign/bound.h), mean; **of bound**: "
	"slowest / "
	"bound, worst of all seeds\n"
	"* **Gbps**: mean bus bandwidth as C4 reports it: rate × 400 Gbps, at most the 362 Gbps "
	"that its GPUs take\n"
	"* **probes**: per connection, until every planned path had its port; **no port**: share "
	"of QPs whose path no\n  port takes (they get a random one)\n"
	"* **moved**: QPs of running jobs that change their path, per arrival, departure or "
	"failure; **p95**: the same\n\n"
	"Nothing is taken from a plan but its source ports. Each QP's path is recomputed from "
	"(sip, dip, sport) through\nthe switches' hash (CRC-32 with a seed per switch, unless a "
	"scene says otherwise), loads and rates from these\npaths. ECMP gives every QP a random "
	"port; its connections are spread over rails and planes beforehand, which a\nbond would "
	"leave to another hash. Greedy takes the least loaded path for one QP after the other, two "
	"choices the\nbetter of two random ones; neither moves a QP later. Seeds change who talks "
	"to whom, which links fail, and the\nswitches' hash.\n";

static const struct c4_row *row_of(const struct c4_report_part *parts, uint32_t n,
				   const struct target *t)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; !strcmp(parts[i].name, t->scene) && k < parts[i].rows.n; k++)
			if (!strcmp(parts[i].rows.row[k].method, t->method))
				return &parts[i].rows.row[k];
	return NULL;
}

static void print_targets(const struct c4_report_part *parts, uint32_t n, FILE *f)
{
	fprintf(f, "## Targets\n\n| what | wanted | measured, worst of all seeds | |\n|---|--:|--:|"
		   "---|\n");
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		const struct target *t = &targets[i];
		const struct c4_row *r = row_of(parts, n, t);
		double got;

		if (!r)
			continue;
		got = t->ideal > 0 ? r->worst / t->ideal : r->of_bound;
		fprintf(f, "| %s | ≥ %.2f | %.4f | %s |\n", t->what, t->share, got,
			got >= t->share ? "held" : "**missed**");
	}
	fputc('\n', f);
}

void c4_report_markdown(const struct c4_report_part *parts, uint32_t n, const char *command,
			FILE *f)
{
	fprintf(f,
		"# The planner against ECMP and heuristics\n\nMade by `%s`; the same command "
		"makes the same numbers on every machine.\n\n%s\n",
		command, columns);
	print_targets(parts, n, f);
	for (uint32_t i = 0; i < n; i++) {
		fprintf(f, "## %s\n\n%s; %u seeds.\n", parts[i].name, parts[i].about,
			parts[i].seeds);
		if (parts[i].published)
			fprintf(f, "%s.\n", parts[i].published);
		fputc('\n', f);
		c4_rows_markdown(&parts[i].rows, f);
		fputc('\n', f);
	}
}

json_t *c4_report_json(const struct c4_report_part *parts, uint32_t n)
{
	json_t *scenes = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(scenes, json_pack("{s:s, s:s, s:I, s:o}", "name",
							parts[i].name, "about", parts[i].about,
							"seeds", (json_int_t)parts[i].seeds, "rows",
							c4_rows_json(&parts[i].rows)));
	return json_pack("{s:s, s:o}", "schema", C4_COMPARE_SCHEMA, "scenes", scenes);
}
