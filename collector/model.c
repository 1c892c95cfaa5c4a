// SPDX-License-Identifier: BSD-3-Clause
#include "collector/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/health.h"
#include "collector/membership.h"
#include "collector/rank.h"
#include "collector/vclock.h"

#define AGENT_FORGET_NS (600ull * 1000000000)

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
	c4_health_free(a->health);
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
		c4_rank_unbind(&j->ranks[i]);
		free(j->ranks[i].seats);
	}
	for (uint32_t i = 0; i < j->ncomms; i++) {
		if (!j->comms[i])
			continue;
		m->members -= j->comms[i]->size;
		m->conns -= j->comms[i]->conns.n;
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
		j->ranks[i] = (struct c4_rank){.job = j, .rank = i, .gpu_index = -1};
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
	*ret_why = c4_rank_bind(&j->ranks[who->rank], a, who, now_ns);
	return *ret_why ? NULL : &j->ranks[who->rank];
}

/* ---- time ------------------------------------------------------------------------------------ */

void c4_model_tick(struct c4_model *m, uint64_t now_ns, uint64_t keep_ns)
{
	for (uint32_t i = m->njobs; i-- > 0;) {
		struct c4_job *j = m->jobs[i];

		c4_job_forget_comms(m, j, now_ns);
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
#undef C4_X
