// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/rows.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/table.h"

/* One column: head, JSON key, where in a row, and how it is written. A column that no row has is
 * left out. */
static const struct column {
	const char *head, *key;
	size_t at;
	const char *format;
} columns[] = {
	{"+slowest", "slowest", offsetof(struct c4_row, slowest), "%.3f"},
	{"+worst", "slowest_worst", offsetof(struct c4_row, worst), "%.3f"},
	{"+mean", "mean", offsetof(struct c4_row, mean), "%.3f"},
	{"+5 %", "p5", offsetof(struct c4_row, p5), "%.3f"},
	{"+fullest link", "max_util", offsetof(struct c4_row, util), "%.3f"},
	{"+bound", "bound", offsetof(struct c4_row, bound), "%.3f"},
	{"+of bound", "of_bound_worst", offsetof(struct c4_row, of_bound), "%.3f"},
	{"+Gbps", "job_gbps", offsetof(struct c4_row, job_gbps), "%.0f"},
	{"+probes", "probes_per_connection", offsetof(struct c4_row, probes), "%.1f"},
	{"+no port", "unpinned", offsetof(struct c4_row, unpinned), "%.3f"},
	{"+moved", "moves_per_event", offsetof(struct c4_row, moves), "%.1f"},
	{"+p95", "moves_p95", offsetof(struct c4_row, moves_p95), "%.0f"},
};

#define COLUMNS (sizeof columns / sizeof *columns)

static double value(const struct c4_row *r, const struct column *c)
{
	return *(const double *)((const char *)r + c->at);
}

static bool shown(const struct c4_rows *rows, const struct column *c)
{
	bool anything = false;

	for (uint32_t i = 0; i < rows->n; i++)
		anything |= c->at == offsetof(struct c4_row, unpinned)
				    ? value(&rows->row[i], c) > 0
				    : !isnan(value(&rows->row[i], c));
	return anything;
}

static const char *qps_text(const struct c4_row *r, char *buf, size_t n)
{
	if (r->qps_least == r->qps_most)
		snprintf(buf, n, "%u", r->qps_least);
	else
		snprintf(buf, n, "%u-%u", r->qps_least, r->qps_most);
	return buf;
}

static const char *cell(const struct c4_row *r, const struct column *c, char *buf, size_t n)
{
	double v = value(r, c);

	if (isnan(v))
		return "-";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, n, c->format, v);
#pragma GCC diagnostic pop
	return buf;
}

void c4_rows_print(const struct c4_rows *rows, FILE *f)
{
	const char *heads[COLUMNS + 3] = {"method", "+QPs"};
	struct c4_table t;
	char buf[32];
	uint32_t n = 2;

	for (size_t k = 0; k < COLUMNS && n < C4_TABLE_COLUMNS; k++)
		if (shown(rows, &columns[k]))
			heads[n++] = columns[k].head;
	c4_table_init(&t, heads);
	for (uint32_t i = 0; i < rows->n; i++) {
		const struct c4_row *r = &rows->row[i];

		c4_table_add(&t, "%s", r->method);
		c4_table_add(&t, "%s", qps_text(r, buf, sizeof buf));
		n = 2;
		for (size_t k = 0; k < COLUMNS && n < C4_TABLE_COLUMNS; k++)
			if (shown(rows, &columns[k]) && n++)
				c4_table_add(&t, "%s", cell(r, &columns[k], buf, sizeof buf));
	}
	c4_table_print(&t, f);
	c4_table_release(&t);
}

void c4_rows_markdown(const struct c4_rows *rows, FILE *f)
{
	char buf[32];

	fprintf(f, "| method | QPs |");
	for (size_t k = 0; k < COLUMNS; k++)
		if (shown(rows, &columns[k]))
			fprintf(f, " %s |", columns[k].head + 1);
	fprintf(f, "\n|---|--:|");
	for (size_t k = 0; k < COLUMNS; k++)
		if (shown(rows, &columns[k]))
			fprintf(f, "--:|");
	fputc('\n', f);
	for (uint32_t i = 0; i < rows->n; i++) {
		const struct c4_row *r = &rows->row[i];

		fprintf(f, "| %s | %s |", r->method, qps_text(r, buf, sizeof buf));
		for (size_t k = 0; k < COLUMNS; k++)
			if (shown(rows, &columns[k]))
				fprintf(f, " %s |", cell(r, &columns[k], buf, sizeof buf));
		fputc('\n', f);
	}
}

json_t *c4_rows_json(const struct c4_rows *rows)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < rows->n; i++) {
		const struct c4_row *r = &rows->row[i];
		json_t *o =
			json_pack("{s:s, s:I, s:I}", "method", r->method, "qps_least",
				  (json_int_t)r->qps_least, "qps_most", (json_int_t)r->qps_most);

		for (size_t k = 0; o && k < COLUMNS; k++)
			json_object_set_new(o, columns[k].key,
					    isnan(value(r, &columns[k]))
						    ? json_null()
						    : json_real(value(r, &columns[k])));
		json_array_append_new(list, o);
	}
	return list;
}
