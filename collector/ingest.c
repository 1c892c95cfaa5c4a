// SPDX-License-Identifier: BSD-3-Clause
#include "collector/ingest.h"

#include <errno.h>
#include <string.h>

#include "c4.pb-c.h"
#include "collector/health.h"
#include "collector/ingest_process.h"
#include "collector/text.h"
#include "collector/vclock.h"

#define INTERVAL_MAX_MS 600000u
#define INTERVAL_MS	1000u /* of an agent that does not say */

static void *arena_alloc(void *arg, size_t n)
{
	return c4_arena_alloc(arg, n);
}

static void arena_free(void *arg, void *p)
{
	(void)arg; /* the arena is reset after each post */
	(void)p;
}

void c4_ingest_init(struct c4_ingest *in, struct c4_model *model, struct c4_stats *stats)
{
	*in = (struct c4_ingest){.model = model, .stats = stats};
	c4_arena_init(&in->arena, C4_INGEST_ARENA);
}

void c4_ingest_release(struct c4_ingest *in)
{
	c4_arena_release(&in->arena);
}

static enum c4_post_refusal refuse(struct c4_ingest *in, enum c4_post_refusal why)
{
	in->stats->posts_refused[why]++;
	return why;
}

static void take_agent(struct c4_agent *a, const C4__V1__Post *post, uint64_t now_ns)
{
	uint64_t skipped = a->seq ? post->seq - a->seq - 1 : 0;

	/* an agent numbers what it drops, too: the larger of the two tells both kinds of loss */
	if (skipped < UINT32_MAX)
		a->lost_posts += skipped;
	if (post->dropped_posts > a->lost_posts)
		a->lost_posts = post->dropped_posts;
	a->bad_segments = post->bad_segments;
	a->seq = post->seq;
	a->seen_ns = now_ns;
	a->ended = post->last;
	a->interval_ms = post->interval_ms ? post->interval_ms : INTERVAL_MS;
	if (a->interval_ms > INTERVAL_MAX_MS)
		a->interval_ms = INTERVAL_MAX_MS;
	if (!a->node[0])
		c4_text_copy(a->node, sizeof a->node, post->agent);
}

/* Puts the agent's own losses on the account of a job it serves. */
static void charge(struct c4_agent *a, struct c4_job *j)
{
	if (a->lost_posts > a->told_posts)
		j->losses.posts += a->lost_posts - a->told_posts;
	if (a->bad_segments > a->told_segments)
		j->losses.bad_segments += a->bad_segments - a->told_segments;
	a->told_posts = a->lost_posts;
	a->told_segments = a->bad_segments;
}

static void take_devices(struct c4_ingest *in, struct c4_agent *a, const C4__V1__Post *post,
			 uint64_t now_ns)
{
	uint64_t made_ns = c4_vclock_ago(now_ns, post->queued_ns);

	if (!post->n_gpus && !post->n_nics)
		return;
	if (!a->health)
		a->health = c4_health_new();
	if (!a->health) {
		in->stats->parts_refused[C4_PART_MEMORY]++;
		return;
	}
	for (size_t i = 0; i < post->n_gpus; i++)
		in->stats->parts_refused[c4_health_gpu(a->health, post->gpus[i], made_ns)]++;
	for (size_t i = 0; i < post->n_nics; i++)
		in->stats->parts_refused[c4_health_nic(a->health, post->nics[i], made_ns)]++;
	in->stats->parts_refused[C4_PART_OK] = 0;
}

/* Somebody suspects something that transport steps would show. */
static bool wants_detail(const struct c4_job *j, uint64_t now_ns)
{
	return j->detail_ns && c4_vclock_since(now_ns, j->detail_ns) < C4_DETAIL_NS;
}

static void take_processes(struct c4_ingest *in, struct c4_agent *a, const C4__V1__Post *post,
			   struct c4_ingest_answer *ret, uint64_t now_ns, uint64_t wall_ns)
{
	struct c4_ingest_ctx ctx = {
		.model = in->model,
		.stats = in->stats,
		.agent = a,
		.now_ns = now_ns,
		.made_ns = c4_vclock_ago(now_ns, post->queued_ns),
		.wall_ns = wall_ns,
	};

	for (size_t i = 0; i < post->n_processes; i++) {
		struct c4_rank *r = c4_ingest_process(&ctx, post->processes[i]);

		if (!r)
			continue;
		charge(a, r->job);
		ret->detail |= wants_detail(r->job, now_ns);
	}
	ret->resync = ctx.resync;
}

static enum c4_post_refusal take_post(struct c4_ingest *in, const C4__V1__Post *post,
				      uint64_t now_ns, uint64_t wall_ns,
				      struct c4_ingest_answer *ret)
{
	struct c4_agent *a;

	if (!post->instance || !post->seq)
		return refuse(in, C4_POST_AGENT);
	a = c4_model_agent(in->model, post->instance, now_ns);
	if (!a)
		return refuse(in, C4_POST_AGENTS_FULL);
	if (post->seq <= a->seq) { /* sent again: our answer to the first one was lost */
		a->seen_ns = now_ns;
		return refuse(in, C4_POST_DUPLICATE);
	}
	take_agent(a, post, now_ns);
	take_devices(in, a, post, now_ns);
	take_processes(in, a, post, ret, now_ns, wall_ns);
	return C4_POST_OK;
}

enum c4_post_refusal c4_ingest_post(struct c4_ingest *in, const void *body, size_t n,
				    uint64_t now_ns, uint64_t wall_ns, struct c4_ingest_answer *ret)
{
	ProtobufCAllocator alloc = {arena_alloc, arena_free, &in->arena};
	enum c4_post_refusal why;
	C4__V1__Post *post;

	*ret = (struct c4_ingest_answer){0};
	in->stats->posts++;
	in->stats->post_bytes += n;
	post = c4__v1__post__unpack(&alloc, n, body);
	why = post ? take_post(in, post, now_ns, wall_ns, ret) : refuse(in, C4_POST_DECODE);
	c4_arena_reset(&in->arena);
	return why;
}

size_t c4_answer_encode(const struct c4_ingest_answer *answer, uint8_t *buf)
{
	C4__V1__Answer msg = C4__V1__ANSWER__INIT;

	msg.resync = answer->resync;
	msg.detail = answer->detail;
	return c4__v1__answer__pack(&msg, buf);
}
