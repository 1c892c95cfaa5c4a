// SPDX-License-Identifier: BSD-3-Clause
#include "collector/incident.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/text.h"
#include "collector/vclock.h"
#include "common/ds/vec.h"

#define SUSPECT_FADE_NS 2000000000u
#define ORPHAN_NS	(60ull * 1000000000)
#define ADOPT_GRACE_NS	(30ull * 1000000000) /* after a restart the diagnosis has to learn anew */
#define STICKY		UINT64_MAX	     /* stays until the job is over */

/* How long a verdict must stay away before the incident is resolved. */
static uint64_t fade_ns(const struct c4_incident *in)
{
	if (in->state == C4_INC_STATE_SUSPECT)
		return SUSPECT_FADE_NS;
	switch (in->kind) {
	case C4_INC_CRASH:
	case C4_INC_NODE_LOST:
	case C4_INC_MISMATCH: return STICKY;
	case C4_INC_HANG_RANK:
	case C4_INC_HANG_COMM:
	case C4_INC_DEADLOCK:
	case C4_INC_DATA_GAP: return 5000000000u;
	default: return 15000000000u;
	}
}

void c4_incidents_init(struct c4_incidents *s, c4_incident_cb changed, void *arg)
{
	*s = (struct c4_incidents){.changed = changed, .arg = arg};
}

void c4_incident_free(struct c4_incident *in)
{
	if (!in)
		return;
	free(in->ranks);
	free(in);
}

void c4_incidents_release(struct c4_incidents *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		c4_incident_free(s->v[i]);
	free(s->v);
	*s = (struct c4_incidents){0};
}

/* ---- the set --------------------------------------------------------------------------------- */

struct c4_incident *c4_incidents_by_id(const struct c4_incidents *s, const char *id)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!strcmp(s->v[i]->id, id))
			return s->v[i];
	return NULL;
}

static void drop_at(struct c4_incidents *s, uint32_t i)
{
	c4_incident_free(s->v[i]);
	s->n--;
	memmove(&s->v[i], &s->v[i + 1], (s->n - i) * sizeof *s->v);
}

/* An incident may go when nobody would miss it: resolved, and safely written. */
static bool make_room(struct c4_incidents *s)
{
	if (s->n < C4_INCIDENT_MAX)
		return true;
	for (uint32_t i = 0; i < s->n; i++) {
		if (c4_incident_open(s->v[i]) || s->v[i]->dirty)
			continue;
		drop_at(s, i);
		return true;
	}
	return false;
}

static bool insert(struct c4_incidents *s, struct c4_incident *in)
{
	struct c4_incident **grown;
	uint32_t at;

	if (!make_room(s))
		return false;
	grown = c4_vec_reserve(s->v, &s->cap, s->n + 1, C4_INCIDENT_MAX, sizeof *grown);
	if (!grown)
		return false;
	s->v = grown;
	for (at = s->n; at && strcmp(s->v[at - 1]->id, in->id) > 0; at--)
		;
	memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof *s->v);
	s->v[at] = in;
	s->n++;
	return true;
}

/* ---- ids: "inc-" and 13 digits of base 32, milliseconds and a counter in 65 bits, sortable ------
 */

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void id_write(char *id, uint64_t v)
{
	memcpy(id, "inc-", 4);
	for (int i = 12; i >= 0; i--, v >>= 5)
		id[4 + i] = digits[v & 31];
	id[17] = '\0';
}

static uint64_t id_read(const char *id)
{
	uint64_t v = 0;

	if (strlen(id) != 17 || strncmp(id, "inc-", 4) != 0)
		return 0;
	for (const char *p = id + 4; *p; p++) {
		const char *d = strchr(digits, *p);

		if (!d)
			return 0;
		v = v << 5 | (uint64_t)(d - digits);
	}
	return v;
}

static void id_next(struct c4_incidents *s, char *id, uint64_t wall_ns)
{
	uint64_t v = wall_ns / 1000000 << 12;

	/* never back, even if the wall clock goes back: ids stay unique and sorted */
	s->last_id = v > s->last_id ? v : s->last_id + 1;
	id_write(id, s->last_id);
}

/* ---- verdict → incident ---------------------------------------------------------------------- */

/* An earlier collector may have called the job "JOB#2": id and launch decide. */
static bool of_job(const struct c4_incident *in, const struct c4_job *job)
{
	size_t n = strlen(job->id);

	return in->launch == job->launch && !strncmp(in->job, job->id, n) &&
	       (!in->job[n] || in->job[n] == '#');
}

static struct c4_incident *find(const struct c4_incidents *s, const struct c4_job *job,
				const struct c4_verdict *v, uint64_t now_ns)
{
	for (uint32_t i = s->n; i-- > 0;) {
		struct c4_incident *in = s->v[i];

		if (in->key != v->key || in->kind != v->kind || !of_job(in, job))
			continue;
		if (c4_incident_open(in) ||
		    c4_vclock_since(now_ns, in->resolved_ns) <= C4_INCIDENT_REOPEN_NS)
			return in;
	}
	return NULL;
}

static struct c4_incident *born(struct c4_incidents *s, const struct c4_job *job,
				const struct c4_verdict *v, uint64_t wall_ns)
{
	struct c4_incident *in = calloc(1, sizeof *in);

	if (!in)
		return NULL;
	id_next(s, in->id, wall_ns);
	c4_text_copy(in->job, sizeof in->job, job->name);
	in->launch = job->launch;
	in->key = v->key;
	in->kind = v->kind;
	in->state = C4_INC_STATE_SUSPECT;
	in->first_wall_ns = in->changed_wall_ns = wall_ns;
	if (insert(s, in))
		return in;
	c4_incident_free(in);
	return NULL;
}

static void copy_ranks(struct c4_incident *in, const struct c4_verdict *v)
{
	uint32_t keep = v->nranks < C4_INCIDENT_RANKS ? v->nranks : C4_INCIDENT_RANKS;
	int32_t *ranks;

	if (!keep) {
		in->nranks = 0;
		return;
	}
	ranks = reallocarray(in->ranks, keep, sizeof *ranks);
	if (!ranks)
		return; /* the culprits of the previous look remain */
	memcpy(ranks, v->ranks, keep * sizeof *ranks);
	in->ranks = ranks;
	in->nranks = v->nranks;
}

static void copy_evidence(struct c4_incident *in, const struct c4_verdict *v)
{
	in->nevidence = v->nevidence < C4_DIAG_EVIDENCE ? v->nevidence : C4_DIAG_EVIDENCE;
	for (uint32_t i = 0; i < in->nevidence; i++) {
		struct c4_evidence *e = &in->evidence[i];

		*e = v->evidence[i];
		c4_text_copy(e->metric, sizeof e->metric, v->evidence[i].metric);
		c4_text_copy(e->detail, sizeof e->detail, v->evidence[i].detail);
		if (!isfinite(e->value))
			e->value = 0;
	}
}

static void copy_verdict(struct c4_incident *in, const struct c4_verdict *v)
{
	in->confidence = v->confidence;
	in->nwaiting = v->nwaiting;
	c4_text_copy(in->node, sizeof in->node, v->node);
	c4_text_copy(in->gpu, sizeof in->gpu, v->gpu);
	c4_text_copy(in->nic, sizeof in->nic, v->nic);
	c4_text_copy(in->link, sizeof in->link, v->link);
	c4_text_copy(in->summary, sizeof in->summary, v->summary);
	copy_ranks(in, v);
	copy_evidence(in, v);
}

static void enter_state(struct c4_incidents *s, struct c4_incident *in,
			enum c4_incident_state state, uint64_t wall_ns)
{
	in->state = state;
	in->changed_wall_ns = wall_ns;
	in->revision++;
	in->dirty = true;
	if (s->changed)
		s->changed(s->arg, in);
}

static void confirm(struct c4_incidents *s, struct c4_incident *in, const struct c4_verdict *v,
		    uint64_t wall_ns)
{
	bool again = in->confirmed_wall_ns != 0;

	if (again) {
		in->flaps++;
		in->resolved_wall_ns = 0;
	} else {
		in->confirmed_wall_ns = wall_ns;
		in->detect_ms = v->since_ns / 1000000;
		s->total[in->kind]++;
	}
	enter_state(s, in, C4_INC_STATE_CONFIRMED, wall_ns);
}

static void take_verdict(struct c4_incidents *s, const struct c4_job *job,
			 const struct c4_verdict *v, uint64_t now_ns, uint64_t wall_ns)
{
	struct c4_incident *in = find(s, job, v, now_ns);
	bool settled;

	if (!in)
		in = born(s, job, v, wall_ns);
	if (!in) {
		s->refused++;
		return;
	}
	settled = in->state == C4_INC_STATE_CONFIRMED || in->state == C4_INC_STATE_ACTED;
	/* a resolved one that is merely suspected again stays as it is */
	if (in->state == C4_INC_STATE_RESOLVED && !v->confirmed)
		return;
	in->present = true;
	in->seen_ns = now_ns;
	copy_verdict(in, v);
	if (v->confirmed && !settled)
		confirm(s, in, v, wall_ns);
}

static void resolve(struct c4_incidents *s, struct c4_incident *in, uint64_t now_ns,
		    uint64_t wall_ns)
{
	in->resolved_ns = now_ns;
	in->resolved_wall_ns = wall_ns;
	enter_state(s, in, C4_INC_STATE_RESOLVED, wall_ns);
}

/* Ends those of the job that were absent too long; `over`: all of them. */
static void fade(struct c4_incidents *s, const struct c4_job *job, bool over, uint64_t now_ns,
		 uint64_t wall_ns)
{
	for (uint32_t i = s->n; i-- > 0;) {
		struct c4_incident *in = s->v[i];
		uint64_t limit = over ? 0 : fade_ns(in);

		if (!c4_incident_open(in) || in->present || !of_job(in, job))
			continue;
		if (!over && (limit == STICKY || c4_vclock_since(now_ns, in->seen_ns) <= limit))
			continue;
		if (in->state == C4_INC_STATE_SUSPECT)
			drop_at(s, i);
		else
			resolve(s, in, now_ns, wall_ns);
	}
}

void c4_incidents_apply(struct c4_incidents *s, const struct c4_job *job,
			const struct c4_verdicts *verdicts, uint64_t now_ns, uint64_t wall_ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (of_job(s->v[i], job))
			s->v[i]->present = false;
	for (uint32_t i = 0; i < verdicts->n; i++)
		take_verdict(s, job, &verdicts->v[i], now_ns, wall_ns);
	fade(s, job, false, now_ns, wall_ns);
}

void c4_incidents_job_over(struct c4_incidents *s, const struct c4_job *job, uint64_t now_ns,
			   uint64_t wall_ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (of_job(s->v[i], job))
			s->v[i]->present = false;
	fade(s, job, true, now_ns, wall_ns);
}

static bool has_job(const struct c4_model *m, const struct c4_incident *in)
{
	for (uint32_t i = 0; i < m->njobs; i++)
		if (of_job(in, m->jobs[i]))
			return true;
	return false;
}

void c4_incidents_orphans(struct c4_incidents *s, const struct c4_model *m, uint64_t now_ns,
			  uint64_t wall_ns)
{
	for (uint32_t i = s->n; i-- > 0;) {
		struct c4_incident *in = s->v[i];

		if (!c4_incident_open(in) || has_job(m, in) ||
		    c4_vclock_since(now_ns, in->seen_ns) <= ORPHAN_NS)
			continue;
		if (in->state == C4_INC_STATE_SUSPECT)
			drop_at(s, i);
		else
			resolve(s, in, now_ns, wall_ns);
	}
}

/* ---- over restarts --------------------------------------------------------------------------- */

bool c4_incidents_adopt(struct c4_incidents *s, struct c4_incident *in, uint64_t now_ns)
{
	uint64_t v = id_read(in->id);

	if (!v || c4_incidents_by_id(s, in->id) || !insert(s, in))
		return false;
	s->last_id = v > s->last_id ? v : s->last_id;
	in->seen_ns = now_ns + ADOPT_GRACE_NS;
	/* how long ago it was resolved is not known in our time: a new one is opened then */
	in->resolved_ns = c4_vclock_ago(now_ns, C4_INCIDENT_REOPEN_NS + 1);
	in->dirty = false;
	return true;
}

void c4_incidents_expire(struct c4_incidents *s, uint64_t wall_ns)
{
	for (uint32_t i = s->n; i-- > 0;)
		if (!c4_incident_open(s->v[i]) && !s->v[i]->dirty &&
		    s->v[i]->changed_wall_ns < wall_ns)
			drop_at(s, i);
}

/* ---- words ----------------------------------------------------------------------------------- */

static const struct {
	const char *name, *severity, *action;
} kinds[] = {
#define C4_X(sym, name, severity, action) {name, severity, action},
	C4_INCIDENTS(C4_X)
#undef C4_X
};

static const char *const states[] = {
#define C4_X(sym, name) name,
	C4_INCIDENT_STATES(C4_X)
#undef C4_X
};

const char *c4_incident_kind_name(enum c4_incident_kind k)
{
	return kinds[k].name;
}

const char *c4_incident_severity(enum c4_incident_kind k)
{
	return kinds[k].severity;
}

const char *c4_incident_state_name(enum c4_incident_state s)
{
	return states[s];
}

const char *c4_incident_action(const struct c4_incident *in)
{
	const char *action = kinds[in->kind].action;

	return !in->node[0] && !strcmp(action, "isolate-node") ? "inspect" : action;
}

int c4_incident_kind_of(const char *name)
{
	for (int i = 0; i < C4_INC_MAX; i++)
		if (!strcmp(kinds[i].name, name))
			return i;
	return -1;
}

int c4_incident_state_of(const char *name)
{
	for (int i = 0; i < C4_INC_STATE_MAX; i++)
		if (!strcmp(states[i], name))
			return i;
	return -1;
}
