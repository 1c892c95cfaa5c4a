// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/show.h"

#include <string.h>

#include "common/fmt.h"
#include "common/table.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

/* A number that may be null. */
static void add_number(struct c4_table *t, const json_t *o, const char *key, const char *fmt,
		       double scale)
{
	const json_t *v = json_object_get(o, key);
	char buf[64];

	if (!json_is_number(v)) {
		c4_table_add(t, "-");
		return;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(buf, sizeof buf, fmt, json_number_value(v) * scale);
#pragma GCC diagnostic pop
	c4_table_add(t, "%s", buf);
}

static void add_count(struct c4_table *t, const json_t *o, const char *key)
{
	c4_table_add(t, "%.0f", number(o, key));
}

/* ---- jobs ------------------------------------------------------------------------------------ */

void c4_show_jobs(const json_t *answer, FILE *f)
{
	static const char *const heads[] = {"JOB",  "STATE",	"+RANKS", "+NODES",  "+COMMS",
					    "+OPS", "+STEP MS", "+OPEN",  "STARTED", NULL};
	const json_t *list = json_object_get(answer, "jobs"), *j;
	struct c4_table t;
	size_t i;

	if (!json_array_size(list)) {
		fprintf(f, "no jobs\n");
		return;
	}
	c4_table_init(&t, heads);
	json_array_foreach(list, i, j)
	{
		char ops[C4_FMT_BYTES];

		c4_table_add(&t, "%s", text(j, "job"));
		c4_table_add(&t, "%s", text(j, "state"));
		c4_table_add(&t, "%.0f/%.0f", number(j, "ranks_seen"), number(j, "ranks"));
		c4_table_add(&t, "%zu", json_array_size(json_object_get(j, "nodes")));
		add_count(&t, j, "communicators");
		c4_table_add(&t, "%s", c4_fmt_count(ops, sizeof ops, (uint64_t)number(j, "ops")));
		add_number(&t, j, "step_ms", "%.2f", 1);
		add_count(&t, j, "incidents");
		c4_table_add(&t, "%s", text(j, "started"));
	}
	c4_table_print(&t, f);
	c4_table_release(&t);
}

/* ---- ranks ----------------------------------------------------------------------------------- */

static void add_inside(struct c4_table *t, const json_t *in)
{
	char age[C4_FMT_BYTES];

	if (!json_is_object(in)) {
		c4_table_add(t, "-");
		return;
	}
	c4_fmt_duration(age, sizeof age, (uint64_t)(number(in, "for_ms") * 1e6));
	c4_table_add(t, "%s #%.0f of %s for %s", text(in, "op"), number(in, "opno"),
		     text(in, "communicator"), age);
}

void c4_show_ranks(const json_t *answer, FILE *f)
{
	static const char *const heads[] = {"JOB",	"+RANK",  "NODE",   "+PID",
					    "STATE",	"+CPU",	  "+OWN %", "+WAIT %",
					    "+LATE MS", "INSIDE", NULL};
	const json_t *list = json_object_get(answer, "ranks"), *r;
	struct c4_table t;
	size_t i;

	if (!json_array_size(list)) {
		fprintf(f, "no ranks\n");
		return;
	}
	c4_table_init(&t, heads);
	json_array_foreach(list, i, r)
	{
		c4_table_add(&t, "%s", text(r, "job"));
		add_count(&t, r, "rank");
		c4_table_add(&t, "%s", text(r, "node"));
		add_count(&t, r, "pid");
		c4_table_add(&t, "%s", text(r, "state"));
		add_number(&t, r, "cpu", "%.2f", 1);
		add_number(&t, r, "own_share", "%.1f", 100);
		add_number(&t, r, "wait_share", "%.1f", 100);
		add_number(&t, r, "lateness_ms", "%.2f", 1);
		add_inside(&t, json_object_get(r, "inside"));
	}
	c4_table_print(&t, f);
	c4_table_release(&t);
}

/* ---- communicators ----------------------------------------------------------------------------
 */

static void add_latest(struct c4_table *t, const json_t *list)
{
	const json_t *first = json_array_get(list, 0);

	if (first)
		c4_table_add(t, "rank %.0f (%s) %.2f ms", number(first, "rank"),
			     text(first, "node"), number(first, "lateness_ms"));
	else
		c4_table_add(t, "-");
}

static void add_comm_name(struct c4_table *t, const json_t *c)
{
	if (number(c, "aborted") > 0)
		c4_table_add(t, "%s (aborted by %.0f)", text(c, "name"), number(c, "aborted"));
	else if (number(c, "broken") > 0)
		c4_table_add(t, "%s (broken on %.0f)", text(c, "name"), number(c, "broken"));
	else
		c4_table_add(t, "%s", text(c, "name"));
}

void c4_show_comms(const json_t *answer, FILE *f)
{
	static const char *const heads[] = {"JOB",     "COMMUNICATOR", "+SIZE", "+OPS",	  "+BYTES",
					    "+TIME %", "+BUSBW Gb/s",  "+P2P",	"LATEST", NULL};
	const json_t *list = json_object_get(answer, "comms"), *c;
	struct c4_table t;
	size_t i;

	if (!json_array_size(list)) {
		fprintf(f, "no communicators\n");
		return;
	}
	c4_table_init(&t, heads);
	json_array_foreach(list, i, c)
	{
		char ops[C4_FMT_BYTES], bytes[C4_FMT_BYTES], p2p[C4_FMT_BYTES];

		c4_table_add(&t, "%s", text(c, "job"));
		add_comm_name(&t, c);
		add_count(&t, c, "size");
		c4_table_add(&t, "%s", c4_fmt_count(ops, sizeof ops, (uint64_t)number(c, "ops")));
		c4_table_add(&t, "%s", c4_fmt_bytes(bytes, sizeof bytes, number(c, "bytes")));
		add_number(&t, c, "time_share", "%.1f", 100);
		add_number(&t, c, "busbw_gbps", "%.3f", 1);
		c4_table_add(&t, "%s", c4_fmt_bytes(p2p, sizeof p2p, number(c, "p2p_bytes")));
		add_latest(&t, json_object_get(c, "latest"));
	}
	c4_table_print(&t, f);
	c4_table_release(&t);
}

/* ---- incidents ------------------------------------------------------------------------------- */

void c4_show_incidents(const json_t *answer, FILE *f)
{
	static const char *const heads[] = {"ID",    "JOB",	  "KIND",    "STATE",
					    "+CONF", "CONFIRMED", "SUMMARY", NULL};
	const json_t *list = json_object_get(answer, "incidents"), *in;
	struct c4_table t;
	size_t i;

	if (!json_array_size(list)) {
		fprintf(f, "no incidents\n");
		return;
	}
	c4_table_init(&t, heads);
	json_array_foreach(list, i, in)
	{
		c4_table_add(&t, "%s", text(in, "id"));
		c4_table_add(&t, "%s", text(in, "job"));
		c4_table_add(&t, "%s", text(in, "kind"));
		c4_table_add(&t, "%s", text(in, "state"));
		add_number(&t, in, "confidence", "%.2f", 1);
		c4_table_add(&t, "%s", text(in, "confirmed"));
		c4_table_add(&t, "%s", text(in, "summary"));
	}
	c4_table_print(&t, f);
	c4_table_release(&t);
}
