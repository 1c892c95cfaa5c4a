// SPDX-License-Identifier: BSD-3-Clause
#include "collector/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/vclock.h"
#include "common/ds/vec.h"

#define AGENT_FORGET_NS (600ull * 1000000000)
#define COMM_LINGER_NS	5000000000ull /* freed communicators: late blocks still find them */
#define COMM_KEEP	256u	      /* … and are shown, as long as they are this few */

struct c4_rank c4_rank_refused;

void c4_model_init(struct c4_model *m, struct c4_stats *stats)
{
	*m = (struct c4_model){.stats = stats, .next_uid = 1};
}

/* ---- agents ---------------------------------------------------------------------------------- */

struct c4_agent *c4_model_agent(struct c4_model *m, uint64_t instance, uint64_t now_ns)
{
	struct c4_agent *a = c4_map_get(&m->agents, instance);

	if (a || m->agents.used >= C4_MODEL_AGENTS)
		return a;
	a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->instance = instance;
	a->seen_ns = now_ns;
	if (c4_map_put(&m->agents, instance, a)) {
		free(a);
		return NULL;
	}
	return a;
}

bool c4_agent_silent(const struct c4_agent *a, uint64_t now_ns)
{
	uint64_t allowed = 3ull * a->interval_ms * 1000000 + 1000000000u;

	return !a->ended && c4_vclock_since(now_ns, a->seen_ns) > allowed;
}

struct c4_rank *c4_agent_rank(const struct c4_agent *a, uint32_t handle)
{
	return c4_map_get(&a->ranks, handle);
}

int c4_agent_refuse(struct c4_agent *a, uint32_t handle)
{
	if (a->ranks.used >= C4_MODEL_PROCESSES)
		return -ENOMEM;
	return c4_map_put(&a->ranks, handle, &c4_rank_refused);
}

static void agent_free(struct c4_agent *a)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &a->ranks) {
		struct c4_rank *r = e->value;

		if (r != &c4_rank_refused && r->agent == a)
			r->agent = NULL;
	}
	c4_map_release(&a->ranks);
	free(a);
}

static bool agent_over(const struct c4_agent *a, uint64_t now_ns)
{
	return c4_vclock_since(now_ns, a->seen_ns) > AGENT_FORGET_NS;
}

/* One at a time: deletion moves entries about. */
static void forget_agents(struct c4_model *m, uint64_t now_ns)
{
	struct c4_map_entry *e;

	c4_map_for_each (e, &m->agents) {
		struct c4_agent *a = e->value;

		if (!agent_over(a, now_ns))
			continue;
		c4_map_del(&m->agents, a->instance);
		agent_free(a);
		return;
	}
}

/* ---- communicators --------------------------------------------------------------------------- */

struct c4_seat *c4_rank_seat(struct c4_rank *r, uint64_t comm_id)
{
	/* posts name communicators in the same order each time: the next one is the best guess */
	for (uint32_t n = 0; n < r->nseats; n++) {
		uint32_t i = r->seat_hint + n;

		if (i >= r->nseats)
			i -= r->nseats;
		if (r->seats[i].id != comm_id)
			continue;
		r->seat_hint = i + 1 < r->nseats ? i + 1 : 0;
		return &r->seats[i];
	}
	return NULL;
}

static struct c4_seat *seat_add(struct c4_rank *r, uint64_t comm_id)
{
	struct c4_seat *grown = c4_vec_reserve(r->seats, &r->seats_cap, r->nseats + 1,
					       C4_MODEL_SEATS, sizeof *grown);

	if (!grown)
		return NULL;
	r->seats = grown;
	r->seats[r->nseats] = (struct c4_seat){.id = comm_id};
	return &r->seats[r->nseats++];
}

static void seat_remove(struct c4_rank *r, const struct c4_comm *c)
{
	for (uint32_t i = 0; i < r->nseats; i++) {
		if (r->seats[i].comm != c)
			continue;
		r->seats[i] = r->seats[--r->nseats];
		r->seat_hint = 0;
		return;
	}
}

/* How often this name was given in the job, this time included. */
static uint64_t name_uses(struct c4_job *j, const struct c4_comm *c)
{
	bool room =
		j->comm_names.used < C4_MODEL_JOB_COMMS || c4_strmap_find(&j->comm_names, c->name);
	struct c4_strmap_entry *e = room ? c4_strmap_at(&j->comm_names, c->name) : NULL;
	uintptr_t uses;

	if (!e)
		return c->id | 2; /* the book is full: the id tells them apart */
	uses = (uintptr_t)e->value + 1;
	e->value = (void *)uses;
	return uses;
}

/* Two communicators of one job never show the same name: members first, then a number. */
static void comm_unique_name(struct c4_job *j, struct c4_comm *c)
{
	uint64_t uses = name_uses(j, c);
	size_t len;

	if (uses > 1 && !strchr(c->name, '{')) {
		c4_comm_name_members(c);
		uses = name_uses(j, c);
	}
	len = strlen(c->name);
	if (uses > 1)
		snprintf(c->name + len, sizeof c->name - len, "#%llu", (unsigned long long)uses);
}

static int comm_slot(struct c4_job *j)
{
	uint32_t cap = j->comms_cap;
	void *grown;

	for (uint32_t i = 0; j->comms_live < j->ncomms && i < j->ncomms; i++)
		if (!j->comms[i])
			return (int)i;
	grown = c4_vec_reserve(j->comms, &cap, j->ncomms + 1, C4_MODEL_JOB_COMMS, sizeof *j->comms);
	if (!grown)
		return -1;
	j->comms = grown;
	grown = reallocarray(j->diag_comms, cap, sizeof *j->diag_comms);
	if (!grown)
		return -1;
	j->diag_comms = grown;
	j->comms_cap = cap;
	return (int)j->ncomms++;
}

static void comm_publish(struct c4_job *j, struct c4_comm *c)
{
	bool known = c->ranks && !(c->flags & (C4_COMM_FOREIGN | C4_COMM_TRUNCATED));

	j->comms[c->slot] = c;
	j->comms_live++;
	j->diag_comms[c->slot] = (struct c4_diag_comm){
		.id = c->id,
		.name = c->name,
		.size = c->size,
		.members = c->ranks,
		.judged = known && !(c->flags & C4_COMM_INTER),
		.state = c->state,
	};
}

static struct c4_comm *comm_make(struct c4_model *m, struct c4_job *j,
				 const struct c4_comm_identity *who, uint64_t now_ns)
{
	struct c4_comm *c;
	int slot;

	if (m->members + who->size > C4_MODEL_MEMBERS)
		return NULL;
	slot = comm_slot(j);
	if (slot < 0)
		return NULL;
	j->comms[slot] = NULL;
	j->diag_comms[slot] = (struct c4_diag_comm){.name = ""};
	c = c4_comm_new(who, now_ns, m->stats);
	if (!c)
		return NULL;
	if (c4_map_put(&j->comm_by_id, c->id, c)) {
		c4_comm_free(c);
		return NULL;
	}
	c->slot = (uint32_t)slot;
	comm_unique_name(j, c);
	comm_publish(j, c);
	m->members += c->size;
	return c;
}

static void comm_drop(struct c4_model *m, struct c4_job *j, struct c4_comm *c)
{
	uint32_t n = c->ranks ? c->size : j->nranks;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t rank = c->ranks ? (uint32_t)c->ranks[i] : i;

		if (rank >= j->nranks)
			continue;
		seat_remove(&j->ranks[rank], c);
		if (j->now[rank].call.comm == c->slot)
			j->now[rank].call.comm = C4_DIAG_NONE;
	}
	c4_map_del(&j->comm_by_id, c->id);
	j->comms[c->slot] = NULL;
	j->diag_comms[c->slot] = (struct c4_diag_comm){.name = ""};
	j->comms_live--;
	m->members -= c->size;
	m->stats->comms_evicted++;
	c4_comm_free(c);
}

static void forget_comms(struct c4_model *m, struct c4_job *j, uint64_t now_ns)
{
	for (uint32_t i = 0; i < j->ncomms && j->comms_live > COMM_KEEP; i++) {
		struct c4_comm *c = j->comms[i];

		if (c && c->freed_ns && c4_vclock_since(now_ns, c->freed_ns) > COMM_LINGER_NS)
			comm_drop(m, j, c);
	}
}

static struct c4_comm *comm_for(struct c4_model *m, struct c4_job *j,
				const struct c4_comm_identity *who, uint64_t now_ns,
				enum c4_part_refusal *why)
{
	struct c4_comm *c = c4_map_get(&j->comm_by_id, who->id);

	*why = C4_PART_COMM;
	if (c)
		return c4_comm_same(c, who) ? c : NULL;
	*why = C4_PART_COMMS_FULL;
	return comm_make(m, j, who, now_ns);
}

enum c4_part_refusal c4_rank_join(struct c4_model *m, struct c4_rank *r,
				  const struct c4_comm_identity *who, uint32_t my_rank,
				  uint64_t now_ns)
{
	struct c4_seat *s = c4_rank_seat(r, who->id);
	enum c4_part_refusal why;
	struct c4_comm *c;
	int64_t member;

	if (s && s->comm)
		return c4_comm_same(s->comm, who) ? C4_PART_OK : C4_PART_COMM;
	if (!s)
		s = seat_add(r, who->id);
	if (!s)
		return C4_PART_COMMS_FULL;
	c = comm_for(m, r->job, who, now_ns, &why);
	if (!c)
		return why;
	member = c4_comm_member_of(c, r->rank, my_rank);
	if (member < 0)
		return C4_PART_COMM;
	s->comm = c;
	s->member = (uint32_t)member;
	c->known += !c->state[member].known;
	c->state[member].known = true;
	return C4_PART_OK;
}

/* ---- ranks ----------------------------------------------------------------------------------- */

enum c4_rank_state c4_rank_state(const struct c4_rank *r)
{
	const struct c4_diag_rank *d = &r->job->now[r->rank];
	static const enum c4_rank_state by_run[] = {
		[C4_RUN_UNKNOWN] = C4_RANK_RUNNING,   [C4_RUN_RUNNING] = C4_RANK_RUNNING,
		[C4_RUN_SLEEPING] = C4_RANK_SLEEPING, [C4_RUN_DISK] = C4_RANK_DISK,
		[C4_RUN_STOPPED] = C4_RANK_STOPPED,   [C4_RUN_TRACED] = C4_RANK_TRACED,
		[C4_RUN_GONE] = C4_RANK_GONE,
	};

	if (d->finalized || (d->run == C4_RUN_GONE && d->finalizing))
		return C4_RANK_FINISHED;
	if (d->run == C4_RUN_GONE)
		return C4_RANK_GONE;
	return d->silent ? C4_RANK_SILENT : by_run[d->run];
}

void c4_rank_excuse(struct c4_rank *r)
{
	for (uint32_t i = 0; i < r->nseats; i++)
		if (r->seats[i].comm)
			c4_join_excuse(r->seats[i].comm->join, r->seats[i].member);
	r->excused = true;
}

static void losses_add(struct c4_losses *sum, const struct c4_rank *r)
{
	sum->events += r->lost_events;
	for (unsigned int i = 0; i < C4_LOST_MAX; i++)
		sum->hook[i] += r->lost[i];
}

struct c4_losses c4_job_losses(const struct c4_job *j)
{
	struct c4_losses sum = j->losses;

	for (uint32_t i = 0; i < j->nranks; i++)
		losses_add(&sum, &j->ranks[i]);
	return sum;
}

/* Takes the rank from its agent's table; the place itself stays. */
static void rank_unbind(struct c4_rank *r)
{
	if (r->agent && c4_agent_rank(r->agent, r->handle) == r)
		c4_map_del(&r->agent->ranks, r->handle);
	r->agent = NULL;
}

/* Another process takes the place: its communicators begin anew. */
static void rank_reset(struct c4_rank *r)
{
	for (uint32_t i = 0; i < r->nseats; i++) {
		struct c4_comm *c = r->seats[i].comm;
		uint32_t at = r->seats[i].member;

		if (!c)
			continue;
		c4_join_restart(c->join, at);
		c->freed -= c->members[at].freed;
		c->known -= c->state[at].known;
		c->state[at] = (struct c4_diag_member){0};
		c->members[at].enter_ns = 0;
		c->members[at].freed = false;
	}
	losses_add(&r->job->losses, r);
	r->job->now[r->rank] = (struct c4_diag_rank){.node = r->node, .call.comm = C4_DIAG_NONE};
	free(r->seats);
	*r = (struct c4_rank){.job = r->job, .rank = r->rank};
}

static bool same_process(const struct c4_rank *r, const struct c4_process_identity *who)
{
	return r->pid == who->pid && !strcmp(r->host, who->host) && !strcmp(r->node, who->node);
}

static bool place_free(const struct c4_rank *r, uint64_t now_ns)
{
	const struct c4_diag_rank *d = &r->job->now[r->rank];

	return d->run == C4_RUN_GONE || d->finalized || !r->agent || r->agent->ended ||
	       c4_agent_silent(r->agent, now_ns);
}

static const char *job_string(struct c4_job *j, const char *s)
{
	const char *kept = NULL;

	if (j->strings.used < C4_MODEL_STRINGS * j->nranks + 16 || c4_strmap_find(&j->strings, s))
		kept = c4_strmap_intern(&j->strings, s);
	return kept ? kept : "";
}

static void rank_identify(struct c4_rank *r, const struct c4_process_identity *who, uint64_t now_ns)
{
	struct c4_job *j = r->job;
	struct c4_diag_rank *d = &j->now[r->rank];

	r->pid = who->pid;
	r->node = job_string(j, who->node);
	r->host = job_string(j, who->host);
	r->program = job_string(j, who->program);
	r->library = job_string(j, who->library);
	r->sample_ns = r->active_ns = now_ns;
	c4_strmap_intern(&j->nodes, r->node);
	j->seen += !d->seen;
	*d = (struct c4_diag_rank){.seen = true, .node = r->node, .call.comm = C4_DIAG_NONE};
}

static enum c4_part_refusal rank_bind(struct c4_rank *r, struct c4_agent *a,
				      const struct c4_process_identity *who, uint64_t now_ns)
{
	struct c4_rank *other = c4_agent_rank(a, who->handle);
	bool seen = r->job->now[r->rank].seen;

	if (other && other != r && other != &c4_rank_refused)
		return C4_PART_PROCESS; /* handles are never reused */
	if (seen && !same_process(r, who) && !place_free(r, now_ns))
		return C4_PART_CONFLICT;
	if (a->ranks.used >= C4_MODEL_PROCESSES)
		return C4_PART_PROCESSES_FULL;
	if (c4_map_put(&a->ranks, who->handle, r))
		return C4_PART_MEMORY;
	if (r->agent != a || r->handle != who->handle)
		rank_unbind(r);
	if (seen && !same_process(r, who)) {
		r->job->seen--;
		rank_reset(r);
		seen = false;
	}
	if (!seen)
		rank_identify(r, who, now_ns);
	r->agent = a;
	r->handle = who->handle;
	return C4_PART_OK;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct c4_job *c4_model_job_by_name(const struct c4_model *m, const char *name)
{
	for (uint32_t i = 0; i < m->njobs; i++)
		if (!strcmp(m->jobs[i]->name, name))
			return m->jobs[i];
	return NULL;
}

static struct c4_job *job_find(const struct c4_model *m, const char *id, uint64_t launch)
{
	for (uint32_t i = 0; i < m->njobs; i++)
		if (m->jobs[i]->launch == launch && !strcmp(m->jobs[i]->id, id))
			return m->jobs[i];
	return NULL;
}

static void job_free(struct c4_model *m, struct c4_job *j)
{
	for (uint32_t i = 0; j->ranks && i < j->nranks; i++) {
		rank_unbind(&j->ranks[i]);
		free(j->ranks[i].seats);
	}
	for (uint32_t i = 0; i < j->ncomms; i++) {
		if (!j->comms[i])
			continue;
		m->members -= j->comms[i]->size;
		c4_comm_free(j->comms[i]);
	}
	m->ranks -= j->nranks;
	c4_map_release(&j->comm_by_id);
	c4_strmap_release(&j->comm_names);
	c4_strmap_release(&j->strings);
	c4_strmap_release(&j->nodes);
	c4_diag_memory_free(j->memory);
	free(j->comms);
	free(j->diag_comms);
	free(j->ranks);
	free(j->now);
	free(j);
}

static void job_drop(struct c4_model *m, uint32_t i)
{
	struct c4_job *j = m->jobs[i];

	m->njobs--;
	memmove(&m->jobs[i], &m->jobs[i + 1], (m->njobs - i) * sizeof *m->jobs);
	job_free(m, j);
}

/* Makes room by dropping the job that has been over for longest; false: all are alive. */
static bool job_make_room(struct c4_model *m)
{
	uint32_t best = C4_MODEL_JOBS;

	for (uint32_t i = 0; i < m->njobs; i++)
		if (m->jobs[i]->over_ns &&
		    (best == C4_MODEL_JOBS || m->jobs[i]->over_ns < m->jobs[best]->over_ns))
			best = i;
	if (best == C4_MODEL_JOBS)
		return false;
	job_drop(m, best);
	m->stats->jobs_evicted++;
	return true;
}

static void job_name(const struct c4_model *m, struct c4_job *j)
{
	unsigned int k = 1;

	do {
		if (k == 1)
			snprintf(j->name, sizeof j->name, "%s", j->id);
		else
			snprintf(j->name, sizeof j->name, "%s#%u", j->id, k);
		k++;
	} while (c4_model_job_by_name(m, j->name));
}

static struct c4_job *job_make(struct c4_model *m, const struct c4_process_identity *who,
			       uint64_t wall_ns, enum c4_part_refusal *why)
{
	struct c4_job *j;

	*why = C4_PART_JOBS_FULL;
	if (m->njobs == C4_MODEL_JOBS && !job_make_room(m))
		return NULL;
	*why = C4_PART_RANKS_FULL;
	if (who->world_size > C4_MODEL_JOB_RANKS || m->ranks + who->world_size > C4_MODEL_RANKS)
		return NULL;
	*why = C4_PART_MEMORY;
	j = calloc(1, sizeof *j);
	if (!j)
		return NULL;
	m->ranks += who->world_size;
	j->nranks = who->world_size;
	j->ranks = calloc(j->nranks, sizeof *j->ranks);
	j->now = calloc(j->nranks, sizeof *j->now);
	j->memory = c4_diag_memory_new();
	if (!j->ranks || !j->now || !j->memory) {
		job_free(m, j);
		return NULL;
	}
	snprintf(j->id, sizeof j->id, "%s", who->job);
	j->launch = who->launch;
	j->uid = m->next_uid++;
	j->started_wall_ns = j->seen_wall_ns = wall_ns;
	for (uint32_t i = 0; i < j->nranks; i++) {
		j->ranks[i] = (struct c4_rank){.job = j, .rank = i};
		j->now[i].call.comm = C4_DIAG_NONE;
	}
	job_name(m, j);
	m->jobs[m->njobs++] = j;
	return j;
}

struct c4_rank *c4_model_seat(struct c4_model *m, struct c4_agent *a,
			      const struct c4_process_identity *who, uint64_t now_ns,
			      uint64_t wall_ns, enum c4_part_refusal *ret_why)
{
	struct c4_job *j = job_find(m, who->job, who->launch);

	if (!j)
		j = job_make(m, who, wall_ns, ret_why);
	if (!j)
		return NULL;
	*ret_why = C4_PART_CONFLICT;
	if (who->world_size != j->nranks)
		return NULL;
	*ret_why = rank_bind(&j->ranks[who->rank], a, who, now_ns);
	return *ret_why ? NULL : &j->ranks[who->rank];
}

/* ---- time ------------------------------------------------------------------------------------ */

void c4_model_tick(struct c4_model *m, uint64_t now_ns, uint64_t keep_ns)
{
	for (uint32_t i = m->njobs; i-- > 0;) {
		struct c4_job *j = m->jobs[i];

		forget_comms(m, j, now_ns);
		if (j->over_ns && c4_vclock_since(now_ns, j->over_ns) > keep_ns)
			job_drop(m, i);
	}
	forget_agents(m, now_ns);
}

void c4_model_release(struct c4_model *m)
{
	struct c4_map_entry *e;

	while (m->njobs)
		job_drop(m, m->njobs - 1);
	c4_map_for_each (e, &m->agents)
		agent_free(e->value);
	c4_map_release(&m->agents);
}

#define C4_X(sym, name) name,
const char *c4_job_state_name(enum c4_job_state s)
{
	static const char *const names[] = {C4_JOB_STATES(C4_X)};

	return names[s];
}

const char *c4_rank_state_name(enum c4_rank_state s)
{
	static const char *const names[] = {C4_RANK_STATES(C4_X)};

	return names[s];
}
#undef C4_X
