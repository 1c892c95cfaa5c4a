// SPDX-License-Identifier: BSD-3-Clause
#include "collector/rank_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/json.h"
#include "collector/view.h"

#define PART_RANKS 64u

struct rank_list {
	struct c4_stream stream; /* first: it is what others hold */
	const struct c4_model *model;
	bool filtered;
	char job[C4_JOB_NAME_BYTES];
	uint64_t now_ns;
	uint64_t uid;  /* of the job to go on with, or the next one after it */
	uint32_t rank; /* where in it */
	bool begun, any, done;
};

static const struct c4_job *next_job(const struct rank_list *l)
{
	for (uint32_t i = 0; i < l->model->njobs; i++) {
		const struct c4_job *j = l->model->jobs[i];

		if (j->uid >= l->uid && (!l->filtered || !strcmp(j->name, l->job)))
			return j;
	}
	return NULL;
}

static void write_rank(struct rank_list *l, const struct c4_job *j, struct c4_buf *out)
{
	json_t *one = c4_view_rank(j, l->rank, l->now_ns);
	char *text = one ? json_dumps(one, C4_JSON_FLAGS) : NULL;

	json_decref(one);
	if (text)
		c4_buf_printf(out, "%s%s", l->any ? "," : "", text);
	else
		out->failed = true;
	l->any = true;
	free(text);
}

static void write_part(struct rank_list *l, const struct c4_job *j, struct c4_buf *out)
{
	if (j->uid != l->uid) {
		l->uid = j->uid;
		l->rank = 0;
	}
	for (uint32_t n = 0; n < PART_RANKS && l->rank < j->nranks; l->rank++) {
		if (!j->now[l->rank].seen)
			continue;
		write_rank(l, j, out);
		n++;
	}
	if (l->rank >= j->nranks) {
		l->uid++;
		l->rank = 0;
	}
}

static bool on_next(struct c4_stream *s, struct c4_buf *out)
{
	struct rank_list *l = (struct rank_list *)s;
	const struct c4_job *j = next_job(l);

	if (l->done)
		return false;
	if (!l->begun)
		c4_buf_printf(out, "{\"ranks\":[");
	l->begun = true;
	if (j) {
		write_part(l, j, out);
	} else {
		c4_buf_printf(out, "]}");
		l->done = true;
	}
	return true;
}

static void on_free(struct c4_stream *s)
{
	free(s);
}

struct c4_stream *c4_rank_list_new(const struct c4_model *m, const char *job, uint64_t now_ns)
{
	struct rank_list *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->stream = (struct c4_stream){.next = on_next, .free = on_free};
	l->model = m;
	l->now_ns = now_ns;
	l->filtered = job != NULL;
	snprintf(l->job, sizeof l->job, "%s", job ? job : "");
	return &l->stream;
}
