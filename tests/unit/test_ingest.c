// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/ingest.h"
#include "collector/judge.h"
#include "collector/rank.h"
#include "collector/vclock.h"
#include "tests/unit/collector_post.h"

#define S     1000000000ull
#define MS    1000000ull
#define WALL  (1700000000ull * S)
#define WORLD 0xabcdull

struct fixture {
	struct c4_stats stats;
	struct c4_model model;
	struct c4_ingest in;
	struct c4_ingest_answer answer;
	uint64_t now;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	c4_model_init(&f->model, &f->stats);
	c4_ingest_init(&f->in, &f->model, &f->stats);
	f->now = C4_VCLOCK_START;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	c4_ingest_release(&f->in);
	c4_model_release(&f->model);
	free(f);
	return 0;
}

/* Sends and frees it. */
static enum c4_post_refusal sendp(struct fixture *f, C4__V1__Post *p)
{
	size_t n;
	uint8_t *buf = post_pack(p, &n);
	enum c4_post_refusal rc = c4_ingest_post(&f->in, buf, n, f->now, WALL, &f->answer);

	free(buf);
	post_free(p);
	return rc;
}

/* Rank's first post: it and its place in a world of `size`. */
static void introduce(struct fixture *f, uint32_t rank, uint32_t size)
{
	C4__V1__Post *p = post_new(100 + rank, 1);
	C4__V1__Process *x = post_process(p, 1);

	post_identity(x, "train", rank, size);
	post_members(post_comm(x, WORLD, 0, 0), size, rank, 0, 1);
	assert_int_equal(sendp(f, p), C4_POST_OK);
}

static struct c4_job *job(struct fixture *f)
{
	return f->model.njobs ? f->model.jobs[0] : NULL;
}

static uint64_t left_out(const struct fixture *f)
{
	uint64_t n = 0;

	for (int i = 0; i < C4_PART_REFUSAL_MAX; i++)
		n += f->stats.parts_refused[i];
	return n;
}

/* ---- whole posts ----------------------------------------------------------------------------- */

static void test_garbage_is_undecodable(void **state)
{
	struct fixture *f = *state;
	static const uint8_t junk[] = {0xff, 0xff, 0xff, 0xff};

	assert_int_equal(c4_ingest_post(&f->in, junk, sizeof junk, f->now, WALL, &f->answer),
			 C4_POST_DECODE);
	assert_int_equal(f->stats.posts_refused[C4_POST_DECODE], 1);
	assert_int_equal(f->model.agents.used, 0);
}

/* Cut anywhere: refused or taken in part, never more. */
static void test_truncated_posts(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(5, 1);
	C4__V1__Process *x = post_process(p, 1);
	uint8_t *buf, *exact;
	size_t n;

	post_identity(x, "train", 0, 4);
	post_members(post_comm(x, WORLD, 7, 6), 4, 0, 0, 1);
	post_block(x, WORLD, 0, 6, MS);
	buf = post_pack(p, &n);
	for (size_t cut = 0; cut < n; cut++) {
		exact = malloc(cut + !cut); /* so that reading beyond it is seen */
		memcpy(exact, buf, cut);
		c4_ingest_post(&f->in, exact, cut, f->now, WALL, &f->answer);
		free(exact);
	}
	free(buf);
	post_free(p);
	assert_true(f->stats.posts_refused[C4_POST_DECODE] > 0);
}

/* Two bytes on the wire are a hundred in memory: a post may not decode into more than its share. */
static void test_bomb_is_refused(void **state)
{
	struct fixture *f = *state;
	size_t n = 8u << 20;
	uint8_t *bomb = malloc(n);

	for (size_t i = 0; i < n; i += 2) {
		bomb[i] = 5 << 3 | 2; /* processes: an empty one */
		bomb[i + 1] = 0;
	}
	assert_int_equal(c4_ingest_post(&f->in, bomb, n, f->now, WALL, &f->answer), C4_POST_DECODE);
	free(bomb);
}

static void test_agent_must_say_who_it_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(sendp(f, post_new(0, 1)), C4_POST_AGENT);
	assert_int_equal(sendp(f, post_new(5, 0)), C4_POST_AGENT);
}

static void test_repeated_post_counts_once(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	introduce(f, 0, 2);
	for (int i = 0; i < 2; i++) {
		p = post_new(100, 2);
		post_block(post_process(p, 1), WORLD, 0, 8, MS);
		assert_int_equal(sendp(f, p), i ? C4_POST_DUPLICATE : C4_POST_OK);
	}
	assert_int_equal(job(f)->comms[0]->members[0].bytes, 8 << 20);
}

static void test_lost_posts_are_on_the_jobs_account(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	introduce(f, 0, 2);
	p = post_new(100, 5); /* 2, 3 and 4 never came */
	p->dropped_posts = 3; /* and the agent says so */
	p->bad_segments = 2;
	post_process(p, 1);
	sendp(f, p);
	assert_int_equal(c4_job_losses(job(f)).posts, 3);
	assert_int_equal(c4_job_losses(job(f)).bad_segments, 2);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void test_process_without_identity_asks_for_it(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(5, 9);

	post_process(p, 1);
	assert_int_equal(sendp(f, p), C4_POST_OK);
	assert_true(f->answer.resync);
	assert_int_equal(f->stats.parts_refused[C4_PART_UNKNOWN_PROCESS], 1);
}

/* A new agent with one process that says it is this. */
static void claim(struct fixture *f, uint64_t instance, const char *job_id, uint32_t rank,
		  uint32_t world)
{
	C4__V1__Post *p = post_new(instance, 1);

	post_identity(post_process(p, 1), job_id, rank, world);
	assert_int_equal(sendp(f, p), C4_POST_OK);
	assert_false(f->answer.resync);
}

static void test_absurd_identities(void **state)
{
	struct fixture *f = *state;

	claim(f, 1, "train", 4, 4);
	claim(f, 2, "train", 0, 0);
	claim(f, 3, "", 0, 4);
	claim(f, 4, "train", UINT32_MAX, UINT32_MAX);
	assert_int_equal(f->stats.parts_refused[C4_PART_PROCESS], 4);
	claim(f, 5, "train", 0, UINT32_MAX);
	assert_int_equal(f->stats.parts_refused[C4_PART_RANKS_FULL], 1);
	assert_int_equal(f->model.njobs, 0);
}

/* A refused process is not asked for again with each post. */
static void test_refused_process_is_remembered(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(1, 2);

	claim(f, 1, "train", 4, 4);
	post_process(p, 1);
	sendp(f, p);
	assert_false(f->answer.resync);
}

static void test_world_size_must_agree(void **state)
{
	struct fixture *f = *state;

	introduce(f, 0, 4);
	claim(f, 9, "train", 1, 5);
	assert_int_equal(f->stats.parts_refused[C4_PART_CONFLICT], 1);
}

static void test_two_living_processes_cannot_be_one_rank(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(9, 1);

	introduce(f, 0, 2);
	post_identity(post_process(p, 1), "train", 0, 2)->pid = 4242;
	sendp(f, p);
	assert_int_equal(f->stats.parts_refused[C4_PART_CONFLICT], 1);
	assert_int_equal(job(f)->ranks[0].pid, 1000);
}

static void test_agent_restart_keeps_the_process(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(9, 1);

	introduce(f, 0, 2);
	post_identity(post_process(p, 55), "train", 0, 2);
	sendp(f, p);
	assert_int_equal(left_out(f), 0);
	assert_int_equal(job(f)->seen, 1);
	assert_int_equal(job(f)->ranks[0].nseats, 1);
	assert_int_equal(job(f)->ranks[0].agent->instance, 9);
}

static void gone(struct fixture *f, uint64_t seq)
{
	C4__V1__Post *p = post_new(100, seq);

	post_process(p, 1)->run = C4__V1__PROCESS__RUN__RUN_GONE;
	sendp(f, p);
}

static void test_restarted_rank_begins_anew(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 3);
	C4__V1__Process *x = post_process(p, 2);

	introduce(f, 0, 2);
	gone(f, 2);
	assert_int_equal(c4_rank_state(&job(f)->ranks[0]), C4_RANK_GONE);
	post_identity(x, "train", 0, 2)->pid = 4242;
	sendp(f, p);
	assert_int_equal(c4_rank_state(&job(f)->ranks[0]), C4_RANK_RUNNING);
	assert_int_equal(job(f)->ranks[0].pid, 4242);
	assert_int_equal(job(f)->ranks[0].nseats, 0);
	assert_int_equal(job(f)->comms[0]->known, 0);
	assert_int_equal(job(f)->seen, 1);
}

/* The handle of one rank claimed for another: refused, and nothing dangles. */
static void test_handles_are_never_reused(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);

	introduce(f, 0, 2);
	post_identity(post_process(p, 1), "train", 1, 2);
	sendp(f, p);
	assert_int_equal(f->stats.parts_refused[C4_PART_PROCESS], 1);
	assert_false(job(f)->now[1].seen);
}

static void test_second_launch_gets_a_name(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(9, 1);

	introduce(f, 0, 2);
	post_identity(post_process(p, 1), "train", 0, 2)->launch = 78;
	sendp(f, p);
	assert_int_equal(f->model.njobs, 2);
	assert_string_equal(f->model.jobs[0]->name, "train");
	assert_string_equal(f->model.jobs[1]->name, "train#2");
}

static void test_jobs_are_bounded(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < C4_MODEL_JOBS + 3; i++) {
		C4__V1__Post *p = post_new(1000 + i, 1);

		post_identity(post_process(p, 1), "train", 0, 1)->launch = i;
		sendp(f, p);
	}
	assert_int_equal(f->model.njobs, C4_MODEL_JOBS);
	assert_int_equal(f->stats.parts_refused[C4_PART_JOBS_FULL], 3);
	/* one that is over gives way */
	f->model.jobs[7]->over_ns = f->now;
	claim(f, 5000, "another", 0, 2);
	assert_int_equal(f->model.njobs, C4_MODEL_JOBS);
	assert_int_equal(f->stats.jobs_evicted, 1);
}

static void test_strings_are_cleaned(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(9, 1);
	C4__V1__Identity *id = post_identity(post_process(p, 1), "tr\x01in\xc3", 0, 1);

	free(id->program);
	id->program = malloc(100000);
	memset(id->program, 'a', 99999);
	id->program[99999] = '\0';
	sendp(f, p);
	assert_string_equal(job(f)->name, "tr?in?");
	assert_int_equal(strlen(job(f)->ranks[0].program), C4_NAME_BYTES - 1);
}

/* ---- ages ------------------------------------------------------------------------------------ */

/* Told: gone 2 s before a sample that was 3 s old when made, and queued 4 s. */
static void test_ages_add_up(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);
	C4__V1__Process *x = post_process(p, 1);

	introduce(f, 0, 2);
	f->now += 60 * S;
	p->queued_ns = 4 * S;
	x->age_ns = 3 * S;
	x->run = C4__V1__PROCESS__RUN__RUN_GONE;
	x->gone_age_ns = 2 * S;
	sendp(f, p);
	c4_judge_refresh(job(f), f->now + S);
	assert_int_equal(job(f)->now[0].gone_for_ns, 10 * S);
}

static void test_inside_ages_between_posts(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);
	C4__V1__Process *x = post_process(p, 1);

	introduce(f, 0, 2);
	post_comm(x, WORLD, 5, 4)->inside_ns = S;
	post_thread(x, WORLD, 4, S);
	post_thread(x, WORLD, 4, 2 * S)->n_peers = 0;
	sendp(f, p);
	c4_judge_refresh(job(f), f->now + 3 * S);
	assert_int_equal(job(f)->comms[0]->state[0].inside_ns, 4 * S);
	assert_int_equal(job(f)->now[0].call.for_ns, 5 * S); /* the longest of its threads */
	assert_int_equal(job(f)->now[0].call.comm, 0);
}

static void test_idle_counts_from_last_activity(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	introduce(f, 0, 2);
	for (uint64_t seq = 2; seq < 6; seq++) {
		f->now += S;
		p = post_new(100, seq);
		post_process(p, 1)->cpu_permille = seq == 2 ? 500 : 3;
		sendp(f, p);
	}
	c4_judge_refresh(job(f), f->now);
	assert_int_equal(job(f)->now[0].idle_for_ns, 3 * S);
}

static void test_silence(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p;

	introduce(f, 0, 2);
	introduce(f, 1, 2);
	p = post_new(101, 2);
	p->last = true;
	post_process(p, 1);
	sendp(f, p);
	c4_judge_refresh(job(f), f->now + 4 * S);
	assert_false(job(f)->now[0].silent);
	c4_judge_refresh(job(f), f->now + 4 * S + 1);
	assert_true(job(f)->now[0].silent);
	assert_false(job(f)->now[1].silent); /* it said that it ends */
}

/* ---- communicators, threads, blocks ------------------------------------------------------------
 */

/* A post of rank 0 with one communicator of that identity; what was left out for it. */
static uint64_t comm_refused(struct fixture *f, uint64_t seq, uint64_t id, uint32_t size,
			     uint32_t my_rank, int32_t first, int32_t stride, uint32_t count)
{
	C4__V1__Post *p = post_new(100, seq);
	C4__V1__CommIdentity *ci;
	uint64_t before = left_out(f);

	ci = post_members(post_comm(post_process(p, 1), id, 1, 1), size, my_rank, first, stride);
	ci->members[0]->count = count;
	sendp(f, p);
	return left_out(f) - before;
}

static void test_absurd_communicators(void **state)
{
	struct fixture *f = *state;
	uint64_t seq = 2;

	introduce(f, 0, 8);
	assert_int_equal(comm_refused(f, seq++, 0, 8, 0, 0, 1, 8), 1);	/* id 0 is none */
	assert_int_equal(comm_refused(f, seq++, 1, 0, 0, 0, 1, 0), 1);	/* nobody */
	assert_int_equal(comm_refused(f, seq++, 2, 8, 0, 0, 1, 7), 1);	/* members ≠ size */
	assert_int_equal(comm_refused(f, seq++, 3, 8, 0, 1, 1, 8), 1);	/* rank 8 of 8 */
	assert_int_equal(comm_refused(f, seq++, 4, 8, 0, 0, -1, 8), 1); /* negative ranks */
	assert_int_equal(comm_refused(f, seq++, 5, 4, 0, 4, 1, 4), 1);	/* not a member of it */
	assert_int_equal(comm_refused(f, seq++, 6, 8, 9, 0, 1, 8), 1);	/* my_rank beyond size */
	assert_int_equal(comm_refused(f, seq++, 7, UINT32_MAX, 0, 0, 0, UINT32_MAX), 1); /* huge */
	assert_int_equal(comm_refused(f, seq++, 8, 2, 1, 4, -4, 2), 0); /* {4, 0} is one */
	assert_false(f->answer.resync);
}

static void test_members_must_agree(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(101, 1);
	C4__V1__Process *x = post_process(p, 1);

	introduce(f, 0, 4);
	post_identity(x, "train", 1, 4);
	post_members(post_comm(x, WORLD, 0, 0), 2, 1, 0, 1);
	sendp(f, p);
	assert_int_equal(f->stats.parts_refused[C4_PART_COMM], 1);
	assert_int_equal(job(f)->comms[0]->known, 1);
}

static void test_unknown_communicator_asks_for_it(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);

	introduce(f, 0, 2);
	post_block(post_process(p, 1), 0x999, 0, 8, MS);
	sendp(f, p);
	assert_true(f->answer.resync);
	assert_int_equal(f->stats.parts_refused[C4_PART_UNKNOWN_COMM], 1);
}

static void test_communicators_show_names(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);
	C4__V1__Process *x = post_process(p, 1);

	introduce(f, 0, 8);
	post_members(post_comm(x, 1, 0, 0), 4, 0, 0, 2);
	post_text(&post_members(post_comm(x, 2, 0, 0), 2, 0, 0, 1)->name, "pair");
	post_text(&post_members(post_comm(x, 3, 0, 0), 2, 0, 0, 4)->name, "pair");
	post_members(post_comm(x, 4, 0, 0), 8, 0, 0, 1);
	sendp(f, p);
	assert_string_equal(job(f)->comms[0]->name, "comm{0-7}");
	assert_string_equal(job(f)->comms[1]->name, "comm{0-6:2}");
	assert_string_equal(job(f)->comms[2]->name, "pair");
	assert_string_equal(job(f)->comms[3]->name, "pair{0,4}");
	assert_string_equal(job(f)->comms[4]->name, "comm{0-7}#2");
}

static void bad_block(struct fixture *f, uint64_t seq, void (*spoil)(C4__V1__Block *))
{
	C4__V1__Post *p = post_new(100, seq);
	uint64_t before = f->stats.parts_refused[C4_PART_BLOCK];

	spoil(post_block(post_process(p, 1), WORLD, 0, 8, MS));
	sendp(f, p);
	assert_int_equal(f->stats.parts_refused[C4_PART_BLOCK] - before, 1);
}

#define SPOIL(name, change)                                                                        \
	static void spoil_##name(C4__V1__Block *b)                                                 \
	{                                                                                          \
		change;                                                                            \
	}
SPOIL(empty, b->count = 0)
SPOIL(level, b->level = 99)
SPOIL(crossing, b->level = 2)
SPOIL(overflow, b->first = UINT64_MAX - 3)
SPOIL(missing, b->missing = 9)
SPOIL(sync, b->sync_count = 9)
SPOIL(span, b->span_count = 9)
SPOIL(eternal, b->sync_sum_ns = UINT64_MAX)
SPOIL(order, b->sync_min_ns = b->sync_max_ns + 1)
SPOIL(part, b->own_max_ns = b->own_sum_ns + 1)
SPOIL(bytes, b->bytes = UINT64_MAX)

static void test_absurd_blocks(void **state)
{
	static void (*const spoils[])(C4__V1__Block *) = {
		spoil_empty,   spoil_level, spoil_crossing, spoil_overflow,
		spoil_missing, spoil_sync,  spoil_span,	    spoil_eternal,
		spoil_order,   spoil_part,  spoil_bytes,
	};
	struct fixture *f = *state;

	introduce(f, 0, 2);
	for (uint64_t i = 0; i < sizeof spoils / sizeof *spoils; i++)
		bad_block(f, 2 + i, spoils[i]);
	assert_int_equal(job(f)->comms[0]->members[0].bytes, 0);
}

static void test_absurd_threads(void **state)
{
	struct fixture *f = *state;
	C4__V1__Post *p = post_new(100, 2);
	C4__V1__Process *x = post_process(p, 1);
	C4__V1__Thread *t;
	int32_t *peers = malloc(20 * sizeof *peers);

	introduce(f, 0, 2);
	post_thread(x, WORLD, 0, S)->kind = 200;
	post_thread(x, WORLD, 0, UINT64_MAX);
	t = post_thread(x, WORLD, 0, S);
	t->peers = peers; /* far more than can be named, the first beyond the world */
	t->n_peers = 20;
	for (int i = 0; i < 20; i++)
		peers[i] = 2;
	sendp(f, p);
	assert_int_equal(f->stats.parts_refused[C4_PART_THREAD], 3);
	assert_int_equal(job(f)->now[0].call.kind, C4_OP_NONE);
}

static void test_windows_close_over_ranks(void **state)
{
	struct fixture *f = *state;

	introduce(f, 0, 2);
	introduce(f, 1, 2);
	for (uint32_t r = 0; r < 2; r++) {
		C4__V1__Post *p = post_new(100 + r, 2);

		/* rank 1 waits 1 ms each time: rank 0 comes 0.9 ms late */
		post_block(post_process(p, 1), WORLD, 0, 64, r ? MS : MS / 10);
		sendp(f, p);
	}
	assert_int_equal(f->stats.windows, 1);
	assert_true(c4_member_lateness_ms(&job(f)->comms[0]->members[0]) > 0.89);
	assert_true(c4_member_lateness_ms(&job(f)->comms[0]->members[1]) == 0);
	/* 64 × 1 MiB in 64 × 0.1 ms, the last to arrive: 83.9 Gbit/s */
	assert_true(c4_comm_busbw_gbps(job(f)->comms[0]) > 83 &&
		    c4_comm_busbw_gbps(job(f)->comms[0]) < 84);
}

static void test_freed_communicators_are_forgotten(void **state)
{
	struct fixture *f = *state;

	introduce(f, 0, 1);
	for (uint32_t i = 0; i < 600; i++) {
		C4__V1__Post *p = post_new(100, 2 + i);
		C4__V1__Comm *c = post_comm(post_process(p, 1), 5000 + i, 0, 0);

		post_members(c, 1, 0, 0, 1);
		c->freed = true;
		f->now += S;
		sendp(f, p);
		c4_model_tick(&f->model, f->now, 3600 * S);
	}
	assert_int_equal(left_out(f), 0);
	assert_in_range(job(f)->comms_live, 200, 300);
	assert_in_range(job(f)->ncomms, 200, 300);
	assert_int_equal(f->model.members, job(f)->comms_live);
}

static void test_finished_jobs_are_forgotten(void **state)
{
	struct fixture *f = *state;

	introduce(f, 0, 2);
	gone(f, 2);
	c4_judge_refresh(job(f), f->now);
	assert_int_equal(job(f)->state, C4_JOB_FAILED);
	c4_model_tick(&f->model, f->now + 10 * S, 11 * S);
	assert_int_equal(f->model.njobs, 1);
	c4_model_tick(&f->model, f->now + 12 * S, 11 * S);
	assert_int_equal(f->model.njobs, 0);
	assert_int_equal(f->model.ranks, 0);
	assert_int_equal(f->model.members, 0);
	gone(f, 3); /* its agent still tells of it: unknown now, no crash */
	assert_true(f->answer.resync);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_garbage_is_undecodable),
		T(test_truncated_posts),
		T(test_bomb_is_refused),
		T(test_agent_must_say_who_it_is),
		T(test_repeated_post_counts_once),
		T(test_lost_posts_are_on_the_jobs_account),
		T(test_process_without_identity_asks_for_it),
		T(test_absurd_identities),
		T(test_refused_process_is_remembered),
		T(test_world_size_must_agree),
		T(test_two_living_processes_cannot_be_one_rank),
		T(test_agent_restart_keeps_the_process),
		T(test_restarted_rank_begins_anew),
		T(test_handles_are_never_reused),
		T(test_second_launch_gets_a_name),
		T(test_jobs_are_bounded),
		T(test_strings_are_cleaned),
		T(test_ages_add_up),
		T(test_inside_ages_between_posts),
		T(test_idle_counts_from_last_activity),
		T(test_silence),
		T(test_absurd_communicators),
		T(test_members_must_agree),
		T(test_unknown_communicator_asks_for_it),
		T(test_communicators_show_names),
		T(test_absurd_blocks),
		T(test_absurd_threads),
		T(test_windows_close_over_ranks),
		T(test_freed_communicators_are_forgotten),
		T(test_finished_jobs_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
