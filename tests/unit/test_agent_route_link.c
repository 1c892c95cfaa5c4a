// SPDX-License-Identifier: BSD-3-Clause
/* The exchange with a planner that answers, lies, refuses, or is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/daemon/routes/planlink.h"
#include "common/log.h"
#include "route.pb-c.h"
#include "tests/unit/agent_sink.h"

#define PATIENCE 15 /* seconds until a test gives up */

static struct sink sink;
static struct c4_planlink *link_up;
static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	int ended, status;
	bool lie;
	uint64_t heard; /* plan_version of the last report */
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void notify(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&seen.mutex);
	seen.ended++;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.mutex);
}

static int take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		size_t *answer_len)
{
	C4__V1__RouteReport *m = c4__v1__route_report__unpack(NULL, len, body);
	C4__V1__RouteAnswer reply = C4__V1__ROUTE_ANSWER__INIT;
	int status;

	(void)arg;
	pthread_mutex_lock(&seen.mutex);
	seen.heard = m ? m->plan_version : 0;
	status = seen.status;
	if (seen.lie) {
		memset(answer, 0xff, 8);
		*answer_len = 8;
	} else {
		reply.plan_version = seen.heard + 1;
		*answer_len = c4__v1__route_answer__pack(&reply, answer);
	}
	pthread_mutex_unlock(&seen.mutex);
	if (m)
		c4__v1__route_report__free_unpacked(m, NULL);
	return status;
}

static int setup(void **state)
{
	struct c4_planlink_config config = {sink.address, notify, NULL};

	(void)state;
	seen.ended = 0;
	seen.status = 200;
	seen.lie = false;
	if (!sink_start(&sink, 0, take, NULL))
		return -1;
	link_up = c4_planlink_start(&config);
	return !link_up;
}

static int teardown(void **state)
{
	(void)state;
	sink_stop(&sink);
	return 0;
}

static void send_version(uint64_t version)
{
	C4__V1__RouteReport m = C4__V1__ROUTE_REPORT__INIT;
	uint8_t *data;

	m.plan_version = version;
	data = malloc(c4__v1__route_report__get_packed_size(&m) + 1);
	assert_true(c4_planlink_send(link_up, data, c4__v1__route_report__pack(&m, data)));
}

static struct c4_planlink_news await_news(void)
{
	struct c4_planlink_news news;
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&seen.mutex);
	while (!rc && !seen.ended)
		rc = pthread_cond_timedwait(&seen.changed, &seen.mutex, &until);
	seen.ended = 0;
	pthread_mutex_unlock(&seen.mutex);
	assert_int_equal(rc, 0);
	c4_planlink_news(link_up, &news);
	assert_true(news.ended);
	assert_false(c4_planlink_busy(link_up));
	return news;
}

static void end(void)
{
	assert_true(c4_planlink_stop(link_up, PATIENCE * 1000000000ull));
}

static void test_exchange(void **state)
{
	struct c4_planlink_news news;

	(void)state;
	for (uint64_t version = 1; version < 5; version++) {
		send_version(version);
		news = await_news();
		assert_true(news.delivered);
		assert_int_equal(news.plan->version, version + 1);
		c4_plan_free(news.plan);
	}
	c4_planlink_news(link_up, &news);
	assert_false(news.ended);
	end();
}

static void test_lie(void **state)
{
	struct c4_planlink_news news;

	(void)state;
	seen.lie = true;
	send_version(1);
	news = await_news();
	assert_null(news.plan);
	assert_false(news.delivered);
	pthread_mutex_lock(&seen.mutex);
	seen.lie = false;
	seen.status = 503;
	pthread_mutex_unlock(&seen.mutex);
	send_version(1);
	news = await_news();
	assert_null(news.plan);
	assert_false(news.delivered);
	end();
}

static void test_away(void **state)
{
	struct c4_planlink_news news;

	(void)state;
	sink_stop(&sink);
	send_version(1);
	news = await_news();
	assert_null(news.plan);
	assert_false(news.delivered);
	end();
	assert_true(sink_start(&sink, 0, take, NULL)); /* for the teardown */
}

/* What was handed over before the end is delivered. */
static void test_last(void **state)
{
	(void)state;
	seen.heard = 0;
	send_version(9);
	end();
	assert_int_equal(seen.heard, 9);
}

static void test_bad_address(void **state)
{
	struct c4_planlink_config config = {"", notify, NULL};

	(void)state;
	assert_null(c4_planlink_start(&config));
	end();
}

int main(void)
{
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_exchange), T(test_lie), T(test_away), T(test_last), T(test_bad_address),
	};

	c4_log_set_level(C4_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
