// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/verdicts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/http.h"

/* PATH?job=NAME */
static int ask_of_job(struct c4_asking *a, const char *path, const char *job, json_t **ret,
		      char *why, size_t n)
{
	struct c4_buf url = {0};
	int rc;

	c4_buf_printf(&url, "%s?job=", path);
	c4_http_quote(&url, job);
	rc = url.failed ? -ENOMEM : c4_ask_good(a, c4_buf_str(&url), ret, why, n);
	c4_buf_release(&url);
	return rc;
}

static int rate_job(struct c4_asking *a, const struct c4_fabric *f, const json_t *incidents,
		    const char *job, struct c4_ratings *r, char *why, size_t n)
{
	json_t *ranks = NULL, *matrix = NULL;
	struct c4_buf notes = {0};
	int rc = ask_of_job(a, "/api/v1/ranks", job, &ranks, why, n);

	if (!rc)
		rc = ask_of_job(a, "/api/v1/matrix", job, &matrix, why, n);
	if (!rc) {
		const struct c4_ratings_source s = {job, incidents, ranks, matrix};

		rc = c4_ratings_add(r, f, &s, &notes);
		if (rc)
			snprintf(why, n, "%.*s", (int)strcspn(c4_buf_str(&notes), "\n"),
				 notes.len ? notes.data : strerror(-rc));
	}
	json_decref(ranks);
	json_decref(matrix);
	c4_buf_release(&notes);
	return rc;
}

int c4_verdicts_ask(struct c4_asking *a, const struct c4_fabric *f, struct c4_ratings *ret,
		    char *why, size_t n)
{
	const char *jobs[C4_RATINGS_JOBS];
	json_t *incidents;
	int rc, count;

	rc = c4_ask_good(a, "/api/v1/incidents?state=confirmed", &incidents, why, n);
	if (rc)
		return rc;
	count = c4_ratings_jobs(incidents, jobs);
	if (count < 0) {
		snprintf(why, n, "collector: no \"incidents\" in /api/v1/incidents");
		rc = -EPROTO;
	}
	for (int i = 0; i < count && !rc; i++)
		rc = rate_job(a, f, incidents, jobs[i], ret, why, n);
	json_decref(incidents);
	c4_ratings_close(ret);
	return rc;
}
