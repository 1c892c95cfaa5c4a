// SPDX-License-Identifier: BSD-3-Clause
/* Several segments of one process: one process to the collector, whichever comes or goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/feed.h"
#include "c4.pb-c.h"
#include "common/log.h"
#include "tests/unit/agent_rank.h"
#include "tests/unit/agent_sink.h"

#define TOLD_MAX 64

enum { MPI, NCCL, API };
static const struct c4_seg_want wants[RANK_HOOKS] = {
	[MPI] = {.hook = "mpi"}, [NCCL] = {.hook = "nccl", .conns = true}, [API] = {"nccl-api", 0}};

/* What the collector was told of processes, in order. */
struct told {
	uint32_t handle;
	bool part, gone;
	char hook[16]; /* of the identity, "": none */
	int32_t gpu;
	char gpu_bus[16];
	uint64_t comm; /* the first, 0: none */
	size_t nblocks, nconns, nthreads;
	uint64_t lost, lost_events, calls;
	uint64_t gone_age_ns;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct told list[TOLD_MAX];
	int n;
} told = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char dir[64];
static struct rank rank;
static struct sink sink;
static uv_loop_t loop;
static struct c4_watch watch;
static struct c4_feed feed;

static void hear(const C4__V1__Process *m)
{
	struct told *t = &told.list[told.n];

	if (told.n++ >= TOLD_MAX)
		abort();
	*t = (struct told){.handle = m->handle,
			   .part = m->part,
			   .gone = m->run == C4__V1__PROCESS__RUN__RUN_GONE,
			   .comm = m->n_comms ? m->comms[0]->id : 0,
			   .nblocks = m->n_blocks,
			   .nconns = m->n_conns,
			   .nthreads = m->n_threads,
			   .lost_events = m->lost_events,
			   .calls = m->calls,
			   .gone_age_ns = m->gone_age_ns};
	for (size_t i = 0; i < m->n_lost; i++)
		t->lost += m->lost[i];
	if (!m->identity)
		return;
	snprintf(t->hook, sizeof t->hook, "%s", m->identity->hook);
	snprintf(t->gpu_bus, sizeof t->gpu_bus, "%s", m->identity->gpu_bus);
	t->gpu = m->identity->gpu;
}

static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);

	(void)arg, (void)answer, (void)answer_len;
	if (!post)
		return 400;
	pthread_mutex_lock(&told.mutex);
	for (size_t i = 0; i < post->n_processes; i++)
		hear(post->processes[i]);
	pthread_mutex_unlock(&told.mutex);
	c4__v1__post__free_unpacked(post, NULL);
	return 200;
}

static void on_news(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&told.mutex);
	pthread_cond_broadcast(&told.changed);
	pthread_mutex_unlock(&told.mutex);
}

/* Until everything is settled, 15 s at most. */
static void await_settled(void)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 15;
	pthread_mutex_lock(&told.mutex);
	while (!rc && !c4_feed_settled(&feed))
		rc = pthread_cond_timedwait(&told.changed, &told.mutex, &until);
	pthread_mutex_unlock(&told.mutex);
	assert_int_equal(rc, 0);
}

static int setup(void **state)
{
	struct c4_poster_config config = {sink.address, on_news, NULL};

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/c4-kin.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	/* before the sink, whose pipe it would hold open */
	rank_start_hooks(&rank, dir, 3, "n1", wants, RANK_HOOKS);
	if (!sink_start(&sink, 0, take, NULL))
		return -1;
	feed = (struct c4_feed){.agent = "n1", .interval_ms = 500};
	uv_loop_init(&loop);
	c4_watched_init(&watch, &loop);
	return c4_feed_start(&feed, &config);
}

static int teardown(void **state)
{
	(void)state;
	c4_feed_stop(&feed, 10000000000u);
	c4_watched_release(&watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	sink_stop(&sink);
	rank_release(&rank);
	return rmdir(dir);
}

static struct c4_seg *segment(int hook)
{
	return hook ? &rank.more[hook - 1] : &rank.seg;
}

/* A communicator of this hook, whose id tells it: 10, 11, 12. */
static void add_comm(int hook)
{
	struct c4_seg_comm *c = &segment(hook)->comms[0];

	*c = (struct c4_seg_comm){.gen = 2, .id = 10 + (uint64_t)hook, .size = 4};
	c->flags = C4_COMM_REPORTED | C4_COMM_GPU;
	c->state = C4_COMM_LIVE;
}

static struct c4_target *adopt(int hook)
{
	struct c4_target *t;

	add_comm(hook);
	c4_seg_publish(segment(hook));
	assert_int_equal(c4_target_open(segment(hook)->path, c4_mono_ns(), &t), 0);
	assert_int_equal(c4_watched_add(&watch, t), 0);
	return t;
}

/* One full post; told.list is what was told in it. */
static void post(void)
{
	for (uint32_t i = 0; i < watch.n; i++)
		if (!c4_watched_get(&watch, i)->gone)
			c4_target_look(c4_watched_get(&watch, i), c4_mono_ns());
	told.n = 0;
	c4_feed_post(&feed, &watch, C4_FEED_ALL, c4_mono_ns());
	await_settled();
}

#define check_told(i, is_part, identity, comm_id)                                                  \
	do {                                                                                       \
		assert_int_equal(told.list[i].handle, 1);                                          \
		assert_int_equal(told.list[i].part, is_part);                                      \
		assert_string_equal(told.list[i].hook, identity);                                  \
		assert_int_equal(told.list[i].comm, comm_id);                                      \
	} while (0)

/* In whatever order they were found, the process comes first and has the identity. */
static void test_one_process(void **state)
{
	(void)state;
	rank.seg.threads[0] = (struct c4_seg_thread){.tid = (uint32_t)rank.pid, .calls = 7};
	adopt(API);
	adopt(NCCL);
	adopt(MPI);
	segment(NCCL)->threads[0] = (struct c4_seg_thread){.tid = 99, .calls = 5};
	post();
	assert_int_equal(told.n, 3);
	check_told(0, false, "mpi", 10);
	assert_int_equal(told.list[0].calls, 7);
	for (int i = 1; i < 3; i++) {
		assert_true(told.list[i].part);
		assert_int_equal(told.list[i].handle, 1);
		assert_string_equal(told.list[i].hook, "");
		assert_int_equal(told.list[i].calls, 0); /* threads are the process's */
	}
	assert_int_equal(told.list[1].comm + told.list[2].comm, 11 + 12);
	post(); /* and once */
	assert_int_equal(told.n, 3);
	check_told(0, false, "", 0);
}

/* The NCCL segment is there first and is the process; then MPI's comes and takes over. */
static void test_part_first(void **state)
{
	(void)state;
	adopt(NCCL);
	post();
	assert_int_equal(told.n, 1);
	check_told(0, false, "nccl", 11);
	adopt(MPI);
	post();
	assert_int_equal(told.n, 2);
	check_told(0, false, "mpi", 10);
	check_told(1, true, "", 0);
	post();
	check_told(0, false, "", 0);
	check_told(1, true, "", 0);
	c4_watched_remove(&watch, 1); /* MPI's goes away: the other one is the process again */
	post();
	assert_int_equal(told.n, 1);
	check_told(0, false, "nccl", 0);
}

/* While MPI does not know its rank, the one that does is the process. */
static void test_nameless_first(void **state)
{
	(void)state;
	rank.seg.hdr->world_rank = -1;
	adopt(MPI);
	post();
	assert_int_equal(told.n, 0);
	adopt(NCCL);
	post();
	assert_int_equal(told.n, 2);
	check_told(0, false, "nccl", 11);
	check_told(1, true, "", 10);
	rank.seg.hdr->world_rank = 3;
	post();
	check_told(0, false, "mpi", 0);
	check_told(1, true, "", 0);
}

/* What is lost is told for the whole process in each of its messages. */
static void test_losses(void **state)
{
	(void)state;
	adopt(MPI);
	adopt(NCCL);
	rank.seg.hdr->lost[C4_LOST_COMMS] = 2;
	segment(NCCL)->hdr->lost[C4_LOST_OPS] = 3;
	post();
	assert_int_equal(told.n, 2);
	assert_int_equal(told.list[0].lost, 5);
	assert_int_equal(told.list[1].lost, 5);
}

/* The GPU is known to the NCCL hook, and only after a while; the process is told anew then. */
static void test_gpu(void **state)
{
	(void)state;
	adopt(MPI);
	adopt(NCCL);
	post();
	assert_int_equal(told.list[0].gpu, 0);
	segment(NCCL)->hdr->gpu = 0;
	snprintf(segment(NCCL)->hdr->gpu_bus, 16, "0000:3B:00.0");
	post();
	post(); /* the process may have been looked at before the part */
	assert_string_equal(told.list[0].hook, "mpi");
	assert_int_equal(told.list[0].gpu, 1);
	assert_string_equal(told.list[0].gpu_bus, "0000:3b:00.0");
	post();
	assert_string_equal(told.list[0].hook, "");
}

static void end_process(struct c4_target *seen_by)
{
	rank_end(&rank, SIGKILL);
	waitpid(rank.pid, NULL, 0);
	c4_target_end(seen_by, c4_mono_ns());
	for (uint32_t i = 0; i < watch.n; i++)
		c4_target_conclude(c4_watched_get(&watch, i), c4_mono_ns());
}

static void push_op(int hook)
{
	struct c4_event ev = {.comm = 10 + (uint64_t)hook,
			      .enter_ticks = c4_ticks(rank.seg.hdr->clock),
			      .leave_ticks = c4_ticks(rank.seg.hdr->clock),
			      .kind = C4_OP_ALLREDUCE,
			      .root = -1};

	c4_seg_push(segment(hook), &ev);
}

/* One death, whichever descriptor tells it; what the part left goes with it; all files go. */
static void test_death(void **state)
{
	(void)state;
	adopt(NCCL);
	adopt(MPI);
	post();
	push_op(NCCL);
	segment(NCCL)->conns[0] = (struct c4_seg_conn){
		.gen = 2, .state = C4_COMM_LIVE, .comm = 11, .peer = 1, .posted = 1, .active = 1};
	end_process(c4_watched_get(&watch, 0)); /* the part's */
	assert_true(c4_watched_get(&watch, 1)->gone);
	told.n = 0;
	c4_feed_post(&feed, &watch, C4_FEED_ENDED, c4_mono_ns());
	await_settled();
	assert_int_equal(told.n, 2);
	assert_true(told.list[0].gone);
	check_told(0, false, "", 0);
	check_told(1, true, "", 0);
	assert_int_equal(told.list[1].nblocks, 1);
	assert_int_equal(told.list[1].nconns, 1);
	c4_feed_react(&feed, &watch);
	assert_int_equal(watch.n, 0);
	assert_int_equal(access(rank.seg.path, F_OK), -1);
	assert_int_equal(access(segment(NCCL)->path, F_OK), -1);
	told.n = 0;
	c4_feed_post(&feed, &watch, C4_FEED_ALL, c4_mono_ns());
	await_settled();
	assert_int_equal(told.n, 0);
}

/* A new agent finds a process that has died meanwhile: one death, dated by its last sign of life in
 * any segment. */
static void test_dead_on_arrival(void **state)
{
	struct c4_target *t;
	uint64_t ticks;

	(void)state;
	push_op(NCCL);
	ticks = c4_ticks(rank.seg.hdr->clock);
	rank_end(&rank, SIGKILL);
	waitpid(rank.pid, NULL, 0);
	adopt(MPI);
	add_comm(NCCL);
	segment(NCCL)->comms[0].leave_ticks = ticks;
	segment(NCCL)->comms[0].entered = segment(NCCL)->comms[0].finished = 1;
	c4_seg_publish(segment(NCCL));
	assert_int_equal(c4_target_open(segment(NCCL)->path, c4_mono_ns(), &t), 0);
	assert_true(t->gone);
	assert_int_equal(c4_watched_add(&watch, t), 0);
	assert_true(t->gone_ns > t->seg.toc.mono0_ns);
	assert_int_equal(c4_watched_get(&watch, 0)->gone_ns, t->gone_ns);
	c4_target_conclude(t, c4_mono_ns());
	told.n = 0;
	c4_feed_post(&feed, &watch, C4_FEED_ALL, c4_mono_ns());
	await_settled();
	assert_int_equal(told.n, 2);
	check_told(0, false, "mpi", 10);
	check_told(1, true, "", 11);
	assert_true(told.list[0].gone);
	assert_int_equal(told.list[1].nblocks, 1);
}

/* Another process with the same number in another container, or with the same hook: a stranger. */
static void test_strangers(void **state)
{
	struct c4_target *a, *b;

	(void)state;
	snprintf(segment(NCCL)->hdr->host, C4_NAME_BYTES, "elsewhere");
	a = adopt(MPI);
	b = adopt(NCCL);
	assert_int_not_equal(a->handle, b->handle);
	assert_ptr_equal(a->kin, a);
	segment(API)->hdr->start_jiffies++;
	assert_int_equal(adopt(API)->handle, 3);
}

/* Everything is told anew: one identity, all communicators under the same handle. */
static void test_resync(void **state)
{
	(void)state;
	adopt(NCCL);
	adopt(MPI);
	post();
	feed.anew = true;
	post();
	assert_int_equal(told.n, 2);
	check_told(0, false, "mpi", 10);
	check_told(1, true, "", 11);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_one_process),
		T(test_part_first),
		T(test_nameless_first),
		T(test_losses),
		T(test_gpu),
		T(test_death),
		T(test_strangers),
		T(test_dead_on_arrival),
		T(test_resync),
	};

	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
