// SPDX-License-Identifier: BSD-3-Clause
/* Connections of this very process, made through the hook that is linked into it, on loopback,
 * while tables come and go and agents are asked. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#define NET "127.0.6."
#include "tests/unit/route_scene.h"

#define THREADS 4
#define EACH	30
#define MS	1000000ull

/* ---- the table's life ----------------------------------------------------------------------- */

static void test_stale_table(void **state)
{
	struct sockaddr_in to = at(DST, dport);
	int fd = connected();

	(void)state;
	assert_int_equal(port_of(fd), FIRST);
	close(fd);
	m.hdr->heartbeat_ns = c4_mono_ns() - C4_ROUTE_STALE_NS - MS;
	fd = quiet(stream());
	assert_int_equal(connect(fd, (void *)&to, sizeof to), 0);
	assert_true(port_of(fd) < FIRST);
	close(fd);
	/* its agent was only slow */
	fd = connected();
	assert_true(port_of(fd) >= FIRST);
	close(fd);
}

/* A new agent's file is found although the old one is still mapped. */
static void test_new_table(void **state)
{
	uint64_t later = c4_mono_ns() + 20000 * MS;
	const struct c4_rtable *t;

	(void)state;
	close(connected());
	for (uint64_t instance = 2; instance < 20; instance++, later += 5000 * MS) {
		maker_table(&m, instance);
		m.hdr->heartbeat_ns = later;
		t = c4_attach_get(later);
		assert_non_null(t);
		assert_int_equal(t->hdr->instance, instance);
		c4_attach_put(t);
	}
	m.hdr->heartbeat_ns = 0;
	unlink(m.table);
	assert_null(c4_attach_get(later));
}

static void test_untrusted_files(void **state)
{
	uint64_t later = c4_mono_ns() + 200000 * MS;
	int fd;

	(void)state;
	m.hdr->heartbeat_ns = 0;
	for (int what = 0; what < 5; what++, later += 5000 * MS) {
		maker_table(&m, 3);
		m.hdr->heartbeat_ns = later;
		switch (what) {
		case 0: m.hdr->version++; break;
		case 1: assert_int_equal(chmod(m.table, 0666), 0); break;
		case 2: assert_int_equal(truncate(m.table, MAKER_BYTES - 1), 0); break;
		case 3: assert_int_equal(truncate(m.table, 0), 0); break;
		default:
			assert_int_equal(rename(m.table, m.socket), 0);
			assert_int_equal(symlink(m.socket, m.table), 0);
		}
		assert_null(c4_attach_get(later));
	}
	unlink(m.table);
	fd = open(m.table, O_CREAT | O_RDWR, 0600);
	close(fd);
	assert_null(c4_attach_get(later));
}

/* ---- asking --------------------------------------------------------------------------------- */

static struct c4_route_ask asked;

/* An agent: hears a question and writes the answer. */
static void *answer(void *arg)
{
	int fd = *(int *)arg;

	if (recv(fd, &asked, sizeof asked, 0) != sizeof asked)
		return NULL;
	maker_slot(dest, FIRST, 3);
	maker_changed(&m);
	return NULL;
}

static uint64_t timed_connect(uint16_t *ret_port)
{
	uint64_t began = c4_mono_ns();
	int fd = connected();

	*ret_port = port_of(fd);
	close(fd);
	return (c4_mono_ns() - began) / MS;
}

static void test_answer_in_time(void **state)
{
	int fd = maker_listen(&m);
	pthread_t agent;
	uint16_t port;

	(void)state;
	dest->nslots = 0;
	pthread_create(&agent, NULL, answer, &fd);
	timed_connect(&port);
	pthread_join(agent, NULL);
	assert_int_equal(port, FIRST);
	assert_int_equal(asked.magic, (uint32_t)C4_ROUTE_MAGIC);
	assert_int_equal(asked.taken, 0);
	assert_int_equal(asked.dst, maker_ip(DST));
	assert_int_equal(asked.dport, dport);
	assert_int_equal(asked.proto, C4_ROUTE_TCP);
	assert_int_equal(asked.pid, getpid());
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_ASKED), 1);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_LATE), 0);
	close(fd);
}

/* An agent that has other ports. */
static void *answer_others(void *arg)
{
	int fd = *(int *)arg;

	if (recv(fd, &asked, sizeof asked, 0) != sizeof asked)
		return NULL;
	maker_changed(&m); /* something else: not what is waited for */
	maker_slot(dest, FIRST + 20, 3);
	maker_changed(&m);
	return NULL;
}

/* All ports of the table are taken: others are asked for, and waited for. */
static void test_others_when_all_are_taken(void **state)
{
	int ear = maker_listen(&m), held[3];
	const struct timeval patience = {.tv_sec = 10};
	struct sockaddr_in mine;
	pthread_t agent;
	uint16_t port;

	(void)state;
	setsockopt(ear, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	dest->nslots = 0;
	maker_slot(dest, FIRST, 3);
	for (int i = 0; i < 3; i++) {
		held[i] = quiet(stream());
		mine = at(SRC, (uint16_t)(FIRST + i));
		assert_int_equal(bind(held[i], (void *)&mine, sizeof mine), 0);
	}
	pthread_create(&agent, NULL, answer_others, &ear);
	timed_connect(&port);
	pthread_join(agent, NULL);
	assert_int_equal(port, FIRST + 20);
	assert_int_equal(asked.taken, 1);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_UNKNOWN), 0);
	close(ear); /* nobody to ask: as without a plan, at once */
	dest->nslots = 0;
	maker_slot(dest, FIRST, 3);
	assert_true(timed_connect(&port) < 50);
	assert_true(port < FIRST);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_UNKNOWN), 1);
	for (int i = 0; i < 3; i++)
		close(held[i]);
}

static void test_nobody_to_ask(void **state)
{
	uint16_t port;
	int fd;

	(void)state;
	dest->nslots = 0;
	assert_true(timed_connect(&port) < 50); /* no socket */
	fd = maker_listen(&m);
	close(fd);
	assert_true(timed_connect(&port) < 50); /* nobody behind it */
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_ASKED), 0);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_UNKNOWN), 2);
	dest->until_ns = UINT64_MAX;
	fd = maker_listen(&m);
	assert_true(timed_connect(&port) < 50); /* no use asking */
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_ASKED), 0);
	close(fd);
}

/* An agent that does not answer costs the waiting time, and not for ever. */
static void test_no_answer(void **state)
{
	int fd = maker_listen(&m);
	uint16_t port;
	uint64_t ms;

	(void)state;
	dest->nslots = 0;
	m.hdr->wait_us = UINT32_MAX; /* held to be at most C4_ROUTE_WAIT_MAX_US */
	for (int i = 0; i < 3; i++) {
		ms = timed_connect(&port);
		assert_true(ms >= C4_ROUTE_WAIT_MAX_US / 1000 - 1);
		assert_true(ms < C4_ROUTE_WAIT_MAX_US / 1000 + 400);
		assert_true(port < FIRST);
	}
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_LATE), 3);
	assert_true(timed_connect(&port) < C4_ROUTE_WAIT_MAX_US / 1000 - 1);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_LATE), 3);
	close(fd);
}

/* ---- many ----------------------------------------------------------------------------------- */

static void *connect_much(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		int fd = quiet(stream());
		struct sockaddr_in to = at(DST, dport);

		if (connect(fd, (void *)&to, sizeof to))
			__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
		maker_beat(&m);
		close(fd);
	}
	return NULL;
}

/* Threads that connect while agents come and go: no call fails. */
static void test_threads(void **state)
{
	pthread_t thread[THREADS];
	int failed = 0, status;
	pid_t child;

	(void)state;
	maker_beat(&m);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, connect_much, &failed);
	child = fork();
	if (!child)
		syscall(SYS_exit_group, connect_much(&failed) || failed); /* past sanitizers */
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(failed, 0);
	assert_true(maker_stat(&m, C4_ROUTE_STAT_PINNED) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stale_table),
		TEST(test_new_table),
		TEST(test_untrusted_files),
		TEST(test_answer_in_time),
		TEST(test_others_when_all_are_taken),
		TEST(test_nobody_to_ask),
		TEST(test_no_answer),
		TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
