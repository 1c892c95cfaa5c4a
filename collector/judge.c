// SPDX-License-Identifier: BSD-3-Clause
#include "collector/judge.h"

#include <string.h>

#include "collector/health.h"
#include "collector/rank.h"
#include "collector/vclock.h"
#include "common/base/clock.h"

#define LOOK_NS	       250000000ull
#define LOOK_RANK_NS   10000ull /* more per rank: a second's pause at 75 000 ranks */
#define LOOK_MAX_NS    1000000000ull
#define GONE_EXCUSE_NS 3000000000ull /* its last blocks may still be on their way */
#define LOST_NS	       60000000000ull
#define DETAIL_MAX_NS  120000000000ull

/* An agent that ended in good order tells nothing more: what it last said does not age. */
static uint64_t rank_time(const struct c4_rank *r, uint64_t now_ns)
{
	return r->agent && r->agent->ended && r->agent->seen_ns < now_ns ? r->agent->seen_ns
									 : now_ns;
}

static bool rank_silent(const struct c4_rank *r, uint64_t now_ns)
{
	return !r->agent || c4_agent_silent(r->agent, now_ns);
}

static void refresh_rank(struct c4_rank *r, struct c4_diag_rank *d, uint64_t now_ns)
{
	uint64_t then = rank_time(r, now_ns);
	bool gone = d->run == C4_RUN_GONE;

	d->silent = !gone && !d->finalized && rank_silent(r, now_ns);
	d->gone_for_ns = gone ? c4_vclock_since(now_ns, r->gone_ns) : 0;
	d->outside_ns = r->outside_ns ? c4_vclock_since(then, r->outside_ns) : 0;
	d->idle_for_ns = r->active_ns == r->sample_ns ? 0 : c4_vclock_since(then, r->active_ns);
	if (d->call.kind != C4_OP_NONE)
		d->call.for_ns = c4_vclock_since(then, r->call_ns);
	d->health = r->agent ? c4_health_now(r->agent->health, now_ns) : NULL;
	d->gpu_device = (uint32_t)(r->gpu_index + 1);
	d->gpu = d->health ? c4_rank_gpu(r) : NULL;
	if (!r->excused && (d->silent || (gone && d->gone_for_ns > GONE_EXCUSE_NS)))
		c4_rank_excuse(r);
}

static void refresh_ranks(struct c4_job *j, uint64_t now_ns)
{
	memset(j->by_state, 0, sizeof j->by_state);
	for (uint32_t i = 0; i < j->nranks; i++) {
		if (!j->now[i].seen)
			continue;
		refresh_rank(&j->ranks[i], &j->now[i], now_ns);
		j->by_state[c4_rank_state(&j->ranks[i])]++;
	}
}

/* Ages of members. A rank whose agent ended does not age, here neither: its own clock stands. */
static void refresh_members(struct c4_job *j, struct c4_comm *c, uint64_t now_ns)
{
	for (uint32_t m = 0; m < c->size; m++) {
		uint64_t enter = c->members[m].enter_ns, begun = c->members[m].begun_ns;
		int64_t rank = c->ranks ? c->ranks[m] : -1;
		uint64_t then = now_ns;

		if (!enter && !begun)
			continue;
		if (rank >= 0 && rank < (int64_t)j->nranks)
			then = rank_time(&j->ranks[rank], now_ns);
		c->state[m].inside_ns = enter ? c4_vclock_since(then, enter) : 0;
		c->state[m].gpu_inside_ns = begun ? c4_vclock_since(then, begun) : 0;
	}
}

struct moment {
	const struct c4_job *job;
	uint64_t now_ns;
};

/* Silence of a process means that nothing moved only if it told of everything else. */
static uint64_t silence_counts_until(void *arg, uint32_t teller)
{
	const struct moment *at = arg;
	const struct c4_rank *r = &at->job->ranks[teller];

	return r->conns_late || at->job->now[teller].silent ? 0 : rank_time(r, at->now_ns);
}

static void refresh_conns(struct c4_job *j, struct c4_comm *c, uint64_t now_ns)
{
	struct c4_diag_comm *d = &j->diag_comms[c->slot];
	struct moment at = {j, now_ns};

	c4_conntab_poll(&c->conns, now_ns);
	c4_conntab_age(&c->conns, silence_counts_until, &at);
	d->conns = c->conns.conns;
	d->nconns = c->conns.n;
	d->conn_serial = c->conns.serial;
	d->conn_window_ns = c->conns.window_ns;
}

static void refresh_comm(struct c4_job *j, struct c4_comm *c, uint64_t now_ns)
{
	c4_comm_excuse_unknown(c, now_ns);
	if (!c4_comm_complete(c))
		j->diag_comms[c->slot].judged = c4_comm_presume(c, j->nranks);
	if (c4_join_pending(c->join))
		c4_join_poll(c->join, now_ns, j->over_ns != 0);
	refresh_members(j, c, now_ns);
	if (c->conns.n)
		refresh_conns(j, c, now_ns);
	if (c4_join_serial(c->join) != c->joined_serial) {
		struct c4_diag_comm *d = &j->diag_comms[c->slot];

		d->nwindows = c4_join_windows(c->join, d->windows);
		c->joined_serial = c4_join_serial(c->join);
	}
}

/* All processes that were ever seen are over. */
static bool all_over(const struct c4_job *j)
{
	return j->seen && j->by_state[C4_RANK_GONE] + j->by_state[C4_RANK_FINISHED] == j->seen;
}

/* Nobody tells of it any more: agents are silent, or ended long ago. */
static bool unheard(const struct c4_job *j, uint64_t now_ns)
{
	uint32_t over = j->by_state[C4_RANK_GONE] + j->by_state[C4_RANK_FINISHED];

	return j->by_state[C4_RANK_SILENT] + over == j->seen ||
	       c4_vclock_since(now_ns, j->changed_ns) > LOST_NS;
}

static enum c4_job_state state_of(const struct c4_job *j, uint64_t now_ns)
{
	uint32_t live = j->seen - j->by_state[C4_RANK_GONE] - j->by_state[C4_RANK_FINISHED];

	if (all_over(j))
		return j->by_state[C4_RANK_GONE] ? C4_JOB_FAILED : C4_JOB_FINISHED;
	if (unheard(j, now_ns))
		return C4_JOB_LOST;
	return live && j->by_state[C4_RANK_STOPPED] == live ? C4_JOB_SUSPENDED : C4_JOB_RUNNING;
}

void c4_judge_refresh(struct c4_job *j, uint64_t now_ns)
{
	refresh_ranks(j, now_ns);
	j->state = state_of(j, now_ns);
	if (j->state != C4_JOB_FINISHED && j->state != C4_JOB_FAILED && j->state != C4_JOB_LOST)
		j->over_ns = 0;
	else if (!j->over_ns)
		j->over_ns = now_ns;
	for (uint32_t i = 0; i < j->ncomms; i++)
		if (j->comms[i])
			refresh_comm(j, j->comms[i], now_ns);
}

bool c4_judge_due(const struct c4_job *j, uint64_t now_ns)
{
	uint64_t pause = LOOK_NS + j->nranks * LOOK_RANK_NS;

	if (pause > LOOK_MAX_NS)
		pause = LOOK_MAX_NS;
	if (pause < 10 * j->judge_cost_ns)
		pause = 10 * j->judge_cost_ns;
	return !j->judged_ns || c4_vclock_since(now_ns, j->judged_ns) >= pause;
}

/* What transport steps could show better is suspected: agents are asked for them. */
static bool steps_would_help(const struct c4_job *j, const struct c4_verdicts *v)
{
	bool suspected = false, seen = false;

	for (uint32_t i = 0; i < v->n; i++)
		switch (v->v[i].kind) {
		case C4_INC_HANG_RANK:
		case C4_INC_HANG_COMM:
		case C4_INC_SLOW_RANK:
		case C4_INC_SLOW_NODE:
		case C4_INC_SLOW_TX:
		case C4_INC_SLOW_RX:
		case C4_INC_SLOW_LINK:
		case C4_INC_CONGESTION: suspected = true; break;
		default: break;
		}
	for (uint32_t i = 0; suspected && !seen && i < j->ncomms; i++)
		seen = j->comms[i] && j->comms[i]->conns.n;
	return seen;
}

/* What they did not show in two minutes they will not show: a fault that stays costs no more. */
static void ask_for_steps(struct c4_job *j, const struct c4_verdicts *v, uint64_t now_ns)
{
	if (!steps_would_help(j, v)) {
		j->suspect_ns = 0;
		return;
	}
	if (!j->suspect_ns)
		j->suspect_ns = now_ns;
	if (c4_vclock_since(now_ns, j->suspect_ns) < DETAIL_MAX_NS)
		j->detail_ns = now_ns;
}

int c4_judge(struct c4_job *j, uint64_t now_ns, struct c4_verdicts *out)
{
	uint64_t began = c4_mono_ns();
	struct c4_diag_job input = {
		.job = j->name,
		.now_ns = now_ns,
		.nranks = j->nranks,
		.ranks = j->now,
		.slack_ns = j->interval_ms * 1000000ull,
		.ending = j->ending,
	};
	int rc = 0;

	c4_judge_refresh(j, now_ns);
	input.ncomms = j->ncomms;
	input.comms = j->diag_comms;
	if (j->memory)
		rc = c4_diagnose(&input, j->memory, out);
	ask_for_steps(j, out, now_ns);
	j->judged_ns = now_ns;
	j->judge_cost_ns = c4_mono_ns() - began;
	return rc;
}

void c4_judge_close(struct c4_job *j)
{
	c4_diag_memory_free(j->memory);
	j->memory = NULL;
}
