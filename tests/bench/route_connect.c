// SPDX-License-Identifier: BSD-3-Clause
/*
 * route_connect [--quick]: what connect() and close() on loopback gain from the hook, which is
 * built in here, where nothing is planned: without any table, and with one that knows others. Ours
 * and libc's in turn; the medians' difference.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/route/attach.h"
#include "agent/route/real.h"
#include "tests/route/maker.h"

#define BUDGET_US 2.0
#define PAIRS	  40000

typedef int connect_fn(int fd, const struct sockaddr *addr, socklen_t len);
int c4_connect(int fd, const struct sockaddr *addr, socklen_t len) __asm__("connect");

static struct sockaddr_in to = {.sin_family = AF_INET};
static int listener;

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "route_connect: %s failed\n", what);
	exit(1);
}

static void start_listening(void)
{
	socklen_t len = sizeof to;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	need(!bind(listener, (void *)&to, sizeof to) && !listen(listener, 16) &&
		     !getsockname(listener, (void *)&to, &len),
	     "listening");
}

static uint64_t one_ns(connect_fn *connect_by)
{
	const struct linger now = {1, 0}; /* no TIME_WAIT */
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc, peer;
	uint64_t ns;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	ns = c4_mono_ns();
	rc = connect_by(fd, (void *)&to, sizeof to);
	close(fd);
	ns = c4_mono_ns() - ns;
	need(!rc, "connect");
	peer = accept(listener, NULL, NULL);
	close(peer);
	return ns;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double median(uint64_t *ns, size_t n)
{
	qsort(ns, n, sizeof *ns, by_size);
	return (double)ns[n / 2];
}

static void measure(const char *name, struct maker *m, size_t pairs)
{
	uint64_t *ours = calloc(pairs, sizeof *ours), *theirs = calloc(pairs, sizeof *theirs);
	double us;

	need(ours && theirs, "calloc");
	for (size_t i = 0; i < pairs; i++) {
		if (m)
			maker_beat(m);
		if (i % 2)
			ours[i] = one_ns(c4_connect);
		theirs[i] = one_ns(c4_route_real()->connect);
		if (!(i % 2))
			ours[i] = one_ns(c4_connect);
	}
	us = (median(ours, pairs) - median(theirs, pairs)) / 1000;
	printf("{\"bench\":\"%s\",\"value\":%.4g,\"unit\":\"us\",\"budget\":%g,\"ok\":%s}\n", name,
	       us, BUDGET_US, us <= BUDGET_US ? "true" : "false");
	free(ours);
	free(theirs);
}

int main(int argc, char **argv)
{
	size_t pairs = argc > 1 && !strcmp(argv[1], "--quick") ? PAIRS / 10 : PAIRS;
	struct maker m;

	start_listening();
	maker_init(&m);
	unlink(m.table);
	c4_attach_init();
	measure("connect_added_without_table", NULL, pairs);
	maker_table(&m, 2);
	maker_peer(&m, "10.0.0.1", "10.0.0.2");
	c4_attach_init();
	measure("connect_added_with_unknown_peer", &m, pairs);
	need(c4_attach_get(c4_mono_ns()), "mapping the table");
	maker_release(&m);
	return 0;
}
