// SPDX-License-Identifier: BSD-3-Clause
/* What the agent does about posts that were lost: everything is told anew, ends too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/backlog.h"
#include "agent/daemon/feed.h"
#include "c4.pb-c.h"
#include "common/log.h"
#include "tests/unit/agent_rank.h"
#include "tests/unit/agent_sink.h"

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int posts, identities, ends;
	uint64_t dropped;
} heard = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char dir[64];
static struct rank rank;
static struct sink sink;
static int port;
static uv_loop_t loop;
static struct c4_watch watch;
static struct c4_feed feed;

static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);

	(void)arg, (void)answer, (void)answer_len;
	assert_non_null(post);
	pthread_mutex_lock(&heard.mutex);
	heard.posts++;
	heard.dropped = post->dropped_posts;
	for (size_t i = 0; i < post->n_processes; i++) {
		heard.identities += !!post->processes[i]->identity;
		heard.ends += post->processes[i]->run == C4__V1__PROCESS__RUN__RUN_GONE;
	}
	pthread_mutex_unlock(&heard.mutex);
	c4__v1__post__free_unpacked(post, NULL);
	return 200;
}

static void on_news(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&heard.mutex);
	pthread_cond_broadcast(&heard.changed);
	pthread_mutex_unlock(&heard.mutex);
}

/* Until everything is settled, 15 s at most. */
static void await_settled(void)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 15;
	pthread_mutex_lock(&heard.mutex);
	while (!rc && !c4_feed_settled(&feed))
		rc = pthread_cond_timedwait(&heard.changed, &heard.mutex, &until);
	pthread_mutex_unlock(&heard.mutex);
	assert_int_equal(rc, 0);
}

static void post(enum c4_feed_extent extent, int times)
{
	while (times--)
		c4_feed_post(&feed, &watch, extent, c4_mono_ns());
}

/* A rank under watch, and a collector that is not there yet. */
static int setup(void **state)
{
	struct c4_poster_config config = {sink.address, on_news, NULL};
	struct c4_target *t;

	(void)state;
	heard.posts = heard.identities = heard.ends = 0;
	snprintf(dir, sizeof dir, "/tmp/c4-feed.XXXXXX");
	if (!mkdtemp(dir) || !sink_start(&sink, 0, take, NULL))
		return -1;
	port = atoi(strchr(sink.address, ':') + 1);
	sink_stop(&sink);
	rank_start(&rank, dir, 3, "n1");
	rank_comm(&rank, 0, 11);
	c4_seg_publish(&rank.seg);
	uv_loop_init(&loop);
	c4_watched_init(&watch, &loop);
	return c4_target_open(rank.seg.path, c4_mono_ns(), &t) || c4_watched_add(&watch, t) ||
	       c4_feed_start(&feed, &config);
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

static void collector_comes(void)
{
	assert_true(sink_start(&sink, port, take, NULL));
}

/* The post with the identity was among those the back-log had to drop. */
static void test_told_anew(void **state)
{
	(void)state;
	post(C4_FEED_ALL, C4_BACKLOG_POSTS + 40);
	collector_comes();
	await_settled();
	c4_feed_react(&feed, &watch);
	pthread_mutex_lock(&heard.mutex);
	heard.identities = 0; /* the post in flight when the flood began may have been the first */
	pthread_mutex_unlock(&heard.mutex);
	post(C4_FEED_ALL, 2);
	await_settled();
	assert_int_equal(heard.identities, 1);
	assert_true(heard.dropped >= 39);
}

/* Its end was told once; that post was dropped: the file goes, the end is told again. */
static void test_end_told_again(void **state)
{
	struct c4_target *t = c4_watched_get(&watch, 0);

	(void)state;
	post(C4_FEED_ALL, 1);
	rank_end(&rank, SIGKILL);
	c4_target_end(t, c4_mono_ns());
	c4_target_conclude(t, c4_mono_ns());
	post(C4_FEED_ENDED, 1);
	assert_true(t->end_seq > 0);
	post(C4_FEED_ALL, C4_BACKLOG_POSTS + 40);
	collector_comes();
	await_settled();
	assert_int_equal(heard.ends, 0);
	c4_feed_react(&feed, &watch);
	assert_int_equal(access(rank.seg.path, F_OK), -1);
	assert_int_equal(watch.n, 1);
	post(C4_FEED_ALL, 1);
	await_settled();
	assert_int_equal(heard.ends, 1);
	c4_feed_react(&feed, &watch);
	assert_int_equal(watch.n, 0);
}

/* It never learned its rank: nothing to tell, nothing to keep. */
static void test_nameless(void **state)
{
	struct c4_target *t = c4_watched_get(&watch, 0);

	(void)state;
	collector_comes();
	rank.seg.hdr->world_rank = -1;
	c4_target_look(t, c4_mono_ns());
	post(C4_FEED_ALL, 1);
	await_settled();
	assert_int_equal(heard.identities, 0);
	assert_int_equal(watch.n, 1);
	c4_target_end(t, c4_mono_ns());
	c4_target_conclude(t, c4_mono_ns());
	post(C4_FEED_ENDED, 1);
	c4_feed_react(&feed, &watch);
	assert_int_equal(watch.n, 0);
	assert_int_equal(access(rank.seg.path, F_OK), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_told_anew), T(test_end_told_again),
					   T(test_nameless)};

	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
