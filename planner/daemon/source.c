// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/source.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "planner/daemon/ask.h"
#include "planner/io/demand_json.h"
#include "planner/io/demand_live.h"
#include "planner/io/slurp.h"

/* A collector that has just been started hears of the jobs from their agents within seconds. */
#define SETTLED_S 10

struct c4_source {
	char *name;	       /* of the file */
	struct c4_buf text;    /* of a file */
	json_t *comms, *ranks; /* of the collector; NULL for a file */
};

struct c4_demand_feed {
	const char *file;
	struct c4_asking *asking;
	bool read;	  /* the file was, when it was … */
	struct stat seen; /* … this */
};

void c4_source_free(struct c4_source *s)
{
	if (!s)
		return;
	json_decref(s->comms);
	json_decref(s->ranks);
	c4_buf_release(&s->text);
	free(s->name);
	free(s);
}

/* A reason of several lines becomes the first of them. */
static int explain(int rc, const char *text, char *why, size_t n)
{
	snprintf(why, n, "%.*s", (int)strcspn(text, "\n"), *text ? text : strerror(-rc));
	return rc;
}

/* ---- from what was fetched to a demand -------------------------------------------------------
 */

static int demand_of_file(const struct c4_source *s, const struct c4_fabric *f, struct c4_demand *d,
			  struct c4_buf *errors)
{
	return c4_demand_json_read(d, f, s->name, c4_buf_str(&s->text), s->text.len, errors);
}

static int demand_of_jobs(const struct c4_source *s, const struct c4_fabric *f, struct c4_demand *d,
			  uint64_t *ret_skipped, struct c4_buf *errors)
{
	struct c4_live_counts counts = {0};
	int rc = c4_demand_live(d, f, s->comms, s->ranks, &counts, errors);

	if (!rc)
		*ret_skipped = counts.unknown;
	return rc;
}

int c4_source_demand(const struct c4_source *s, const struct c4_fabric *f, struct c4_demand *d,
		     uint64_t *ret_skipped, char *why, size_t n)
{
	struct c4_buf errors = {0};
	int rc;

	*ret_skipped = 0;
	rc = s->comms ? demand_of_jobs(s, f, d, ret_skipped, &errors)
		      : demand_of_file(s, f, d, &errors);
	if (rc)
		explain(rc, c4_buf_str(&errors), why, n);
	c4_buf_release(&errors);
	return rc;
}

/* ---- fetching --------------------------------------------------------------------------------
 */

struct c4_demand_feed *c4_demand_feed_new(const char *file, const char *collector)
{
	struct c4_demand_feed *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->file = file;
	if (!file)
		f->asking = c4_asking_new(collector);
	if (!file && !f->asking) {
		free(f);
		return NULL;
	}
	return f;
}

void c4_demand_feed_free(struct c4_demand_feed *f)
{
	if (!f)
		return;
	c4_asking_free(f->asking);
	free(f);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int fetch_file(struct c4_demand_feed *f, bool forced, struct c4_source *s, bool *ret_new,
		      char *why, size_t n)
{
	struct c4_fault fault = {.what = ""};
	struct stat now;
	int rc;

	if (stat(f->file, &now)) {
		snprintf(why, n, "%s: %s", f->file, strerror(errno));
		return -errno;
	}
	if (!forced && f->read && same_file(&now, &f->seen))
		return 0;
	rc = c4_slurp(f->file, &s->text, &fault);
	if (rc)
		return explain(rc, fault.what, why, n);
	s->name = strdup(f->file);
	if (!s->name)
		return explain(-ENOMEM, "", why, n);
	f->read = true;
	f->seen = now; /* as it was before reading: what was written since is read again */
	*ret_new = true;
	return 0;
}

/* Does it know yet what runs? 1, 0, or a negative errno. */
static int settled(struct c4_demand_feed *f, char *why, size_t n)
{
	int status; /* 503 while its disk is full: it knows all the same */
	json_t *j = c4_ask(f->asking, "/healthz", &status, why, n),
	       *up = json_object_get(j, "uptime_s");
	bool young = json_is_number(up) && json_number_value(up) < SETTLED_S;

	json_decref(j);
	if (!j)
		return status < 0 ? -EHOSTUNREACH : -EPROTO;
	return !young;
}

static int fetch_jobs(struct c4_demand_feed *f, bool patient, struct c4_source *s, bool *ret_new,
		      char *why, size_t n)
{
	int rc = patient ? settled(f, why, n) : 1;

	if (rc <= 0)
		return rc;
	rc = c4_ask_good(f->asking, "/api/v1/comms", &s->comms, why, n);
	if (!rc)
		rc = c4_ask_good(f->asking, "/api/v1/ranks", &s->ranks, why, n);
	*ret_new = !rc;
	return rc;
}

int c4_demand_feed_fetch(struct c4_demand_feed *f, const struct c4_fetch_opts *o,
			 struct c4_source **ret, char *why, size_t n)
{
	struct c4_source *s = calloc(1, sizeof *s);
	bool fresh = false;
	int rc;

	if (!s)
		return explain(-ENOMEM, "", why, n);
	rc = f->file ? fetch_file(f, o->forced, s, &fresh, why, n)
		     : fetch_jobs(f, o->patient, s, &fresh, why, n);
	if (fresh) {
		*ret = s;
		return 0;
	}
	c4_source_free(s);
	*ret = NULL;
	return rc;
}
