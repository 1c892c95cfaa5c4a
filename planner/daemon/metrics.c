// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/metrics.h"

#include <inttypes.h>

#include "c4/version.h"

struct sink {
	const struct c4_planner *p;
	struct c4_buf *out;
	const char *name; /* of the metric being written */
};

/* ---- samples --------------------------------------------------------------------------------- */

static void plain(struct sink *s, uint64_t v)
{
	c4_buf_printf(s->out, "%s %" PRIu64 "\n", s->name, v);
}

static void real(struct sink *s, double v)
{
	c4_buf_printf(s->out, "%s %.9g\n", s->name, v);
}

static void labelled(struct sink *s, const char *label, const char *value, uint64_t v)
{
	c4_buf_printf(s->out, "%s{%s=\"%s\"} %" PRIu64 "\n", s->name, label, value, v);
}

static void write_build(struct sink *s)
{
	labelled(s, "version", C4_VERSION, 1);
}

static void write_version(struct sink *s)
{
	plain(s, s->p->edition->version);
}

static void write_routes(struct sink *s)
{
	plain(s, s->p->edition->plan.n_routes);
}

static void write_unplaced(struct sink *s)
{
	plain(s, s->p->edition->plan.n_unplaced);
}

static void write_load(struct sink *s)
{
	real(s, s->p->edition->plan.max_load);
}

static void write_bound(struct sink *s)
{
	real(s, s->p->edition->plan.lower_bound);
}

static void write_util(struct sink *s)
{
	real(s, s->p->edition->plan.max_util);
}

static void write_util_bound(struct sink *s)
{
	real(s, s->p->edition->plan.util_bound);
}

static void write_seconds(struct sink *s)
{
	c4_buf_printf(s->out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", s->name,
		      (double)s->p->stats.plan_ns / 1e9, s->name, s->p->stats.plans);
}

static void write_last_seconds(struct sink *s)
{
	real(s, (double)s->p->stats.last_plan_ns / 1e9);
}

static void write_moves(struct sink *s)
{
	for (int i = 0; i < C4_SHIFT_MAX; i++)
		labelled(s, "reason", c4_shift_reason_name((enum c4_shift_reason)i),
			 s->p->stats.moves[i]);
}

static void write_problems(struct sink *s)
{
	for (int i = 0; i < C4_PROBLEM_MAX; i++)
		labelled(s, "part", c4_planner_problem_name((enum c4_planner_problem)i),
			 s->p->problems[i][0] != '\0');
}

static void write_fetches(struct sink *s)
{
	plain(s, s->p->stats.fetches);
}

static void write_fetch_errors(struct sink *s)
{
	plain(s, s->p->stats.fetch_errors);
}

static void write_fabric_errors(struct sink *s)
{
	plain(s, s->p->stats.fabric_errors);
}

static void write_save_errors(struct sink *s)
{
	plain(s, s->p->stats.save_errors);
}

static void write_skipped(struct sink *s)
{
	plain(s, s->p->stats.skipped);
}

static void write_reports(struct sink *s)
{
	plain(s, s->p->stats.link_reports);
}

static void write_reports_refused(struct sink *s)
{
	plain(s, s->p->stats.link_refused);
}

static void write_links(struct sink *s)
{
	plain(s, s->p->edition->links.n);
}

static void write_ports(struct sink *s)
{
	const struct c4_oracle_stats *o = &s->p->stats.ports;

	labelled(s, "answer", "found", o->found);
	labelled(s, "answer", "unknown", o->unknown);
	labelled(s, "answer", "unreachable", o->unreachable);
	labelled(s, "answer", "crowded", o->crowded);
}

static void write_agents(struct sink *s)
{
	plain(s, s->p->routes.agents.n);
}

static void write_flows(struct sink *s)
{
	plain(s, s->p->routes.flows.n);
}

static void write_pairs(struct sink *s)
{
	plain(s, s->p->routes.pairs.planned);
}

static void write_routes_counts(struct sink *s)
{
	for (int i = 0; i < C4_ROUTES_COUNT_MAX; i++)
		labelled(s, "what", c4_routes_count_names[i], s->p->routes.counts[i]);
}

static void write_suspects(struct sink *s)
{
	uint64_t n[C4_SUSPECT_CLEARED + 1] = {0};

	for (uint32_t i = 0; i < s->p->routes.suspects.n; i++)
		n[s->p->routes.suspects.v[i].state]++;
	for (int i = 0; i <= C4_SUSPECT_CLEARED; i++)
		labelled(s, "state", c4_suspect_state_name((enum c4_suspect_state)i), n[i]);
}

static void write_told(struct sink *s)
{
	labelled(s, "result", "ok", s->p->talk.told);
	labelled(s, "result", "failed", s->p->talk.tell_errors);
}

static void write_heard(struct sink *s)
{
	labelled(s, "result", "ok", s->p->talk.heard);
	labelled(s, "result", "failed", s->p->talk.hear_errors);
}

static void write_words(struct sink *s)
{
	uint64_t n[C4_HEARD_ENDS + 1] = {0};

	for (uint32_t i = 0; i < s->p->routes.heard.n; i++)
		n[s->p->routes.heard.v[i].state]++;
	for (int i = 0; i <= C4_HEARD_ENDS; i++)
		labelled(s, "state", c4_heard_state_name((enum c4_heard_state)i), n[i]);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct metric {
	const char *name, *type, *help;
	void (*write)(struct sink *);
} metrics[] = {
	{"c4_build_info", "gauge", "Version of the planner.", write_build},
	{"c4_plan_version", "gauge", "Version of the plan.", write_version},
	{"c4_plan_routes", "gauge", "QPs planned, placed or not.", write_routes},
	{"c4_plan_unplaced", "gauge", "QPs that no live path can carry.", write_unplaced},
	{"c4_plan_max_link_load", "gauge", "Load of the fullest link.", write_load},
	{"c4_plan_lower_bound", "gauge", "No plan has a lower load than this.", write_bound},
	{"c4_plan_max_utilization", "gauge", "Utilisation of the fullest link.", write_util},
	{"c4_plan_utilization_bound", "gauge", "No plan has a lower utilisation than this.",
	 write_util_bound},
	{"c4_plan_seconds", "summary", "Time of making a plan.", write_seconds},
	{"c4_plan_last_seconds", "gauge", "Time of making the newest plan.", write_last_seconds},
	{"c4_plan_moves_total", "counter", "QPs that got another path, by reason.", write_moves},
	{"c4_planner_problem", "gauge", "1 while something is wrong, by part.", write_problems},
	{"c4_planner_fetches_total", "counter", "Looks at the demand.", write_fetches},
	{"c4_planner_collector_errors_total", "counter",
	 "Looks at the demand, of the collector or its file, that failed.", write_fetch_errors},
	{"c4_planner_fabric_errors_total", "counter", "Fabric files refused.", write_fabric_errors},
	{"c4_planner_state_errors_total", "counter", "Failed writes of the state file.",
	 write_save_errors},
	{"c4_planner_unknown_communicators", "gauge",
	 "Communicators left out, their members are on no host of the fabric.", write_skipped},
	{"c4_planner_link_reports_total", "counter", "Link reports accepted.", write_reports},
	{"c4_planner_link_reports_refused_total", "counter",
	 "Link reports accepted that did not fit the fabric any more.", write_reports_refused},
	{"c4_links_reported", "gauge", "Links whose rate differs from the fabric file.",
	 write_links},
	{"c4_routes_agents", "gauge", "Agents that report.", write_agents},
	{"c4_routes_flows", "gauge", "Connections that agents see.", write_flows},
	{"c4_routes_pairs", "gauge", "Pairs of hosts planned because of what they carry.",
	 write_pairs},
	{"c4_routes_total", "counter", "What agents reported and were told.", write_routes_counts},
	{"c4_link_suspects", "gauge",
	 "Links that connections, or the collector, show to be slow or full.", write_suspects},
	{"c4_planner_told_total", "counter", "Words to the collector about links.", write_told},
	{"c4_planner_heard_total", "counter", "Looks at the collector's verdicts on the network.",
	 write_heard},
	{"c4_slow_pairs", "gauge",
	 "Pairs of hosts that the collector calls slow, by what became of its word.", write_words},
	{"c4_oracle_ports_total", "counter",
	 "Source ports asked for, by whether one takes the path.", write_ports},
};

void c4_planner_metrics_write(const struct c4_planner *p, struct c4_buf *out)
{
	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
		const struct metric *m = &metrics[i];
		struct sink s = {.p = p, .out = out, .name = m->name};

		c4_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			      m->type);
		m->write(&s);
	}
}
