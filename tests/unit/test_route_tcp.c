// SPDX-License-Identifier: BSD-3-Clause
/* Connections of this very process, made through the hook that is linked into it, on loopback:
 * which ports they get, and whose are left alone. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "tests/unit/route_scene.h"

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
	struct sockaddr_in from = at(NET "9", 0), mine = at(SRC, 0);
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
	assert_int_equal(local(other).sin_addr.s_addr, inet_addr(NET "9"));
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
	struct sockaddr_in mine = at(SRC, FIRST), there = at(NET "3", 0);
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

static struct sockaddr_in6 at6(const char *ip, uint16_t port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	inet_pton(AF_INET6, ip, &a.sin6_addr);
	return a;
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
	struct sockaddr_in to = at(DST, dport), other = at(NET "4", dport);
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

int main(void)
{
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
