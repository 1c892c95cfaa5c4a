// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/cmd_make.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/opt.h"
#include "planner/cli/input.h"
#include "planner/cli/tally.h"
#include "planner/io/oracle_spec.h"
#include "planner/io/plan_json.h"
#include "planner/io/route_json.h"
#include "planner/io/plan_read.h"
#include "planner/io/probes.h"
#include "planner/model/assign/assign.h"

#define QPS_AUTO_MAX 16u /* more QPs than this cost NICs more than an even spread gains */

static struct {
	const char *fabric, *demand, *previous, *qps, *oracle, *probes, *out;
	bool json, weighted, links;
} opt = {.oracle = "crc32"};

static const struct c4_opt opts[] = {
	{"fabric", 'f', C4_OPT_STR, &opt.fabric, "FILE", NULL, "the network", 0, 0},
	{"demand", 'd', C4_OPT_STR, &opt.demand, "FILE", NULL,
	 "the connections, c4.demand/v1; - is standard input", 0, 0},
	{"json", 'j', C4_OPT_FLAG, &opt.json, NULL, NULL, "print the plan as JSON, c4.plan/v1", 0,
	 0},
	{"previous", 'p', C4_OPT_STR, &opt.previous, "PLAN", NULL,
	 "change this plan as little as possible, and tell what moved", 0, 0},
	{"qps", 'q', C4_OPT_STR, &opt.qps, "N", NULL,
	 "QPs of every connection, or auto: what suits the live uplinks", 0, 0},
	{"weighted", 'w', C4_OPT_FLAG, &opt.weighted, NULL, NULL,
	 "unequal shares of a connection's QPs where that helps", 0, 0},
	{"oracle", 0, C4_OPT_STR, &opt.oracle, "SPEC", NULL,
	 "whence source ports: " C4_ORACLE_SPEC_HELP " (crc32)", 0, 0},
	{"probes", 0, C4_OPT_STR, &opt.probes, "FILE", NULL,
	 "what table or linear know, c4.probes/v1", 0, 0},
	{"links", 0, C4_OPT_FLAG, &opt.links, NULL, NULL, "with --json: the load of each link", 0,
	 0},
	{"output", 'o', C4_OPT_STR, &opt.out, "FILE", NULL, "write there (standard output)", 0, 0},
	{0},
};

static const struct c4_cli cli = {
	.program = "c4plan make",
	.synopsis = "--fabric FILE --demand FILE [OPTION]…",
	.about = "Assigns a route to every QP, so that the fullest link is as empty as can be.\n"
		 "QPs that no path can carry are named in the plan; that is not a failure.",
	.opts = opts,
};

struct work {
	struct c4_fabric f;
	struct c4_demand d;
	struct c4_plan plan, previous;
	bool has_previous;
	struct c4_oracle *oracle;
	double *load; /* per link and direction */
};

static int failed(const char *what)
{
	fprintf(stderr, "c4plan make: %s\n", what);
	return 1;
}

/* ---- input ----------------------------------------------------------------------------------- */

/* 0, or the exit status. */
static int choose_qps(const struct work *w, uint32_t *ret)
{
	uint64_t n = 0;

	if (!strcmp(opt.qps, "auto"))
		return c4_assign_qps(&w->f, &w->d, QPS_AUTO_MAX, ret) ? failed("out of memory") : 0;
	if (c4_str_parse_u64(opt.qps, &n) != strlen(opt.qps) || !n || n > C4_CONN_QPS_MAX)
		return c4_cli_misuse(&cli, "--qps: '%s' is not auto or a number from 1 to %u",
				     opt.qps, C4_CONN_QPS_MAX);
	*ret = (uint32_t)n;
	return 0;
}

static int set_qps(struct work *w)
{
	struct c4_fault fault;
	uint32_t n;
	int rc;

	if (!opt.qps)
		return 0;
	rc = choose_qps(w, &n);
	if (rc)
		return rc;
	return c4_demand_set_qps(&w->d, n, &fault) ? failed(fault.what) : 0;
}

static int read_previous(struct work *w)
{
	struct c4_buf text = {0}, errors = {0};
	uint64_t unknown;
	int rc;

	if (!opt.previous)
		return 0;
	if (c4_input_text(opt.previous, &text))
		return 1;
	rc = c4_plan_read_onto(&w->f, &w->d, opt.previous, c4_buf_str(&text), text.len,
			       &w->previous, &unknown, &errors);
	c4_buf_release(&text);
	w->has_previous = !rc;
	if (rc == -ENOMEM)
		return failed("out of memory");
	return rc ? c4_input_errors(&errors) : 0;
}

/* ---- plan ------------------------------------------------------------------------------------ */

static int plan(struct work *w)
{
	struct c4_assign_opts o = {.previous = w->has_previous ? &w->previous : NULL,
				   .weighted = opt.weighted};
	struct c4_fault fault = {.what = "out of memory"};

	w->load = calloc(2 * (size_t)w->f.n_links + 1, sizeof *w->load);
	if (!w->load || c4_plan_init(&w->plan, &w->d) ||
	    c4_assign(&w->f, &w->d, &o, &w->plan, &fault))
		return failed(fault.what);
	c4_plan_measure(&w->f, &w->d, &w->plan, w->load);
	return 0;
}

/* A route that stays keeps its port, if the oracle agrees. */
static void keep_ports(struct work *w)
{
	for (uint32_t i = 0; w->has_previous && i < w->plan.n_routes; i++)
		w->plan.routes[i].sport = w->previous.routes[i].sport;
}

static int find_ports(struct work *w)
{
	struct c4_buf errors = {0};
	struct c4_fault fault;

	if (c4_oracle_spec(opt.oracle, &w->oracle, &fault))
		return c4_cli_misuse(&cli, "%s", fault.what);
	if (!w->oracle)
		return opt.probes ? c4_cli_misuse(&cli, "--probes needs an oracle") : 0;
	if (opt.probes && c4_probes_load(w->oracle, &w->f, opt.probes, &errors))
		return c4_input_errors(&errors);
	keep_ports(w);
	if (c4_oracle_ports(w->oracle, &w->f, &w->d, &w->plan))
		return failed("out of memory");
	return 0;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void name_way(const struct work *w, const struct c4_conn *c, const struct c4_route *r,
		     const char **names, uint32_t *n)
{
	struct c4_way way = c4_way_of(&w->f, c, r);

	for (uint32_t i = 0; i < way.n; i++)
		names[i] = w->f.switches[way.at[i]].name;
	*n = way.n;
}

static void tally_qp(const struct work *w, struct c4_tally *t, const struct c4_conn *c, uint32_t q)
{
	const struct c4_route *is = &w->plan.routes[c->first + q];
	struct c4_plan_record r = {.id = c->id,
				   .qp = q,
				   .job = w->d.jobs[c->job].name,
				   .load = (double)c->weight * (double)is->share};

	name_way(w, c, is, r.path, &r.n_path);
	r.reason = c4_json_unplaced(is);
	if (r.reason)
		c4_tally_unplaced(t, &r);
	else
		c4_tally_route(t, &r);
	if (!w->has_previous)
		return;
	r.reason = c4_plan_move_reason(&w->f, c, &w->previous.routes[c->first + q], is);
	name_way(w, c, &w->previous.routes[c->first + q], r.from, &r.n_from);
	if (r.reason)
		c4_tally_move(t, &r);
}

static void print_table(const struct work *w, FILE *out)
{
	struct c4_plan_summary sum = {.max_load = w->plan.max_load,
				      .lower_bound = w->plan.lower_bound,
				      .max_util = w->plan.max_util,
				      .util_bound = w->plan.util_bound,
				      .n_routes = w->plan.n_routes - w->plan.n_unplaced};
	struct c4_tally t;

	c4_tally_init(&t);
	for (uint32_t i = 0; i < w->d.n_conns; i++)
		for (uint32_t q = 0; q < w->d.conns[i].qps; q++)
			tally_qp(w, &t, &w->d.conns[i], q);
	c4_tally_headline(&t, &sum, out);
	c4_tally_spines(&t, out);
	c4_tally_moves(&t, out);
	c4_tally_not_placed(&t, out);
	c4_tally_release(&t);
}

static int print_plan(const struct work *w, FILE *out)
{
	const struct c4_plan_json json = {.f = &w->f,
					  .d = &w->d,
					  .p = &w->plan,
					  .previous = w->has_previous ? &w->previous : NULL,
					  .load = opt.links ? w->load : NULL,
					  .oracle = w->oracle ? opt.oracle : NULL};

	if (opt.json)
		return c4_plan_json_write(out, &json);
	print_table(w, out);
	return fflush(out) || ferror(out) ? -errno : 0;
}

static void say_portless(const struct c4_oracle_stats *s)
{
	if (s->unknown)
		fprintf(stderr, "c4plan make: the path of %llu QPs is not known to any port yet\n",
			(unsigned long long)s->unknown);
	if (s->unreachable)
		fprintf(stderr, "c4plan make: no source port takes the path of %llu QPs\n",
			(unsigned long long)s->unreachable);
	if (s->crowded)
		fprintf(stderr, "c4plan make: %llu QPs found no port left for their pair of NICs\n",
			(unsigned long long)s->crowded);
}

static int print(const struct work *w)
{
	FILE *out = opt.out ? fopen(opt.out, "w") : stdout;
	int rc = out ? print_plan(w, out) : -errno;

	if (out && opt.out && fclose(out) && !rc)
		rc = -errno;
	if (rc) {
		fprintf(stderr, "c4plan make: %s: %s\n", opt.out ? opt.out : "standard output",
			strerror(-rc));
		return 1;
	}
	if (w->plan.n_unplaced)
		fprintf(stderr, "c4plan make: %u of %u QPs cannot be placed: the plan names them\n",
			w->plan.n_unplaced, w->plan.n_routes);
	if (w->oracle)
		say_portless(&w->oracle->stats);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int make(struct work *w)
{
	int rc = c4_input_demand(opt.demand, &w->f, &w->d);

	rc = rc ? rc : set_qps(w);
	rc = rc ? rc : read_previous(w);
	rc = rc ? rc : plan(w);
	rc = rc ? rc : find_ports(w);
	rc = rc ? rc : print(w);
	c4_oracle_free(w->oracle);
	c4_plan_release(&w->plan);
	c4_plan_release(&w->previous);
	c4_demand_release(&w->d);
	free(w->load);
	return rc;
}

int c4_cmd_make(int argc, char **argv)
{
	int first = c4_cli_parse(&cli, argc, argv), rc;
	struct work w = {0};

	if (first < argc)
		return c4_cli_misuse(&cli, "unexpected operand '%s'", argv[first]);
	if (!opt.fabric || !opt.demand)
		return c4_cli_misuse(&cli, "--fabric and --demand are needed");
	if (c4_input_fabric(opt.fabric, &w.f))
		return 1;
	rc = make(&w);
	c4_fabric_release(&w.f);
	return rc;
}
