// SPDX-License-Identifier: BSD-3-Clause
#include "collector/collector.h"

#include <errno.h>

#include "collector/judge.h"
#include "common/base/clock.h"
#include "common/log.h"

#define QUIET_NS	1000000000ull /* after a gap: first hear what happened meanwhile */
#define OVER_NS		5000000000ull /* late posts of an ended job still count */
#define LOST_KEEP_NS	(600ull * 1000000000)
#define OVER_KEEP_NS	(3600ull * 1000000000)
#define EXPIRE_EVERY_NS (60ull * 1000000000)

static void tell(void *arg, const struct c4_incident *in)
{
	(void)arg;
	c4_info("incident %s: %s %s: %s", in->id, c4_incident_kind_name(in->kind),
		c4_incident_state_name(in->state), in->summary);
}

int c4_collector_init(struct c4_collector *c, uv_loop_t *loop, struct c4_store *store,
		      uint64_t retain_ns, uint64_t mono_ns, uint64_t wall_ns)
{
	*c = (struct c4_collector){.retain_ns = retain_ns};
	c->keeper = c4_keeper_new(loop, store, &c->incidents);
	if (!c->keeper)
		return -ENOMEM;
	c4_vclock_init(&c->clock, mono_ns);
	c->started_ns = c4_vclock_now(&c->clock, mono_ns);
	c4_model_init(&c->model, &c->stats);
	c4_ingest_init(&c->ingest, &c->model, &c->stats);
	c4_incidents_init(&c->incidents, tell, c);
	c4_keeper_start(c->keeper, c->started_ns, wall_ns);
	return 0;
}

void c4_collector_release(struct c4_collector *c, uint64_t mono_ns, uint64_t wall_ns)
{
	c4_keeper_finish(c->keeper, c4_vclock_now(&c->clock, mono_ns), wall_ns);
	c4_keeper_free(c->keeper);
	c4_linktab_release(&c->links);
	c4_incidents_release(&c->incidents);
	c4_ingest_release(&c->ingest);
	c4_model_release(&c->model);
}

enum c4_post_refusal c4_collector_post(struct c4_collector *c, const void *body, size_t n,
				       uint64_t mono_ns, uint64_t wall_ns,
				       struct c4_ingest_answer *ret)
{
	return c4_ingest_post(&c->ingest, body, n, c4_vclock_now(&c->clock, mono_ns), wall_ns, ret);
}

void c4_collector_look(struct c4_collector *c, struct c4_job *j, uint64_t now_ns, uint64_t wall_ns)
{
	struct c4_verdicts verdicts = {0};

	if (c4_judge(j, now_ns, &verdicts))
		c->stats.verdicts_failed++;
	else
		c4_incidents_apply(&c->incidents, j, &verdicts, now_ns, wall_ns);
	c->stats.judgements++;
	c->stats.judge_ns += j->judge_cost_ns;
	c4_verdicts_release(&verdicts);
}

/* A job that is over, long enough for every late post: its incidents end with it. */
static void close_job(struct c4_collector *c, struct c4_job *j, uint64_t now_ns, uint64_t wall_ns)
{
	c4_incidents_job_over(&c->incidents, j, now_ns, wall_ns);
	c4_judge_close(j);
}

/* A lost job may come back (its agents restart); it is given more time than an ended one. */
static bool over_for_good(const struct c4_job *j, uint64_t now_ns)
{
	uint64_t patience = j->state == C4_JOB_LOST ? LOST_KEEP_NS : OVER_NS;

	return j->over_ns && c4_vclock_since(now_ns, j->over_ns) > patience;
}

/* A closed job whose processes speak again (restarted in the same launch) is judged anew. */
static void revive(struct c4_job *j, uint64_t now_ns)
{
	if (j->changed_ns <= j->judged_ns)
		return;
	c4_judge_refresh(j, now_ns);
	j->judged_ns = now_ns;
	if (!j->over_ns)
		j->memory = c4_diag_memory_new();
}

static void look_at_jobs(struct c4_collector *c, uint64_t now_ns, uint64_t wall_ns)
{
	for (uint32_t i = 0; i < c->model.njobs; i++) {
		struct c4_job *j = c->model.jobs[i];

		if (!j->memory)
			revive(j, now_ns);
		if (!j->memory || !c4_judge_due(j, now_ns))
			continue;
		c4_collector_look(c, j, now_ns, wall_ns);
		if (over_for_good(j, now_ns))
			close_job(c, j, now_ns, wall_ns);
	}
}

static void expire(struct c4_collector *c, uint64_t now_ns, uint64_t wall_ns)
{
	if (c4_vclock_since(now_ns, c->expired_ns) < EXPIRE_EVERY_NS)
		return;
	c->expired_ns = now_ns;
	if (wall_ns > c->retain_ns)
		c4_incidents_expire(&c->incidents, wall_ns - c->retain_ns);
}

void c4_collector_tick(struct c4_collector *c, uint64_t mono_ns, uint64_t wall_ns)
{
	uint64_t began = c4_mono_ns(), now_ns = c4_vclock_now(&c->clock, mono_ns);
	bool quiet = c->clock.gaps && c4_vclock_since(now_ns, c->clock.resumed_ns) < QUIET_NS;

	if (!quiet) {
		look_at_jobs(c, now_ns, wall_ns);
		c4_linktab_look(&c->links, &c->incidents, now_ns, wall_ns);
	}
	c4_incidents_orphans(&c->incidents, &c->model, now_ns, wall_ns);
	c4_model_tick(&c->model, now_ns, OVER_KEEP_NS);
	expire(c, now_ns, wall_ns);
	c4_keeper_tick(c->keeper, now_ns, wall_ns);
	c->stats.ticks++;
	c->stats.tick_ns += c4_mono_ns() - began;
}
