// SPDX-License-Identifier: BSD-3-Clause
/* The back-log, and the poster's ways with a collector that refuses, fails, is away or comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/backlog.h"
#include "agent/daemon/poster.h"
#include "c4.pb-c.h"
#include "common/base/clock.h"
#include "common/log.h"
#include "tests/unit/agent_sink.h"

static void push(struct c4_backlog *b, uint64_t seq, size_t len)
{
	struct c4_backlog_item item = {.seq = seq, .data = calloc(1, len), .len = len};

	assert_non_null(item.data);
	c4_backlog_push(b, &item);
}

static uint64_t take(struct c4_backlog *b)
{
	struct c4_backlog_item item = {0};

	if (c4_backlog_take(b, &item))
		free(item.data);
	return item.seq;
}

static void test_order(void **state)
{
	struct c4_backlog b = {0};

	(void)state;
	for (uint64_t seq = 1, out = 1; seq <= 200; seq += 2, out += 2) {
		push(&b, seq, 10);
		push(&b, seq + 1, 10);
		assert_int_equal(c4_backlog_oldest(&b), out);
		assert_int_equal(take(&b), out);
		assert_int_equal(take(&b), out + 1);
	}
	assert_int_equal(c4_backlog_oldest(&b), 0);
	assert_int_equal(take(&b), 0);
	assert_int_equal(b.dropped + b.bytes, 0);
	c4_backlog_release(&b);
}

static void test_too_many(void **state)
{
	struct c4_backlog b = {0};

	(void)state;
	for (uint64_t seq = 1; seq <= C4_BACKLOG_POSTS + 3; seq++)
		push(&b, seq, 1);
	assert_int_equal(b.dropped, 3);
	assert_int_equal(take(&b), 4); /* the oldest went */
	c4_backlog_release(&b);
	assert_int_equal(b.n, 0);
}

static void test_too_large(void **state)
{
	struct c4_backlog b = {0};

	(void)state;
	push(&b, 1, C4_BACKLOG_BYTES / 2);
	push(&b, 2, C4_BACKLOG_BYTES / 2);
	assert_int_equal(b.dropped, 0);
	push(&b, 3, 1);
	assert_int_equal(b.dropped, 1);
	assert_int_equal(c4_backlog_oldest(&b), 2);
	push(&b, 4, C4_BACKLOG_BYTES + 1); /* never fits: nobody else suffers */
	assert_int_equal(b.dropped, 2);
	assert_int_equal(b.n, 2);
	c4_backlog_release(&b);
}

/* ---- the poster ----------------------------------------------------------------------------- */

/* What the sink saw, and what it shall answer. */
struct desk {
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* something arrived, or the poster has news */
	int status;
	C4__V1__Answer answer;
	uint64_t seqs[128];
	uint64_t queued_ns[128];
	size_t n;
};

static void desk_init(struct desk *d)
{
	*d = (struct desk){.status = 200};
	c4__v1__answer__init(&d->answer);
	pthread_mutex_init(&d->mutex, NULL);
	pthread_cond_init(&d->changed, NULL);
}

static int desk_take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		     size_t *answer_len)
{
	C4__V1__Post *post = c4__v1__post__unpack(NULL, len, body);
	struct desk *d = arg;
	int status;

	pthread_mutex_lock(&d->mutex);
	status = post ? d->status : 400;
	if (post && d->n < 128) {
		d->queued_ns[d->n] = post->queued_ns;
		d->seqs[d->n++] = post->seq;
	}
	*answer_len = status == 200 ? c4__v1__answer__pack(&d->answer, answer) : 0;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->mutex);
	if (post)
		c4__v1__post__free_unpacked(post, NULL);
	return status;
}

static void on_news(void *arg)
{
	struct desk *d = arg;

	pthread_mutex_lock(&d->mutex);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->mutex);
}

static void send_post(struct c4_poster *p, uint64_t seq)
{
	C4__V1__Post post = C4__V1__POST__INIT;
	size_t len;
	uint8_t *data;

	post.seq = seq;
	len = c4__v1__post__get_packed_size(&post);
	data = malloc(len + C4_POSTER_ROOM);
	assert_non_null(data);
	c4__v1__post__pack(&post, data);
	c4_poster_send(p, seq, c4_mono_ns() - 300, data, len);
}

/* Waits (10 s at most) until the sink has seen n posts and the poster has settled seq. */
static void await(struct desk *d, struct c4_poster *p, size_t n, uint64_t seq)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&d->mutex);
	while (!rc && (d->n < n || c4_poster_settled(p) < seq))
		rc = pthread_cond_timedwait(&d->changed, &d->mutex, &until);
	pthread_mutex_unlock(&d->mutex);
	assert_int_equal(rc, 0);
}

static void test_delivers(void **state)
{
	struct c4_poster_news news;
	struct c4_poster *p;
	struct sink sink;
	struct desk d;

	(void)state;
	desk_init(&d);
	d.answer.resync = true;
	d.answer.interval_ms = 250;
	assert_true(sink_start(&sink, 0, desk_take, &d));
	p = c4_poster_start(&(struct c4_poster_config){sink.address, on_news, &d});
	assert_non_null(p);
	for (uint64_t seq = 1; seq <= 5; seq++)
		send_post(p, seq);
	await(&d, p, 5, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(d.seqs[i], i + 1);
		assert_true(d.queued_ns[i] >= 300); /* appended behind the encoded post */
	}
	c4_poster_news(p, &news);
	assert_true(news.resync);
	assert_int_equal(news.interval_ms, 250);
	assert_int_equal(news.dropped, 0);
	c4_poster_news(p, &news); /* told once */
	assert_false(news.resync);
	assert_int_equal(news.interval_ms, 0);
	assert_true(c4_poster_stop(p, 10000000000u));
	sink_stop(&sink);
}

/* A post the collector calls wrong will not get better: dropped, the next one goes out. */
static void test_refused(void **state)
{
	struct c4_poster_news news;
	struct c4_poster *p;
	struct sink sink;
	struct desk d;

	(void)state;
	desk_init(&d);
	d.status = 413;
	assert_true(sink_start(&sink, 0, desk_take, &d));
	p = c4_poster_start(&(struct c4_poster_config){sink.address, on_news, &d});
	send_post(p, 1);
	send_post(p, 2);
	await(&d, p, 2, 2);
	c4_poster_news(p, &news);
	assert_int_equal(news.dropped, 2);
	assert_int_equal(news.pushed_out, 0);
	assert_true(c4_poster_stop(p, 10000000000u));
	sink_stop(&sink);
}

/* An error of the collector's own: the same post comes again. */
static void test_repeats(void **state)
{
	struct c4_poster *p;
	struct sink sink;
	struct desk d;

	(void)state;
	desk_init(&d);
	d.status = 503;
	assert_true(sink_start(&sink, 0, desk_take, &d));
	p = c4_poster_start(&(struct c4_poster_config){sink.address, on_news, &d});
	send_post(p, 1);
	await(&d, p, 2, 0);
	assert_int_equal(c4_poster_settled(p), 0);
	pthread_mutex_lock(&d.mutex);
	d.status = 200;
	pthread_mutex_unlock(&d.mutex);
	await(&d, p, 3, 1);
	assert_int_equal(d.seqs[0], 1);
	assert_int_equal(d.seqs[2], 1);
	assert_true(c4_poster_stop(p, 10000000000u));
	sink_stop(&sink);
}

/* Away while more is posted than the back-log holds: newest kept, in order, losses counted. */
static void test_away(void **state)
{
	struct c4_poster_news news;
	struct c4_poster *p;
	struct sink sink;
	struct desk d;
	int port;

	(void)state;
	desk_init(&d);
	assert_true(sink_start(&sink, 0, desk_take, &d)); /* for a port nobody listens on */
	port = atoi(strchr(sink.address, ':') + 1);
	sink_stop(&sink);
	p = c4_poster_start(&(struct c4_poster_config){sink.address, on_news, &d});
	for (uint64_t seq = 1; seq <= 100; seq++)
		send_post(p, seq);
	c4_poster_news(p, &news);
	assert_true(news.pushed_out >= 100 - C4_BACKLOG_POSTS - 1);
	assert_true(sink_start(&sink, port, desk_take, &d));
	await(&d, p, C4_BACKLOG_POSTS, 100);
	c4_poster_news(p, &news);
	assert_int_equal(news.pushed_out + d.n, 100);
	assert_int_equal(d.seqs[d.n - 1], 100);
	for (size_t i = 1; i < d.n; i++)
		assert_true(d.seqs[i] > d.seqs[i - 1]);
	assert_true(c4_poster_stop(p, 10000000000u));
	sink_stop(&sink);
}

/* Stopping does not wait for a pause to end, and frees what was not sent (ASan looks). */
static void test_stop_while_away(void **state)
{
	struct c4_poster *p;
	struct sink sink;
	struct desk d;

	(void)state;
	desk_init(&d);
	assert_true(sink_start(&sink, 0, desk_take, &d));
	sink_stop(&sink);
	p = c4_poster_start(&(struct c4_poster_config){sink.address, on_news, &d});
	for (uint64_t seq = 1; seq <= 10; seq++)
		send_post(p, seq);
	assert_true(c4_poster_stop(p, 10000000000u));
}

static void test_bad_address(void **state)
{
	(void)state;
	assert_null(c4_poster_start(&(struct c4_poster_config){"", on_news, NULL}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),	    cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_too_large),   cmocka_unit_test(test_delivers),
		cmocka_unit_test(test_refused),	    cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_away),	    cmocka_unit_test(test_stop_while_away),
		cmocka_unit_test(test_bad_address),
	};

	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
