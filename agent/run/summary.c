// SPDX-License-Identifier: BSD-3-Clause
#include "agent/run/summary.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/run/text.h"
#include "common/fmt.h"

#define COMMS_SHOWN	20
#define LATEST_SHOWN	3
#define INCIDENTS_SHOWN 100
#define NAME_COLUMNS	20
#define SEPARATOR	" · "

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void render_header(struct c4_buf *out, const json_t *report, const char *outcome)
{
	uint64_t ranks = c4_count_of(report, "ranks");
	uint64_t seen = c4_count_of(report, "ranks_seen");
	uint64_t nodes = c4_count_of(report, "nodes");
	double duration_s = c4_number_of(report, "duration_s");
	char job[C4_TEXT], took[C4_FMT_BYTES];

	c4_buf_printf(out, "c4: job %s: ", c4_text_of(report, "job", job, sizeof job));
	if (ranks || seen) {
		c4_buf_printf(out, "%llu rank%s on %llu node%s", (unsigned long long)ranks,
			      plural(ranks), (unsigned long long)nodes, plural(nodes));
		if (seen < ranks)
			c4_buf_printf(out, " (%llu seen)", (unsigned long long)seen);
		c4_fmt_duration(took, sizeof took, (uint64_t)(duration_s * 1e9));
		c4_buf_printf(out, ", %s, ", took);
	}
	c4_buf_printf(out, "%s\n", outcome);
}

static void render_unseen(struct c4_buf *out, const json_t *report)
{
	const char *error = json_string_value(json_object_get(report, "error"));
	char clean[C4_TEXT];

	if (error) {
		c4_buf_printf(out, "c4: nothing to report: %s\n",
			      c4_text_clean(clean, sizeof clean, error));
		return;
	}
	c4_buf_printf(
		out,
		"c4: no rank reported. Likely one of:\n"
		"c4:   not an MPI or NCCL program, or it ended before it used them\n"
		"c4:   linked statically, or an MPI that is not Open MPI: the hook cannot see it\n"
		"c4:   all ranks on other nodes: put c4run in front of the program, as in\n"
		"c4:   mpirun … c4run --collector HOST:PORT ./program\n");
}

static void percent(char *buf, size_t n, double share)
{
	double v = share * 100;

	snprintf(buf, n, v > 0 && v < 9.95 ? "%.1f %%" : "%.0f %%", v);
}

static void render_latest(struct c4_buf *out, const json_t *comm)
{
	size_t i;
	json_t *late;

	json_array_foreach(json_object_get(comm, "latest"), i, late)
	{
		double ms = c4_number_of(late, "lateness_ms");
		char node[64], took[C4_FMT_BYTES];

		if (i == LATEST_SHOWN)
			break;
		c4_text_of(late, "node", node, sizeof node);
		c4_fmt_duration(took, sizeof took, ms > 0 ? (uint64_t)(ms * 1e6) : 0);
		c4_buf_printf(out, "%s%llu%s%s%s %s", i ? ", " : "",
			      (unsigned long long)c4_count_of(late, "rank"), *node ? " (" : "",
			      node, *node ? ")" : "", took);
	}
}

/* printf counts bytes, a table counts characters. */
static void cell(struct c4_buf *out, const char *text, size_t columns, bool left)
{
	size_t width = c4_text_width(text);
	size_t fits = c4_text_fit(text, columns);
	int blanks = width < columns ? (int)(columns - width) : 0;

	if (left)
		c4_buf_printf(out, "%.*s%*s", (int)fits, text, blanks, "");
	else
		c4_buf_printf(out, "  %*s%.*s", blanks, "", (int)fits, text);
}

static void render_comm(struct c4_buf *out, const json_t *comm)
{
	char text[C4_TEXT];

	c4_buf_printf(out, "c4:   ");
	c4_text_of(comm, "name", text, sizeof text);
	cell(out, *text ? text : "(unnamed)", NAME_COLUMNS, true);
	snprintf(text, sizeof text, "%llu", (unsigned long long)c4_count_of(comm, "size"));
	cell(out, text, 6, false);
	cell(out, c4_fmt_count(text, sizeof text, c4_count_of(comm, "ops")), 6, false);
	cell(out, c4_fmt_bytes(text, sizeof text, c4_number_of(comm, "bytes")), 8, false);
	percent(text, sizeof text, c4_number_of(comm, "time_share"));
	cell(out, text, 6, false);
	cell(out, c4_text_rate(text, sizeof text, c4_number_of(comm, "algbw_gbps")), 9, false);
	cell(out, c4_text_rate(text, sizeof text, c4_number_of(comm, "busbw_gbps")), 9, false);
	cell(out, c4_fmt_count(text, sizeof text, c4_count_of(comm, "p2p_messages")), 6, false);
	c4_buf_printf(out, "  ");
	render_latest(out, comm);
	while (out->len && !out->failed && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
	c4_buf_printf(out, "\n");
}

static int by_time_share(const void *a, const void *b)
{
	double x = c4_number_of(*(json_t *const *)a, "time_share");
	double y = c4_number_of(*(json_t *const *)b, "time_share");

	return (x < y) - (x > y);
}

static void render_comms(struct c4_buf *out, const json_t *comms)
{
	size_t n = json_array_size(comms), i;
	const json_t **sorted = n ? calloc(n, sizeof(const json_t *)) : NULL;

	if (!sorted)
		return;
	for (i = 0; i < n; i++)
		sorted[i] = json_array_get(comms, i);
	qsort(sorted, n, sizeof(const json_t *), by_time_share);
	c4_buf_printf(out, "c4:   %-*s  %6s  %6s  %8s  %6s  %9s  %9s  %6s  %s\n", NAME_COLUMNS,
		      "communicator", "size", "ops", "bytes", "time", "algbw", "busbw", "p2p",
		      "latest ranks");
	for (i = 0; i < n && i < COMMS_SHOWN; i++)
		render_comm(out, sorted[i]);
	if (n > COMMS_SHOWN)
		c4_buf_printf(out, "c4:   … and %zu with a smaller share of time\n",
			      n - COMMS_SHOWN);
	free(sorted);
}

static void render_losses(struct c4_buf *out, const json_t *losses)
{
	const char *key, *before = "c4: not recorded: ";
	json_t *value;

	json_object_foreach((json_t *)losses, key, value)
	{
		double n = json_number_value(value);
		char clean[64];

		if (!(n > 0))
			continue;
		for (char *p = (char *)c4_text_clean(clean, sizeof clean, key); *p; p++)
			*p = *p == '_' ? ' ' : *p;
		c4_buf_printf(out, "%s%.0f %s", before, n, clean);
		before = ", ";
	}
	if (*before == ',')
		c4_buf_printf(out, "\n");
}

static void render_incident(struct c4_buf *out, const json_t *incident)
{
	double detect_ms = c4_number_of(incident, "detect_ms");
	char kind[32], state[16], summary[C4_TEXT], took[C4_FMT_BYTES];

	c4_text_of(incident, "kind", kind, sizeof kind);
	c4_text_of(incident, "state", state, sizeof state);
	c4_text_of(incident, "summary", summary, sizeof summary);
	c4_buf_printf(out, "c4:   %-10s %s (%s", kind, summary, state);
	if (detect_ms > 0)
		c4_buf_printf(out, ", named after %s",
			      c4_fmt_duration(took, sizeof took, (uint64_t)(detect_ms * 1e6)));
	c4_buf_printf(out, ")\n");
}

static void render_incidents(struct c4_buf *out, const json_t *incidents)
{
	size_t n = json_array_size(incidents);

	if (!n) {
		c4_buf_printf(out, "c4: no incidents\n");
		return;
	}
	c4_buf_printf(out, "c4: %zu incident%s\n", n, plural(n));
	for (size_t i = 0; i < n && i < INCIDENTS_SHOWN; i++)
		render_incident(out, json_array_get(incidents, i));
	if (n > INCIDENTS_SHOWN)
		c4_buf_printf(out, "c4:   … and %zu more\n", n - INCIDENTS_SHOWN);
}

void c4_summary_render(struct c4_buf *out, const json_t *report, const char *outcome)
{
	const json_t *incidents = json_object_get(report, "incidents");
	bool seen = c4_count_of(report, "ranks_seen") || c4_count_of(report, "ranks");

	render_header(out, report, outcome);
	if (seen)
		render_comms(out, json_object_get(report, "communicators"));
	else
		render_unseen(out, report);
	render_losses(out, json_object_get(report, "losses"));
	if (seen || json_array_size(incidents))
		render_incidents(out, incidents);
}

static const json_t *world_of(const json_t *comms)
{
	size_t i;
	json_t *comm;

	json_array_foreach((json_t *)comms, i, comm)
	{
		const char *name = json_string_value(json_object_get(comm, "name"));

		if (name && !strcmp(name, "world"))
			return comm;
	}
	return NULL;
}

static void render_progress(struct c4_buf *out, const json_t *job, const json_t *comms)
{
	uint64_t ranks = c4_count_of(job, "ranks");
	size_t nodes = json_array_size(json_object_get(job, "nodes"));
	double step_ms = c4_number_of(job, "step_ms");
	double busbw = c4_number_of(world_of(comms), "busbw_gbps");
	char text[C4_FMT_BYTES];

	c4_buf_printf(out, "%llu rank%s on %zu node%s", (unsigned long long)ranks, plural(ranks),
		      nodes, plural(nodes));
	c4_buf_printf(out, SEPARATOR "%s ops",
		      c4_fmt_count(text, sizeof text, c4_count_of(job, "ops")));
	if (step_ms > 0)
		c4_buf_printf(out, SEPARATOR "step %s",
			      c4_fmt_duration(text, sizeof text, (uint64_t)(step_ms * 1e6)));
	if (busbw > 0)
		c4_buf_printf(out, SEPARATOR "world busbw %s",
			      c4_text_rate(text, sizeof text, busbw));
}

void c4_status_render(struct c4_buf *out, const json_t *job, const json_t *comms, uint64_t at_ns,
		      unsigned int incidents, const char *newest, const char *trouble)
{
	unsigned long long s = at_ns / 1000000000u;

	c4_buf_printf(out, "c4  %02llu:%02llu  ", s / 60, s % 60);
	if (trouble)
		c4_buf_printf(out, "%s", trouble);
	else if (job && (c4_count_of(job, "ranks") || c4_count_of(job, "ranks_seen")))
		render_progress(out, job, comms);
	else
		c4_buf_printf(out, "no rank has reported yet");
	if (incidents)
		c4_buf_printf(out, SEPARATOR "%u incident%s: %s", incidents, plural(incidents),
			      newest);
}
