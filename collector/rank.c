// SPDX-License-Identifier: BSD-3-Clause
#include "collector/rank.h"

#include <stdlib.h>
#include <string.h>

#include "collector/health.h"
#include "collector/vclock.h"

enum c4_rank_state c4_rank_state(const struct c4_rank *r)
{
	const struct c4_diag_rank *d = &r->job->now[r->rank];
	static const enum c4_rank_state by_run[] = {
		[C4_RUN_UNKNOWN] = C4_RANK_RUNNING,   [C4_RUN_RUNNING] = C4_RANK_RUNNING,
		[C4_RUN_SLEEPING] = C4_RANK_SLEEPING, [C4_RUN_DISK] = C4_RANK_DISK,
		[C4_RUN_STOPPED] = C4_RANK_STOPPED,   [C4_RUN_TRACED] = C4_RANK_TRACED,
		[C4_RUN_GONE] = C4_RANK_GONE,
	};

	if (d->finalized)
		return C4_RANK_FINISHED;
	if (d->run == C4_RUN_GONE)
		return C4_RANK_GONE;
	return d->silent ? C4_RANK_SILENT : by_run[d->run];
}

const struct c4_diag_gpu *c4_rank_gpu(const struct c4_rank *r)
{
	if (!r->agent || (r->gpu_index < 0 && !r->gpu_bus[0]))
		return NULL;
	return c4_health_find_gpu(r->agent->health, r->gpu_bus, r->gpu_index);
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

void c4_rank_unbind(struct c4_rank *r)
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
		c4_conntab_forget(&c->conns, r->rank);
		c->freed -= c->members[at].freed;
		c->known -= c->state[at].known;
		c->state[at] = (struct c4_diag_member){0};
		c->members[at].enter_ns = c->members[at].begun_ns = 0;
		c->members[at].freed = false;
		if (c->flags & C4_COMM_REPORTED) {
			c->ranks[at] = -1;
			r->job->diag_comms[c->slot].judged = false;
		}
	}
	losses_add(&r->job->losses, r);
	r->job->now[r->rank] = (struct c4_diag_rank){.node = r->node, .call.comm = C4_DIAG_NONE};
	free(r->seats);
	*r = (struct c4_rank){.job = r->job, .rank = r->rank, .gpu_index = -1};
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

enum c4_part_refusal c4_rank_bind(struct c4_rank *r, struct c4_agent *a,
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
		c4_rank_unbind(r);
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

#define C4_X(sym, name) name,
const char *c4_rank_state_name(enum c4_rank_state s)
{
	static const char *const names[] = {C4_RANK_STATES(C4_X)};

	return names[s];
}
#undef C4_X
