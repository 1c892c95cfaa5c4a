// SPDX-License-Identifier: BSD-3-Clause
#include "collector/linktab.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/text.h"
#include "collector/vclock.h"
#include "common/base/hash.h"
#include "common/ds/vec.h"

#define SECOND_NS   1000000000ull
#define TTL_DEFAULT 15
#define TTL_MAX	    3600
#define GBPS_MAX    1e6
#define AGE_MAX_S   (365.0 * 86400)
#define JOB_LAUNCH  UINT64_MAX /* no launcher gives that */

void c4_linktab_release(struct c4_linktab *t)
{
	free(t->rows);
	free(t->job);
	*t = (struct c4_linktab){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_name(const char *s)
{
	size_t n = 0;

	if (!s)
		return false;
	while (n < C4_LINK_END && s[n] > ' ' && s[n] <= '~')
		n++;
	return n && n < C4_LINK_END && !s[n];
}

static bool read_number(const json_t *j, const char *key, double most, double *ret)
{
	const json_t *v = json_object_get(j, key);
	double x = json_number_value(v);

	if (!json_is_number(v) || !(x >= 0 && x <= most))
		return false;
	*ret = x;
	return true;
}

static bool read_count(const json_t *j, const char *key, uint32_t *ret)
{
	double x;

	if (!read_number(j, key, UINT32_MAX, &x) || x != floor(x))
		return false;
	*ret = (uint32_t)x;
	return true;
}

static bool read_kind(const json_t *j, struct c4_link_found *f)
{
	const char *kind = json_string_value(json_object_get(j, "kind"));

	f->congested = kind && !strcmp(kind, "congestion");
	return kind && (f->congested || !strcmp(kind, "slow-link"));
}

/* For people: what would disturb a line is left out. */
static void read_pairs(const json_t *j, struct c4_link_found *f)
{
	const json_t *list = json_object_get(j, "pairs"), *one;
	size_t at = 0, i;

	json_array_foreach(list, i, one)
	{
		const char *text = json_string_value(one);
		size_t n = text ? strlen(text) : 0;

		if (!n || at + n + 2 > sizeof f->pairs || strspn(text, " ") ||
		    strpbrk(text, "\r\n\t"))
			continue;
		at += (size_t)snprintf(f->pairs + at, sizeof f->pairs - at, "%s%s", at ? " " : "",
				       text);
	}
}

/* NULL, or what is wrong with it. */
static const char *read_link(const json_t *j, struct c4_link_found *f)
{
	const char *a = json_string_value(json_object_get(j, "a"));
	const char *b = json_string_value(json_object_get(j, "b"));
	const char *toward = json_string_value(json_object_get(j, "toward"));
	double age_s;

	*f = (struct c4_link_found){0};
	if (!is_name(a) || !is_name(b) || !strcmp(a, b))
		return "a and b: expected two switches";
	if (!toward || (strcmp(toward, a) != 0 && strcmp(toward, b) != 0))
		return "toward: expected a or b";
	if (!read_kind(j, f))
		return "kind: expected slow-link or congestion";
	if (!read_number(j, "nominal_gbps", GBPS_MAX, &f->nominal_gbps) || f->nominal_gbps <= 0 ||
	    !read_number(j, "measured_gbps", GBPS_MAX, &f->measured_gbps))
		return "nominal_gbps, measured_gbps: expected rates";
	if (!read_count(j, "flows", &f->flows) || !read_count(j, "windows", &f->windows) ||
	    !read_count(j, "parallel", &f->parallel))
		return "flows, windows, parallel: expected counts";
	if (!read_number(j, "speed", GBPS_MAX, &f->speed) ||
	    !read_number(j, "peers", GBPS_MAX, &f->peers) ||
	    !read_number(j, "age_s", AGE_MAX_S, &age_s))
		return "speed, peers, age_s: expected numbers";
	c4_text_copy(f->a, sizeof f->a, a);
	c4_text_copy(f->b, sizeof f->b, b);
	f->toward_b = !strcmp(toward, b);
	f->confirmed = json_is_true(json_object_get(j, "confirmed"));
	f->probation = json_is_true(json_object_get(j, "probation"));
	f->dead = json_is_true(json_object_get(j, "dead")) && !f->congested;
	f->since_ns = (uint64_t)(age_s * 1e9);
	read_pairs(j, f);
	return NULL;
}

static int refuse(struct c4_linktab *t, char *why, size_t n, const char *text, size_t link)
{
	t->refused++;
	if (link == SIZE_MAX)
		snprintf(why, n, "%s", text);
	else
		snprintf(why, n, "links[%zu]: %s", link, text);
	return -EINVAL;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void drop_planner(struct c4_linktab *t, uint64_t planner)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].planner != planner)
			t->rows[n++] = t->rows[i];
	t->n = n;
}

static void expire(struct c4_linktab *t, uint64_t now_ns)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].expires_ns > now_ns)
			t->rows[n++] = t->rows[i];
	t->n = n;
}

static void add_row(struct c4_linktab *t, const struct c4_linktab_row *row)
{
	struct c4_linktab_row *grown =
		c4_vec_reserve(t->rows, &t->cap, t->n + 1, C4_LINKTAB_MAX, sizeof *grown);

	if (!grown) {
		t->lost++;
		return;
	}
	t->rows = grown;
	t->rows[t->n++] = *row;
}

static bool have_job(struct c4_linktab *t)
{
	if (t->job)
		return true;
	t->job = calloc(1, sizeof *t->job);
	if (!t->job)
		return false;
	c4_text_copy(t->job->id, sizeof t->job->id, C4_LINKTAB_JOB);
	c4_text_copy(t->job->name, sizeof t->job->name, C4_LINKTAB_JOB);
	t->job->launch = JOB_LAUNCH;
	return true;
}

/* All of it is good. */
static void replace(struct c4_linktab *t, const json_t *links, uint64_t planner, double ttl_s,
		    uint64_t now_ns)
{
	struct c4_linktab_row row = {
		.planner = planner,
		.heard_ns = now_ns,
		.expires_ns = now_ns + (uint64_t)(ttl_s * (double)SECOND_NS),
	};
	const json_t *one;
	size_t i;

	drop_planner(t, planner);
	json_array_foreach(links, i, one)
	{
		(void)read_link(one, &row.found);
		add_row(t, &row);
	}
}

static int take(struct c4_linktab *t, const json_t *j, uint64_t now_ns, char *why, size_t n)
{
	const char *schema = json_string_value(json_object_get(j, "schema"));
	const char *planner = json_string_value(json_object_get(j, "planner"));
	const json_t *links = json_object_get(j, "links"), *one;
	struct c4_link_found found;
	double ttl_s = TTL_DEFAULT;
	size_t i;

	if (!schema || strcmp(schema, C4_LINKTAB_SCHEMA) != 0)
		return refuse(t, why, n, "schema: expected " C4_LINKTAB_SCHEMA, SIZE_MAX);
	if (!is_name(planner))
		return refuse(t, why, n, "planner: expected its instance", SIZE_MAX);
	if (!json_is_array(links) || json_array_size(links) > C4_LINKTAB_MAX)
		return refuse(t, why, n, "links: expected a list, of 1024 at most", SIZE_MAX);
	if (json_object_get(j, "ttl_s") && (!read_number(j, "ttl_s", TTL_MAX, &ttl_s) || ttl_s < 1))
		return refuse(t, why, n, "ttl_s: expected 1 to 3600", SIZE_MAX);
	json_array_foreach(links, i, one)
	{
		const char *wrong = read_link(one, &found);

		if (wrong)
			return refuse(t, why, n, wrong, i);
	}
	if (!have_job(t)) {
		snprintf(why, n, "out of memory");
		return -ENOMEM;
	}
	replace(t, links, c4_hash_bytes(0, planner, strlen(planner)), ttl_s, now_ns);
	return 0;
}

int c4_linktab_post(struct c4_linktab *t, const void *body, size_t bytes, uint64_t now_ns,
		    char *why, size_t n)
{
	json_error_t error;
	json_t *j;
	int rc;

	t->posts++;
	if (bytes > C4_LINKTAB_BODY_MAX)
		return refuse(t, why, n, "larger than 1 MiB", SIZE_MAX);
	j = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, &error);
	if (!j)
		return refuse(t, why, n, error.text, SIZE_MAX);
	rc = take(t, j, now_ns, why, n);
	json_decref(j);
	return rc;
}

/* ---- incidents ------------------------------------------------------------------------------- */

void c4_linktab_look(struct c4_linktab *t, struct c4_incidents *set, uint64_t now_ns,
		     uint64_t wall_ns)
{
	struct c4_verdicts verdicts = {0};

	if (!t->job)
		return;
	expire(t, now_ns);
	for (uint32_t i = 0; i < t->n; i++) {
		struct c4_link_found f = t->rows[i].found;

		f.since_ns += c4_vclock_since(now_ns, t->rows[i].heard_ns);
		c4_diag_links(&f, 1, &verdicts);
	}
	c4_incidents_apply(set, t->job, &verdicts, now_ns, wall_ns);
	c4_verdicts_release(&verdicts);
}
