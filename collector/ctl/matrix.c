// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ctl/show.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/fmt.h"
#include "common/table.h"

#define GRID_RANKS 16u /* at most so many sources and destinations make a grid … */
#define WORST	   20u /* … of larger matrices the slowest cells are listed */
#define HOT	   0.3 /* excess that is marked */

static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "-";
}

/* ---- who is in it ---------------------------------------------------------------------------- */

struct ranks {
	uint32_t n;
	int rank[GRID_RANKS];
};

/* Keeps them sorted; false: too many. */
static bool add_rank(struct ranks *r, int rank)
{
	uint32_t at = 0;

	while (at < r->n && r->rank[at] < rank)
		at++;
	if (at < r->n && r->rank[at] == rank)
		return true;
	if (r->n == GRID_RANKS)
		return false;
	for (uint32_t i = r->n++; i > at; i--)
		r->rank[i] = r->rank[i - 1];
	r->rank[at] = rank;
	return true;
}

static bool small(const json_t *cells, struct ranks *r)
{
	const json_t *c;
	size_t i;

	r->n = 0;
	json_array_foreach(cells, i, c)
	{
		if (!add_rank(r, (int)number(c, "src")) || !add_rank(r, (int)number(c, "dst")))
			return false;
	}
	return true;
}

/* ---- a grid ---------------------------------------------------------------------------------- */

static const json_t *cell_at(const json_t *cells, int src, int dst)
{
	const json_t *c;
	size_t i;

	json_array_foreach(cells, i, c)
	{
		if ((int)number(c, "src") == src && (int)number(c, "dst") == dst)
			return c;
	}
	return NULL;
}

static void print_cell(const json_t *c, FILE *f)
{
	char buf[32];

	if (!c)
		snprintf(buf, sizeof buf, "·");
	else
		snprintf(buf, sizeof buf, "%.3g%s", number(c, "gbps"),
			 number(c, "times_usual") >= 1 + HOT ? "*" : "");
	/* the dot is two bytes but one column */
	fprintf(f, c ? "%8s" : "%9s", buf);
}

static void print_grid(const json_t *cells, const struct ranks *r, FILE *f)
{
	fprintf(f,
		"Gbit/s of network time, from row to column; * = %.1f times the usual time per "
		"byte or more\n%8s",
		1 + HOT, "");
	for (uint32_t k = 0; k < r->n; k++)
		fprintf(f, "%8d", r->rank[k]);
	for (uint32_t i = 0; i < r->n; i++) {
		fprintf(f, "\n%8d", r->rank[i]);
		for (uint32_t k = 0; k < r->n; k++)
			print_cell(cell_at(cells, r->rank[i], r->rank[k]), f);
	}
	fputc('\n', f);
}

/* ---- the slowest ----------------------------------------------------------------------------- */

static int slowest_first(const void *a, const void *b)
{
	const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
	double d = number(y, "times_usual") - number(x, "times_usual");

	return d > 0 ? 1 : d < 0 ? -1 : 0;
}

static void add_share(struct c4_table *t, const json_t *c, const char *key)
{
	c4_table_add(t, "%.0f", number(c, key) * 100);
}

static void add_cell(struct c4_table *t, const json_t *c)
{
	char bytes[C4_FMT_BYTES];

	c4_table_add(t, "rank %.0f (%s)", number(c, "src"), text(c, "src_node"));
	c4_table_add(t, "rank %.0f (%s)", number(c, "dst"), text(c, "dst_node"));
	c4_table_add(t, "%.0f", number(c, "connections"));
	c4_table_add(t, "%s", c4_fmt_bytes(bytes, sizeof bytes, number(c, "bytes")));
	c4_table_add(t, "%.3g", number(c, "gbps"));
	c4_table_add(t, "%.4g", number(c, "ns_per_kib"));
	c4_table_add(t, "%.2f", number(c, "times_usual"));
	c4_table_add(t, "%.2f", number(c, "excess"));
	add_share(t, c, "net_share");
	add_share(t, c, "gpu_share");
	add_share(t, c, "peer_share");
}

static void print_worst(const json_t *cells, FILE *f)
{
	static const char *const heads[] = {"FROM",   "TO",	 "+CONNS",  "+BYTES",
					    "+Gb/s",  "+NS/KIB", "+×USUAL", "+EXCESS",
					    "+NET %", "+GPU %",	 "+PEER %", NULL};
	size_t n = json_array_size(cells);
	const json_t **sorted = calloc(n + 1, sizeof *sorted);
	struct c4_table t;

	if (!sorted)
		return;
	for (size_t i = 0; i < n; i++)
		sorted[i] = json_array_get(cells, i);
	qsort(sorted, n, sizeof *sorted, slowest_first);
	c4_table_init(&t, heads);
	for (size_t i = 0; i < n && i < WORST; i++)
		add_cell(&t, sorted[i]);
	c4_table_print(&t, f);
	c4_table_release(&t);
	free(sorted);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void show_one(const json_t *m, FILE *f)
{
	const json_t *cells = json_object_get(m, "cells");
	struct ranks ranks;

	fprintf(f, "comm %s of job %s: %.0f ranks, %.0f connections, %.1f s, usually %.4g ns/KiB\n",
		text(m, "communicator"), text(m, "job"), number(m, "size"),
		number(m, "connections"), number(m, "window_s"), number(m, "usual_ns_per_kib"));
	if (!json_array_size(cells))
		fprintf(f, "nothing was seen of its connections yet\n");
	else if (small(cells, &ranks))
		print_grid(cells, &ranks, f);
	else
		print_worst(cells, f);
}

void c4_show_matrix(const json_t *answer, FILE *f)
{
	const json_t *list = json_object_get(answer, "matrices"), *m;
	size_t i;

	if (!json_array_size(list)) {
		fprintf(f, "no connections\n");
		return;
	}
	json_array_foreach(list, i, m)
	{
		if (i)
			fputc('\n', f);
		show_one(m, f);
	}
}
