// SPDX-License-Identifier: BSD-3-Clause
/* Connections of this very process, made through the hook that is linked into it, on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "agent/route/attach.h"
#include "tests/route/maker.h"

#define DST	"127.0.7.1"
#define SRC	"127.0.7.2"
#define FIRST	first_port
#define BLOCK	20
#define THREADS 4
#define EACH	30
#define MS	1000000ull

static struct maker m;
static int listener;
static uint16_t dport;
static struct c4_route_dest *dest;
static uint16_t first_port; /* of this test's */

static struct sockaddr_in at(const char *ip, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = inet_addr(ip)};
}

static struct sockaddr_in6 at6(const char *ip, uint16_t port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
}

static struct sockaddr_in local(int fd)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof a;

	assert_int_equal(getsockname(fd, (void *)&a, &len), 0);
	return a;
}

static uint16_t port_of(int fd)
{
	return ntohs(local(fd).sin_port);
}

static int stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

/* Closed later without a trace: no port of a test is in TIME_WAIT in the next one. */
static int quiet(int fd)
{
	struct linger now = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	return fd;
}

static int go(int fd)
{
	struct sockaddr_in a = at(DST, dport);

	maker_beat(&m);
	return connect(fd, (void *)&a, sizeof a);
}

static int connected(void)
{
	int fd = quiet(stream());

	assert_int_equal(go(fd), 0);
	return fd;
}

static bool is_free(uint16_t port)
{
	struct sockaddr_in a = at(SRC, port);
	int fd = stream(), rc = bind(fd, (void *)&a, sizeof a);

	close(fd);
	return !rc;
}

/* Ports that nothing holds, an earlier run's TIME_WAIT neither. */
static uint16_t free_block(void)
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

static int set_up(void **state)
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
static int tear_down(void **state)
{
	(void)state;
	close(listener);
	m.hdr->heartbeat_ns = 0;
	maker_release(&m);
	c4_attach_init(); /* not before a second is over, else */
	c4_attach_put(c4_attach_get(c4_mono_ns()));
	return 0;
}

/* ---- connect -------------------------------------------------------------------------------- */

static void test_ports_of_the_emptiest_slot(void **state)
{
	const uint16_t expected[] = {FIRST,	 FIRST + 10, FIRST + 1,
				     FIRST + 11, FIRST + 2,  FIRST + 12};
	int fd[6];

	(void)state;
	for (int i = 0; i < 6; i++) {
		fd[i] = connected();
		assert_int_equal(port_of(fd[i]), expected[i]);
		assert_int_equal(local(fd[i]).sin_addr.s_addr, inet_addr(SRC));
	}
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 6);
	assert_int_equal(maker_claims(&dest->slot[0]), 3);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_ASKED), 0);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

static void test_all_ports_in_use(void **state)
{
	struct sockaddr_in from = at("127.0.7.9", 0), mine = at(SRC, 0);
	int fd[6], more, other, bound;

	(void)state;
	for (int i = 0; i < 6; i++)
		fd[i] = connected();
	more = connected();
	assert_false(port_of(more) >= FIRST && port_of(more) < FIRST + BLOCK);
	assert_int_equal(local(more).sin_addr.s_addr,
			 inet_addr("127.0.0.1")); /* the kernel's choice */
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_UNKNOWN), 1);
	assert_int_equal(maker_claims(&dest->slot[0]), 3);
	/* the address the program has chosen is kept, planned or not */
	bound = quiet(stream());
	assert_int_equal(bind(bound, (void *)&mine, sizeof mine), 0);
	assert_int_equal(go(bound), 0);
	assert_int_equal(local(bound).sin_addr.s_addr, inet_addr(SRC));
	other = quiet(stream());
	assert_int_equal(bind(other, (void *)&from, sizeof from), 0);
	assert_int_equal(go(other), 0);
	assert_int_equal(local(other).sin_addr.s_addr, inet_addr("127.0.7.9"));
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 6);
	close(more), close(bound), close(other);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

/* Who closes first keeps the port for a minute; with SO_REUSEADDR bind() would grant it, and
 * connect() to the same place refuse it. */
static void test_port_in_time_wait(void **state)
{
	dest->nslots = 1; /* so that the port is the first to be tried */
	for (int reuse = 0; reuse < 2; reuse++) {
		uint16_t first, second;
		int fd = stream(), peer, next = quiet(stream()), value = -1;
		socklen_t len = sizeof value;

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
		setsockopt(next, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
		setsockopt(next, SOL_SOCKET, SO_REUSEPORT, &reuse, sizeof reuse);
		assert_int_equal(go(fd), 0);
		first = port_of(fd);
		peer = accept(listener, NULL, NULL);
		shutdown(fd, SHUT_RDWR);
		close(peer);
		close(fd);
		assert_int_equal(go(next), 0);
		second = port_of(next);
		assert_int_not_equal(first, second);
		assert_true(second >= FIRST && second < FIRST + BLOCK);
		getsockopt(next, SOL_SOCKET, SO_REUSEADDR, &value, &len);
		assert_int_equal(value, reuse);
		getsockopt(next, SOL_SOCKET, SO_REUSEPORT, &value, &len);
		assert_int_equal(value, reuse);
		close(next);
	}
	(void)state;
}

static void test_port_of_another_connection(void **state)
{
	struct sockaddr_in mine = at(SRC, FIRST), there = at("127.0.7.3", 0);
	socklen_t len = sizeof there;
	int on = 1, l = stream(), held = quiet(stream()), fd = quiet(stream());

	(void)state;
	assert_int_equal(bind(l, (void *)&there, sizeof there), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (void *)&there, &len), 0);
	setsockopt(held, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(held, (void *)&mine, sizeof mine), 0);
	assert_int_equal(connect(held, (void *)&there, sizeof there), 0);
	assert_int_equal(go(fd), 0);
	assert_int_equal(port_of(fd), FIRST + 1);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_TAKEN), 1);
	close(fd), close(held), close(l);
}

/* Ports we had left open, ports the program chose, and addresses it chose. */
static void test_bound_by_the_program(void **state)
{
	struct sockaddr_in open = at(SRC, 0), any = at("0.0.0.0", 0), mine = at(SRC, FIRST + 15);
	int a = quiet(stream()), b = quiet(stream()), c = quiet(stream());

	(void)state;
	assert_int_equal(bind(a, (void *)&open, sizeof open), 0);
	assert_int_equal(go(a), 0);
	assert_int_equal(port_of(a), FIRST);
	assert_int_equal(bind(b, (void *)&any, sizeof any), 0);
	assert_int_equal(go(b), 0);
	assert_int_equal(port_of(b), FIRST + 10);
	assert_int_equal(bind(c, (void *)&mine, sizeof mine), 0);
	assert_int_equal(go(c), 0);
	assert_int_equal(port_of(c), FIRST + 15);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 2);
	close(a), close(b), close(c);
}

static void test_nonblocking(void **state)
{
	int fd = quiet(stream()), rc, error = -1;
	struct pollfd p = {fd, POLLOUT, 0};
	socklen_t len = sizeof error;

	(void)state;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	rc = go(fd);
	assert_true(rc == 0 || errno == EINPROGRESS);
	assert_int_equal(port_of(fd), FIRST);
	assert_int_equal(poll(&p, 1, 5000), 1);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	assert_int_equal(error, 0);
	rc = go(fd);
	assert_true(rc == 0 || errno == EISCONN); /* as Linux tells of the first one's end */
	assert_int_equal(go(fd), -1);
	assert_int_equal(errno, EISCONN);
	assert_int_equal(maker_claims(&dest->slot[0]), 1);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 1);
	close(fd);
}

static void test_refused(void **state)
{
	int fd = quiet(stream()), again;

	(void)state;
	close(listener);
	errno = 0;
	assert_int_equal(go(fd), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(maker_claims(&dest->slot[0]), 0);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 0);
	assert_int_equal(go(fd), -1); /* and so does the next, on the same socket */
	assert_int_equal(errno, ECONNREFUSED);
	again = quiet(stream());
	assert_int_equal(go(again), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd), close(again);
	listener = stream();
}

static void test_mapped_ipv6(void **state)
{
	struct sockaddr_in6 to = at6("::ffff:" DST, dport), from = at6("::ffff:" SRC, 0),
			    any = at6("::", 0), v6 = at6("::1", dport);
	int fd[3], only = 1, rc;

	(void)state;
	for (int i = 0; i < 3; i++) {
		fd[i] = quiet(socket(AF_INET6, SOCK_STREAM, 0));
		if (fd[i] < 0) {
			print_message("skipped: no IPv6\n");
			skip();
		}
		if (i)
			assert_int_equal(bind(fd[i], (void *)(i == 1 ? &from : &any), sizeof any),
					 0);
		maker_beat(&m);
		assert_int_equal(connect(fd[i], (void *)&to, sizeof to), 0);
		rc = port_of(fd[i]); /* at the same offset */
		assert_true(rc >= FIRST && rc < FIRST + BLOCK);
	}
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 3);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	fd[0] = socket(AF_INET6, SOCK_STREAM, 0);
	setsockopt(fd[0], IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
	assert_int_equal(connect(fd[0], (void *)&to, sizeof to), -1);
	assert_int_equal(errno, ENETUNREACH); /* the program's own mistake */
	close(fd[0]);
	fd[0] = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(connect(fd[0], (void *)&v6, sizeof v6), -1);
	close(fd[0]);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 3);
}

/* Near-misses: nothing of ours. */
static void test_others_are_left_alone(void **state)
{
	struct sockaddr_in to = at(DST, dport), other = at("127.0.7.4", dport);
	struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
	int udp = socket(AF_INET, SOCK_DGRAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = stream();

	(void)state;
	maker_beat(&m);
	assert_int_equal(connect(udp, (void *)&to, sizeof to), 0);
	assert_true(port_of(udp) < FIRST || port_of(udp) > FIRST + BLOCK);
	assert_int_equal(connect(un, (void *)&path, sizeof path), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(connect(fd, (void *)&other, sizeof other), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(connect(fd, NULL, sizeof to), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(connect(fd, (void *)&to, 3), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(connect(-1, (void *)&to, sizeof to), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 0);
	close(udp), close(un), close(fd);
}

/* Slots with ports nobody may have: the connection is made without. */
static void test_ports_of_no_use(void **state)
{
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 3; k++)
			dest->slot[i].port[k] = k ? 22 : 0;
	fd = connected();
	assert_true(port_of(fd) > 1024);
	close(fd);
	dest->src = maker_ip("192.0.2.1"); /* not ours */
	maker_peer(&m, DST, "192.0.2.1");
	dest->slot[0].port[0] = FIRST;
	fd = connected();
	assert_int_not_equal(port_of(fd), FIRST);
	assert_int_equal(maker_stat(&m, C4_ROUTE_STAT_PINNED), 0);
	close(fd);
}

/* ---- listeners ------------------------------------------------------------------------------ */

static void test_listeners(void **state)
{
	struct sockaddr_in open = at(SRC, 0), any = at("0.0.0.0", 0);
	int a = stream(), b = stream(), c = stream(), d, fd = quiet(stream());
	uint16_t port;

	(void)state;
	maker_beat(&m);
	/* listen first */
	assert_int_equal(bind(a, (void *)&open, sizeof open), 0);
	assert_int_equal(listen(a, 1), 0);
	assert_int_not_equal(port_of(a), 0);
	/* ask first, through another name of the socket */
	assert_int_equal(bind(b, (void *)&any, sizeof any), 0);
	d = dup(b);
	port = port_of(d);
	assert_int_not_equal(port, 0);
	assert_int_equal(port_of(b), port);
	assert_int_equal(listen(b, 1), 0);
	assert_int_equal(port_of(b), port);
	open = at(SRC, port);
	assert_int_equal(connect(fd, (void *)&open, sizeof open), 0);
	/* ask, then connect: the port that was told is the port it has */
	open = at(SRC, 0);
	assert_int_equal(bind(c, (void *)&open, sizeof open), 0);
	port = port_of(c);
	assert_int_equal(go(quiet(c)), 0);
	assert_int_equal(port_of(c), port);
	close(a), close(b), close(c), close(d), close(fd);
}

static void test_port_asked_for_in_a_child(void **state)
{
	struct sockaddr_in open = at(SRC, 0);
	int fd = stream(), status;
	pid_t child;

	(void)state;
	maker_beat(&m);
	assert_int_equal(bind(fd, (void *)&open, sizeof open), 0);
	child = fork();
	if (!child)
		_exit(!port_of(fd));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_not_equal(port_of(fd), 0);
	close(fd);
}

/* A socket nobody has bound has no port, and gets none by being looked at. */
static void test_unbound(void **state)
{
	struct sockaddr_in small = {.sin_port = 7};
	socklen_t len = 4;
	int fd = stream();

	(void)state;
	maker_beat(&m);
	assert_int_equal(port_of(fd), 0);
	assert_int_equal(port_of(fd), 0);
	assert_int_equal(getsockname(fd, (void *)&small, &len), 0);
	assert_int_equal(small.sin_port, 0);
	assert_int_equal(getsockname(-1, (void *)&small, &len), -1);
	assert_int_equal(errno, EBADF);
	close(fd);
}

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ports_of_the_emptiest_slot),
		TEST(test_all_ports_in_use),
		TEST(test_port_in_time_wait),
		TEST(test_port_of_another_connection),
		TEST(test_bound_by_the_program),
		TEST(test_nonblocking),
		TEST(test_refused),
		TEST(test_mapped_ipv6),
		TEST(test_others_are_left_alone),
		TEST(test_ports_of_no_use),
		TEST(test_listeners),
		TEST(test_port_asked_for_in_a_child),
		TEST(test_unbound),
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
