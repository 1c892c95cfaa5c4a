// SPDX-License-Identifier: BSD-3-Clause
#include "collector/keeper.h"

#include <stdlib.h>
#include <string.h>

#include "collector/incident_json.h"
#include "collector/json.h"
#include "common/log.h"

#define BATCH_MAX    256u
#define PAUSE_MIN_NS 1000000000ull
#define PAUSE_MAX_NS 60000000000ull

struct batch {
	struct c4_store_row rows[BATCH_MAX];
	uint64_t revisions[BATCH_MAX];
	size_t n;
	uint64_t now_ns, wall_ns;
	int rc; /* of the sync */
	char error[256], moved[512];
	bool load; /* wanted: read everything back after a good sync */
	struct c4_store_row *loaded;
	size_t nloaded;
};

struct c4_keeper {
	uv_loop_t *loop;
	uv_work_t work;
	struct c4_store *store;
	struct c4_incidents *set;
	struct batch batch;
	bool busy, loaded;
	uint64_t errors;
	char problem[256];
	uint64_t next_try_ns, pause_ns;
};

struct c4_keeper *c4_keeper_new(uv_loop_t *loop, struct c4_store *store, struct c4_incidents *set)
{
	struct c4_keeper *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->loop = loop;
	k->store = store;
	k->set = set;
	k->work.data = k;
	return k;
}

void c4_keeper_free(struct c4_keeper *k)
{
	if (!k)
		return;
	c4_store_free(k->store);
	free(k);
}

const char *c4_keeper_problem(const struct c4_keeper *k)
{
	return k->problem[0] ? k->problem : NULL;
}

uint64_t c4_keeper_errors(const struct c4_keeper *k)
{
	return k->errors;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static char *body_of(const struct c4_incident *in)
{
	json_t *j = c4_incident_to_json(in);
	char *text = j ? json_dumps(j, C4_JSON_FLAGS) : NULL;

	json_decref(j);
	return text;
}

static bool row_of(const struct c4_incident *in, struct c4_store_row *r)
{
	*r = (struct c4_store_row){
		.id = strdup(in->id),
		.job = strdup(in->job),
		.kind = strdup(c4_incident_kind_name(in->kind)),
		.state = strdup(c4_incident_state_name(in->state)),
		.body = body_of(in),
		.launch = in->launch,
		.key = in->key,
		.first_ns = in->first_wall_ns,
		.confirmed_ns = in->confirmed_wall_ns,
		.resolved_ns = in->resolved_wall_ns,
		.changed_ns = in->changed_wall_ns,
		.open = c4_incident_open(in),
	};
	return r->id && r->job && r->kind && r->state && r->body;
}

static void batch_clear(struct batch *b)
{
	struct c4_store_row none = {0};

	for (size_t i = 0; i < b->n; i++) {
		free(b->rows[i].id);
		free(b->rows[i].job);
		free(b->rows[i].kind);
		free(b->rows[i].state);
		free(b->rows[i].body);
		b->rows[i] = none;
	}
	b->n = 0;
	c4_store_rows_free(b->loaded, b->nloaded);
	b->loaded = NULL;
	b->nloaded = 0;
}

static void batch_fill(struct c4_keeper *k)
{
	struct batch *b = &k->batch;

	for (uint32_t i = 0; i < k->set->n && b->n < BATCH_MAX; i++) {
		const struct c4_incident *in = k->set->v[i];

		if (!in->dirty)
			continue;
		b->revisions[b->n] = in->revision;
		if (!row_of(in, &b->rows[b->n++]))
			break; /* no memory: with the next batch */
	}
}

static bool anything_dirty(const struct c4_keeper *k)
{
	for (uint32_t i = 0; i < k->set->n; i++)
		if (k->set->v[i]->dirty)
			return true;
	return false;
}

/* ---- one batch: begin (loop), run (worker), end (loop) -----------------------------------------
 */

static void batch_begin(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
	batch_fill(k);
	k->batch.now_ns = now_ns;
	k->batch.wall_ns = wall_ns;
	k->batch.load = !k->loaded;
	k->busy = true;
}

static void batch_run(struct c4_keeper *k)
{
	struct batch *b = &k->batch;

	b->rc = c4_store_sync(k->store, b->rows, b->n, b->wall_ns);
	snprintf(b->moved, sizeof b->moved, "%s", c4_store_moved(k->store));
	if (!b->rc && b->load)
		b->rc = c4_store_load(k->store, &b->loaded, &b->nloaded);
	if (b->rc)
		snprintf(b->error, sizeof b->error, "%s", c4_store_error(k->store));
}

static void mark_written(struct c4_keeper *k)
{
	for (size_t i = 0; i < k->batch.n; i++) {
		struct c4_incident *in = c4_incidents_by_id(k->set, k->batch.rows[i].id);

		if (in && in->revision == k->batch.revisions[i])
			in->dirty = false;
	}
}

static void adopt(struct c4_keeper *k, const struct c4_store_row *r)
{
	json_t *j = json_loads(r->body, 0, NULL);
	struct c4_incident *in = j ? c4_incident_from_json(j) : NULL;

	json_decref(j);
	if (in) {
		in->launch = r->launch;
		in->key = r->key;
		in->first_wall_ns = r->first_ns;
		in->confirmed_wall_ns = r->confirmed_ns;
		in->resolved_wall_ns = r->resolved_ns;
		in->changed_wall_ns = r->changed_ns;
	}
	if (!in || !c4_incidents_adopt(k->set, in, k->batch.now_ns)) {
		/* written in this session already, or no incident this version can read */
		c4_incident_free(in);
	}
}

static void failed(struct c4_keeper *k)
{
	k->errors++;
	if (!k->problem[0])
		c4_error("store: %s: incidents stay in memory and are written later",
			 k->batch.error);
	snprintf(k->problem, sizeof k->problem, "%s", k->batch.error);
	k->pause_ns = k->pause_ns ? k->pause_ns * 2 : PAUSE_MIN_NS;
	if (k->pause_ns > PAUSE_MAX_NS)
		k->pause_ns = PAUSE_MAX_NS;
	k->next_try_ns = k->batch.now_ns + k->pause_ns;
}

static void succeeded(struct c4_keeper *k)
{
	if (k->problem[0])
		c4_info("store: written again");
	k->problem[0] = '\0';
	k->pause_ns = 0;
	k->next_try_ns = 0;
	mark_written(k);
	for (size_t i = 0; i < k->batch.nloaded; i++)
		adopt(k, &k->batch.loaded[i]);
	k->loaded = true;
}

static void moved_aside(struct c4_keeper *k)
{
	c4_error("store: was corrupt: moved to %s, a new one is begun", k->batch.moved);
	k->errors++;
	for (uint32_t i = 0; i < k->set->n; i++)
		if (c4_incident_public(k->set->v[i]))
			k->set->v[i]->dirty = true;
}

static void batch_end(struct c4_keeper *k)
{
	k->busy = false;
	if (k->batch.rc)
		failed(k);
	else
		succeeded(k);
	if (k->batch.moved[0])
		moved_aside(k);
	batch_clear(&k->batch);
}

static void on_work(uv_work_t *w)
{
	batch_run(w->data);
}

static void on_done(uv_work_t *w, int status)
{
	(void)status; /* never cancelled */
	batch_end(w->data);
}

static void batch_now(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
	batch_begin(k, now_ns, wall_ns);
	batch_run(k);
	batch_end(k);
}

/* ---- public ---------------------------------------------------------------------------------- */

void c4_keeper_start(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
	if (k->store)
		batch_now(k, now_ns, wall_ns);
}

void c4_keeper_tick(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
	if (!k->store || k->busy || now_ns < k->next_try_ns)
		return;
	if (!k->problem[0] && !anything_dirty(k))
		return;
	batch_begin(k, now_ns, wall_ns);
	if (!k->loop || uv_queue_work(k->loop, &k->work, on_work, on_done)) {
		batch_run(k);
		batch_end(k);
	}
}

void c4_keeper_finish(struct c4_keeper *k, uint64_t now_ns, uint64_t wall_ns)
{
	uint32_t batches = C4_INCIDENT_MAX / BATCH_MAX + 1;

	while (k->store && anything_dirty(k) && batches--) {
		batch_now(k, now_ns, wall_ns);
		if (k->problem[0])
			return;
	}
}
