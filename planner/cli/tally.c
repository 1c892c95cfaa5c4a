// SPDX-License-Identifier: BSD-3-Clause
#include "planner/cli/tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/ds/vec.h"
#include "common/table.h"

#define KEY_BYTES  1024
#define JOBS_SHOWN 4u

struct c4_tally_seat {
	struct c4_tally_seat *next;
	const char *job;
	uint64_t qps;
};

void c4_tally_init(struct c4_tally *t)
{
	*t = (struct c4_tally){0};
}

void c4_tally_release(struct c4_tally *t)
{
	for (uint32_t i = 0; i < t->n_spines; i++)
		for (struct c4_tally_seat *s = t->spines[i].seats, *next; s; s = next) {
			next = s->next;
			free(s);
		}
	for (uint32_t i = 0; i < C4_TALLY_LINES; i++) {
		free(t->moves[i]);
		free(t->unplaced[i]);
	}
	free(t->spines);
	free(t->links);
	c4_strmap_release(&t->names);
	c4_strmap_release(&t->spine_of);
	c4_strmap_release(&t->link_of);
	c4_strmap_release(&t->seat_of);
	c4_strmap_release(&t->reasons);
	*t = (struct c4_tally){0};
}

/* ---- counting -------------------------------------------------------------------------------- */

static struct c4_tally_spine *spine_of(struct c4_tally *t, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_at(&t->spine_of, name);
	struct c4_tally_spine *grown;

	if (!e)
		return NULL;
	if (e->value)
		return &t->spines[(uintptr_t)e->value - 1];
	grown = c4_vec_reserve(t->spines, &t->cap_spines, t->n_spines + 1, UINT32_MAX,
			       sizeof *grown);
	if (!grown)
		return NULL;
	t->spines = grown;
	t->spines[t->n_spines] = (struct c4_tally_spine){.name = e->key};
	e->value = (void *)(uintptr_t)++t->n_spines;
	return &t->spines[t->n_spines - 1];
}

/* "a\nb": no name of a switch holds a newline, and jobs come last. */
static struct c4_strmap_entry *pair_of(struct c4_strmap *m, const char *a, const char *b)
{
	char key[KEY_BYTES];

	snprintf(key, sizeof key, "%s\n%s", a, b);
	return c4_strmap_at(m, key);
}

static void seat_job(struct c4_tally *t, struct c4_tally_spine *s, const char *job)
{
	struct c4_tally_seat *seat;
	struct c4_strmap_entry *e;

	if (t->n_seats >= C4_TALLY_JOBS_MAX)
		return;
	e = pair_of(&t->seat_of, s->name, job);
	seat = e ? e->value : NULL;
	if (e && !seat) {
		seat = calloc(1, sizeof *seat);
		if (!seat) {
			t->failed = 1;
			return;
		}
		seat->job = strchr(e->key, '\n') + 1;
		seat->next = s->seats;
		s->seats = seat;
		s->jobs++;
		t->n_seats++;
		e->value = seat;
	}
	if (seat)
		seat->qps++;
}

static void load_link(struct c4_tally *t, const char *from, const char *to, double load)
{
	struct c4_strmap_entry *e = pair_of(&t->link_of, from, to);
	struct c4_tally_link *l;

	if (e && !e->value) {
		struct c4_tally_link *grown = c4_vec_reserve(
			t->links, &t->cap_links, t->n_links + 1, UINT32_MAX, sizeof *grown);
		const char *a = c4_strmap_intern(&t->names, from);
		const char *b = c4_strmap_intern(&t->names, to);

		t->links = grown ? grown : t->links;
		if (grown && a && b) {
			grown[t->n_links] = (struct c4_tally_link){.from = a, .to = b};
			e->value = (void *)(uintptr_t)++t->n_links;
		}
	}
	if (!e || !e->value) {
		t->failed = 1;
		return;
	}
	l = &t->links[(uintptr_t)e->value - 1];
	l->qps++;
	l->load += load;
}

int c4_tally_route(void *tally, const struct c4_plan_record *r)
{
	struct c4_tally *t = tally;
	double load = isnan(r->load) ? 1 : r->load;

	t->n_local += r->n_path == 1;
	for (uint32_t i = 0; i + 1 < r->n_path; i++)
		load_link(t, r->path[i], r->path[i + 1], load);
	for (uint32_t i = 1; i + 1 < r->n_path; i++) {
		struct c4_tally_spine *s = spine_of(t, r->path[i]);

		if (!s) {
			t->failed = 1;
			continue;
		}
		s->qps++;
		s->load += load;
		seat_job(t, s, r->job ? r->job : "-");
	}
	return 0;
}

static char *way_text(const char *const *names, uint32_t n)
{
	struct c4_buf b = {0};

	for (uint32_t i = 0; i < n; i++)
		c4_buf_printf(&b, "%s%s", i ? " " : "", names[i]);
	c4_buf_add(&b, "", 0);
	return c4_buf_take(&b);
}

static void keep_line(struct c4_tally *t, char **line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void keep_line(struct c4_tally *t, char **line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(line, fmt, ap) < 0) {
		*line = NULL;
		t->failed = 1;
	}
	va_end(ap);
}

int c4_tally_move(void *tally, const struct c4_plan_record *r)
{
	struct c4_tally *t = tally;
	const char *why = r->reason ? r->reason : "-";
	struct c4_strmap_entry *e = c4_strmap_at(&t->reasons, why);

	if (e)
		e->value = (void *)((uintptr_t)e->value + 1);
	if (t->n_moves++ < C4_TALLY_LINES) {
		char *from = way_text(r->from, r->n_from), *to = way_text(r->path, r->n_path);

		keep_line(t, &t->moves[t->n_moves - 1], "%s qp %" PRIu32 ": %s → %s (%s)", r->id,
			  r->qp, from ? from : "?", to ? to : "?", why);
		free(from);
		free(to);
	}
	return 0;
}

int c4_tally_unplaced(void *tally, const struct c4_plan_record *r)
{
	struct c4_tally *t = tally;

	if (t->n_unplaced++ < C4_TALLY_LINES)
		keep_line(t, &t->unplaced[t->n_unplaced - 1], "%s qp %" PRIu32 " (%s)", r->id,
			  r->qp, r->reason ? r->reason : "-");
	return 0;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_against(FILE *f, const char *what, double value, double bound)
{
	if (!isnan(value))
		fprintf(f, ", %s %.4g", what, value);
	if (!isnan(value) && !isnan(bound))
		fprintf(f, " (bound %.4g)", bound);
}

void c4_tally_headline(const struct c4_tally *t, const struct c4_plan_summary *sum, FILE *f)
{
	if (sum->version)
		fprintf(f, "plan %" PRIu64 ": ", sum->version);
	fprintf(f, "%" PRIu64 " routes, %" PRIu64 " under one leaf", sum->n_routes, t->n_local);
	print_against(f, "largest load", sum->max_load, sum->lower_bound);
	print_against(f, "utilisation", sum->max_util, sum->util_bound);
	fprintf(f, ", %" PRIu64 " unplaced, %" PRIu64 " moved\n", t->n_unplaced, t->n_moves);
	if (t->failed)
		fprintf(f, "out of memory: what follows is not complete\n");
}

/* spine2 before spine10 */
static int by_name(const void *x, const void *y)
{
	const struct c4_tally_spine *a = x, *b = y;
	size_t n = strlen(a->name), m = strlen(b->name);

	return n != m ? n < m ? -1 : 1 : strcmp(a->name, b->name);
}

static int by_load(const void *x, const void *y)
{
	const struct c4_tally_link *a = x, *b = y;
	int order = strcmp(a->from, b->from);

	if (a->load < b->load || a->load > b->load)
		return a->load > b->load ? -1 : 1;
	return order ? order : strcmp(a->to, b->to);
}

/* The seats of most QPs, most first; returns how many. */
static uint64_t largest(const struct c4_tally_spine *s, const struct c4_tally_seat **top)
{
	uint64_t n = 0;

	for (const struct c4_tally_seat *seat = s->seats; seat; seat = seat->next) {
		uint64_t at = n < JOBS_SHOWN ? n++ : JOBS_SHOWN - 1;

		if (top[at] && top[at]->qps > seat->qps)
			continue; /* full, and the smallest of them is larger */
		for (; at && top[at - 1]->qps <= seat->qps; at--)
			top[at] = top[at - 1];
		top[at] = seat;
	}
	return n;
}

static void add_jobs(struct c4_table *t, const struct c4_tally_spine *s)
{
	const struct c4_tally_seat *top[JOBS_SHOWN] = {NULL};
	uint64_t n = largest(s, top);
	struct c4_buf b = {0};

	for (uint64_t i = 0; i < n; i++)
		c4_buf_printf(&b, "%s%.40s ×%" PRIu64, i ? ", " : "", top[i]->job, top[i]->qps);
	if (s->jobs > n)
		c4_buf_printf(&b, ", … %" PRIu64 " more", s->jobs - n);
	c4_table_add(t, "%s", c4_buf_str(&b));
	c4_buf_release(&b);
}

void c4_tally_spines(struct c4_tally *t, FILE *f)
{
	static const char *const heads[] = {"SPINE", "+QPS", "+LOAD", "+JOBS", "WHO", NULL};
	struct c4_table table;

	if (!t->n_spines)
		return;
	c4_table_init(&table, heads);
	qsort(t->spines, t->n_spines, sizeof *t->spines, by_name);
	for (uint32_t i = 0; i < t->n_spines; i++) {
		const struct c4_tally_spine *s = &t->spines[i];

		c4_table_add(&table, "%s", s->name);
		c4_table_add(&table, "%" PRIu64, s->qps);
		c4_table_add(&table, "%.4g", s->load);
		c4_table_add(&table, "%" PRIu64, s->jobs);
		add_jobs(&table, s);
	}
	c4_table_print(&table, f);
	c4_table_release(&table);
}

void c4_tally_links(struct c4_tally *t, FILE *f)
{
	static const char *const heads[] = {"FROM", "TO", "+QPS", "+LOAD", NULL};
	struct c4_table table;
	uint32_t n = t->n_links < C4_TALLY_LINES ? t->n_links : C4_TALLY_LINES;

	if (!n)
		return;
	c4_table_init(&table, heads);
	qsort(t->links, t->n_links, sizeof *t->links, by_load);
	for (uint32_t i = 0; i < n; i++) {
		c4_table_add(&table, "%s", t->links[i].from);
		c4_table_add(&table, "%s", t->links[i].to);
		c4_table_add(&table, "%" PRIu64, t->links[i].qps);
		c4_table_add(&table, "%.4g", t->links[i].load);
	}
	c4_table_print(&table, f);
	c4_table_release(&table);
	if (t->n_links > n)
		fprintf(f, "… and %" PRIu32 " links with no more load\n", t->n_links - n);
}

static void print_lines(FILE *f, const char *head, char *const *lines, uint64_t n)
{
	uint64_t shown = n < C4_TALLY_LINES ? n : C4_TALLY_LINES;

	fprintf(f, "%s\n", head);
	for (uint64_t i = 0; i < shown; i++)
		fprintf(f, "  %s\n", lines[i] ? lines[i] : "?");
	if (n > shown)
		fprintf(f, "  … and %" PRIu64 " more\n", n - shown);
}

void c4_tally_moves(const struct c4_tally *t, FILE *f)
{
	struct c4_buf head = {0};
	bool any = false;

	if (!t->n_moves)
		return;
	c4_buf_printf(&head, "moved: %" PRIu64 " (", t->n_moves);
	for (uint32_t i = 0; i < t->reasons.cap; i++)
		if (t->reasons.slots[i].key) {
			c4_buf_printf(&head, "%s%s %" PRIuPTR, any ? ", " : "",
				      t->reasons.slots[i].key,
				      (uintptr_t)t->reasons.slots[i].value);
			any = true;
		}
	c4_buf_printf(&head, ")");
	print_lines(f, c4_buf_str(&head), t->moves, t->n_moves);
	c4_buf_release(&head);
}

void c4_tally_not_placed(const struct c4_tally *t, FILE *f)
{
	if (t->n_unplaced)
		print_lines(f, "not placed:", t->unplaced, t->n_unplaced);
}
