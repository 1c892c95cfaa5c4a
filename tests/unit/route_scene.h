/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * route_scene.h - for tests of connections that this very process makes through the hook that is
 * linked into it: a listener on loopback, and a table with planned ports towards it.
 *
 * Programs run beside each other and count on their ports: each needs addresses of its own, and may
 * set NET before it includes this. One thread, but for the tests' own.
 */
#ifndef C4_TESTS_ROUTE_SCENE_H
#define C4_TESTS_ROUTE_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "agent/route/attach.h"
#include "tests/route/maker.h"

#ifndef NET
#define NET "127.0.7."
#endif
#define DST   NET "1"
#define SRC   NET "2"
#define FIRST first_port
#define BLOCK 20

static struct maker m;
static int listener;
static uint16_t dport;
static struct c4_route_dest *dest;
static uint16_t first_port; /* of this test's */

static inline struct sockaddr_in at(const char *ip, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

static inline struct sockaddr_in local(int fd)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof a;

	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	return a;
}

static inline uint16_t port_of(int fd)
{
	return ntohs(local(fd).sin_port);
}

static inline int stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

/* Closed later without a trace: no port of a test is in TIME_WAIT in the next one. */
static inline int quiet(int fd)
{
	struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	return fd;
}

static inline int go(int fd)
{
	struct sockaddr_in a = at(DST, dport);

	maker_beat(&m);
	return connect(fd, (void *)&a, sizeof a);
}

static inline int connected(void)
{
	int fd = quiet(stream());

	assert_int_equal(go(fd), 0);
	return fd;
}

static inline bool is_free(uint16_t port)
{
	struct sockaddr_in a = at(SRC, port);
	int fd = stream(), rc = bind(fd, (void *)&a, sizeof a);

	close(fd);
	return !rc;
}

/* Ports that nothing holds, an earlier run's TIME_WAIT neither. */
static inline uint16_t free_block(void)
{
	for (uint16_t block = 61000; block < 65000; block += BLOCK) {
		int used = 0;

		for (uint16_t i = 0; i < BLOCK; i++)
			used += !is_free(block + i);
		if (!used)
			return block;
	}
	fail();
	return 0;
}

static inline int scene_setup(void **state)
{
	struct sockaddr_in a = at(DST, 0);

	(void)state;
	maker_init(&m);
	c4_attach_init();
	/* before there is a table that means this address */
	listener = stream();
	assert_int_equal(bind(listener, (void *)&a, sizeof a), 0);
	assert_int_equal(listen(listener, 1000), 0);
	dport = port_of(listener);
	first_port = free_block();
	maker_peer(&m, DST, SRC);
	dest = maker_dest(&m, C4_ROUTE_TCP, DST, dport, SRC);
	maker_slot(dest, FIRST, 3);
	maker_slot(dest, FIRST + 10, 3);
	return 0;
}

/* The next table is another file: the one in use has to be seen to be stale first. */
static inline int scene_teardown(void **state)
{
	(void)state;
	close(listener);
	m.hdr->heartbeat_ns = 0;
	maker_release(&m);
	c4_attach_init(); /* not before a second is over, else */
	c4_attach_put(c4_attach_get(c4_mono_ns()));
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

#endif
