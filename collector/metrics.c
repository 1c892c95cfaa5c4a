// SPDX-License-Identifier: BSD-3-Clause
#include "collector/metrics.h"

#include <inttypes.h>
#include <string.h>

#include "c4/version.h"
#include "collector/rank.h"
#include "collector/view.h"

#define METRIC_COMMS 64u
#define METRIC_RANKS 16u

struct sink {
	const struct c4_collector *c;
	struct c4_buf *out;
	const char *name; /* of the metric being written */
};

/* ---- samples --------------------------------------------------------------------------------- */

static void plain(struct sink *s, uint64_t v)
{
	c4_buf_printf(s->out, "%s %" PRIu64 "\n", s->name, v);
}

static void labelled(struct sink *s, const char *label, const char *value, uint64_t v)
{
	c4_buf_printf(s->out, "%s{%s=\"%s\"} %" PRIu64 "\n", s->name, label, value, v);
}

/* A label's value from outside: text is clean UTF-8 already, these two would end the string. */
static void escaped(struct c4_buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			c4_buf_add(out, "\\", 1);
		c4_buf_add(out, text, 1);
	}
}

static void write_build(struct sink *s)
{
	labelled(s, "version", C4_VERSION, 1);
}

static void write_jobs(struct sink *s)
{
	uint64_t n[C4_JOB_STATE_MAX] = {0};

	for (uint32_t i = 0; i < s->c->model.njobs; i++)
		n[s->c->model.jobs[i]->state]++;
	for (int i = 0; i < C4_JOB_STATE_MAX; i++)
		labelled(s, "state", c4_job_state_name((enum c4_job_state)i), n[i]);
}

static void write_ranks(struct sink *s)
{
	uint64_t n[C4_RANK_STATE_MAX] = {0};

	for (uint32_t i = 0; i < s->c->model.njobs; i++)
		for (int k = 0; k < C4_RANK_STATE_MAX; k++)
			n[k] += s->c->model.jobs[i]->by_state[k];
	for (int k = 0; k < C4_RANK_STATE_MAX; k++)
		labelled(s, "state", c4_rank_state_name((enum c4_rank_state)k), n[k]);
}

static void write_comms(struct sink *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->c->model.njobs; i++)
		n += s->c->model.jobs[i]->comms_live;
	plain(s, n);
}

static void write_agents(struct sink *s)
{
	plain(s, s->c->model.agents.used);
}

static void write_posts(struct sink *s)
{
	plain(s, s->c->stats.posts);
}

static void write_post_bytes(struct sink *s)
{
	plain(s, s->c->stats.post_bytes);
}

static void write_posts_refused(struct sink *s)
{
#define C4_X(sym, label, status)                                                                   \
	labelled(s, "reason", label, s->c->stats.posts_refused[C4_POST_##sym]);
	C4_POST_REFUSALS(C4_X)
#undef C4_X
}

static void write_parts_refused(struct sink *s)
{
#define C4_X(sym, label) labelled(s, "reason", label, s->c->stats.parts_refused[C4_PART_##sym]);
	C4_PART_REFUSALS(C4_X)
#undef C4_X
}

static void write_incidents(struct sink *s)
{
	for (int k = 0; k < C4_INC_MAX; k++)
		labelled(s, "kind", c4_incident_kind_name((enum c4_incident_kind)k),
			 s->c->incidents.total[k]);
}

static void write_incidents_open(struct sink *s)
{
	uint64_t n[C4_INC_MAX] = {0};

	for (uint32_t i = 0; i < s->c->incidents.n; i++) {
		const struct c4_incident *in = s->c->incidents.v[i];

		n[in->kind] += c4_incident_open(in) && c4_incident_public(in);
	}
	for (int k = 0; k < C4_INC_MAX; k++)
		labelled(s, "kind", c4_incident_kind_name((enum c4_incident_kind)k), n[k]);
}

static void write_incidents_refused(struct sink *s)
{
	plain(s, s->c->incidents.refused);
}

static void write_comm(struct sink *s, const struct c4_job *j, const struct c4_comm *c, double v)
{
	c4_buf_printf(s->out, "%s{job=\"", s->name);
	escaped(s->out, j->name);
	c4_buf_printf(s->out, "\",communicator=\"");
	escaped(s->out, c->name);
	c4_buf_printf(s->out, "\"} %.6g\n", v);
}

/* Of running jobs, newest first, a job's communicators in the order they were made. */
static void each_comm(struct sink *s, double (*value)(const struct c4_comm *))
{
	uint32_t left = METRIC_COMMS;

	for (uint32_t i = s->c->model.njobs; i-- > 0;) {
		const struct c4_job *j = s->c->model.jobs[i];

		for (uint32_t k = 0; !j->over_ns && k < j->ncomms && left; k++) {
			if (!j->comms[k])
				continue;
			write_comm(s, j, j->comms[k], value(j->comms[k]));
			left--;
		}
	}
}

/* Of those with connections whose transport is seen. */
static void write_path_excess(struct sink *s)
{
	uint32_t left = METRIC_COMMS;

	for (uint32_t i = s->c->model.njobs; i-- > 0;) {
		const struct c4_job *j = s->c->model.jobs[i];

		for (uint32_t k = 0; !j->over_ns && j->memory && k < j->ncomms && left; k++) {
			const struct c4_comm *c = j->comms[k];

			if (!c || !c->conns.serial)
				continue;
			write_comm(s, j, c, c4_diag_worst_excess(j->memory, c->id, k));
			left--;
		}
	}
}

static void write_conns(struct sink *s)
{
	plain(s, s->c->model.conns);
}

static double ops_of(const struct c4_comm *c)
{
	return (double)c4_comm_ops(c);
}

static void write_ops(struct sink *s)
{
	each_comm(s, ops_of);
}

static void write_busbw(struct sink *s)
{
	each_comm(s, c4_comm_busbw_gbps);
}

struct late {
	const struct c4_job *job;
	uint32_t rank;
	double ms;
};

static void late_keep(struct late *top, uint32_t *n, struct late one)
{
	uint32_t at = *n;

	while (at && one.ms > top[at - 1].ms)
		at--;
	if (at >= METRIC_RANKS)
		return;
	*n += *n < METRIC_RANKS;
	memmove(&top[at + 1], &top[at], (*n - at - 1) * sizeof *top);
	top[at] = one;
}

static void write_lateness(struct sink *s)
{
	struct late top[METRIC_RANKS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->c->model.njobs; i++) {
		const struct c4_job *j = s->c->model.jobs[i];

		for (uint32_t r = 0; !j->over_ns && r < j->nranks; r++)
			if (j->now[r].seen)
				late_keep(top, &n,
					  (struct late){j, r,
							c4_view_shares(&j->ranks[r]).lateness_ms});
	}
	for (uint32_t i = 0; i < n; i++) {
		c4_buf_printf(s->out, "%s{job=\"", s->name);
		escaped(s->out, top[i].job->name);
		c4_buf_printf(s->out, "\",rank=\"%u\"} %.6g\n", top[i].rank, top[i].ms / 1e3);
	}
}

static void write_windows(struct sink *s)
{
	plain(s, s->c->stats.windows);
}

static void write_windows_incomplete(struct sink *s)
{
	plain(s, s->c->stats.windows_incomplete);
}

static void write_comms_evicted(struct sink *s)
{
	plain(s, s->c->stats.comms_evicted);
}

static void write_jobs_evicted(struct sink *s)
{
	plain(s, s->c->stats.jobs_evicted);
}

static void write_store_errors(struct sink *s)
{
	plain(s, c4_keeper_errors(s->c->keeper));
}

static void write_judge_failures(struct sink *s)
{
	plain(s, s->c->stats.verdicts_failed);
}

static void write_gaps(struct sink *s)
{
	plain(s, s->c->clock.gaps);
}

static void summary(struct sink *s, uint64_t ns, uint64_t count)
{
	c4_buf_printf(s->out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", s->name, (double)ns / 1e9,
		      s->name, count);
}

static void write_tick(struct sink *s)
{
	summary(s, s->c->stats.tick_ns, s->c->stats.ticks);
}

static void write_judge(struct sink *s)
{
	summary(s, s->c->stats.judge_ns, s->c->stats.judgements);
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct metric {
	const char *name, *type, *help;
	void (*write)(struct sink *);
} metrics[] = {
	{"c4_build_info", "gauge", "Version of the collector.", write_build},
	{"c4_jobs", "gauge", "Jobs known, by state.", write_jobs},
	{"c4_ranks", "gauge", "Ranks seen, by state.", write_ranks},
	{"c4_communicators", "gauge", "Communicators known.", write_comms},
	{"c4_connections", "gauge", "Connections of communicators known.", write_conns},
	{"c4_path_excess", "gauge",
	 "Time per byte of a communicator's slowest connection beyond the usual, as a multiple of "
	 "it.",
	 write_path_excess},
	{"c4_agents", "gauge", "Agents heard of in the last minutes.", write_agents},
	{"c4_posts_total", "counter", "Posts received.", write_posts},
	{"c4_post_bytes_total", "counter", "Bytes of posts received.", write_post_bytes},
	{"c4_posts_rejected_total", "counter", "Posts refused, by reason.", write_posts_refused},
	{"c4_parts_rejected_total", "counter", "Parts of posts left out, by reason.",
	 write_parts_refused},
	{"c4_incidents_total", "counter", "Incidents confirmed, by kind.", write_incidents},
	{"c4_incidents_open", "gauge", "Incidents open now, by kind.", write_incidents_open},
	{"c4_incidents_dropped_total", "counter", "Verdicts that found no room.",
	 write_incidents_refused},
	{"c4_communicator_ops_total", "counter", "Operations finished on a communicator.",
	 write_ops},
	{"c4_busbw_gbps", "gauge", "Bus bandwidth of a communicator since its creation, Gbit/s.",
	 write_busbw},
	{"c4_lateness_seconds", "gauge", "Mean lateness of the latest ranks.", write_lateness},
	{"c4_windows_total", "counter", "Windows of operations joined over all members.",
	 write_windows},
	{"c4_windows_incomplete_total", "counter", "Windows in which a member or operation missed.",
	 write_windows_incomplete},
	{"c4_communicators_evicted_total", "counter", "Freed communicators forgotten for room.",
	 write_comms_evicted},
	{"c4_jobs_evicted_total", "counter", "Ended jobs forgotten for room.", write_jobs_evicted},
	{"c4_store_errors_total", "counter", "Failed writes to the incident store.",
	 write_store_errors},
	{"c4_judge_failures_total", "counter", "Judgements given up for want of memory.",
	 write_judge_failures},
	{"c4_clock_gaps_total", "counter", "Periods in which the collector itself did not run.",
	 write_gaps},
	{"c4_tick_seconds", "summary", "Time of one round over all jobs.", write_tick},
	{"c4_judge_seconds", "summary", "Time of one judgement of one job.", write_judge},
};

void c4_metrics_write(const struct c4_collector *c, struct c4_buf *out)
{
	for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
		const struct metric *m = &metrics[i];
		struct sink s = {.c = c, .out = out, .name = m->name};

		c4_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			      m->type);
		m->write(&s);
	}
}
