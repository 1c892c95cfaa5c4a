/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agent_sink.h - a collector that only listens: one thread that takes HTTP posts on a loopback
 * port and hands each body to a function, which may write an answer.
 */
#ifndef C4_TESTS_UNIT_AGENT_SINK_H
#define C4_TESTS_UNIT_AGENT_SINK_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SINK_BODY_MAX	 (16u << 20)
#define SINK_ANSWER_MAX	 256
#define SINK_CONNECTIONS 8

/* Returns the HTTP status; *answer_len bytes were written to answer. Runs on the sink's thread. */
typedef int sink_take(void *arg, const unsigned char *body, size_t len, unsigned char *answer,
		      size_t *answer_len);

struct sink {
	int listener;
	int stop[2]; /* pipe: closing its end wakes the thread */
	char address[32];
	pthread_t thread;
	sem_t up; /* the thread has begun, and holds no lock of the C library's any more */
	sink_take *take;
	void *arg;
};

/* Reads until n bytes are there, the peer closes, or the sink is to stop. */
static inline bool sink_read(struct sink *s, int fd, void *buf, size_t n)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
	char *at = buf;

	while (n) {
		ssize_t got;

		if (poll(p, 2, -1) < 0 || p[1].revents)
			return false;
		got = read(fd, at, n);
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

/* Header lines byte by byte (it is a test); returns the body's length or -1. */
static inline long sink_read_head(struct sink *s, int fd)
{
	char head[4096];
	char *field;

	for (size_t n = 0; n < sizeof head - 1; n++) {
		if (!sink_read(s, fd, head + n, 1))
			return -1;
		head[n + 1] = '\0';
		if (n < 3 || strcmp(head + n - 3, "\r\n\r\n") != 0)
			continue;
		field = strcasestr(head, "content-length:");
		return field ? atol(field + 15) : 0;
	}
	return -1;
}

/* One request; false: the connection is to be closed. */
static inline bool sink_serve(struct sink *s, int fd)
{
	unsigned char answer[SINK_ANSWER_MAX], *body;
	long len = sink_read_head(s, fd);
	size_t answer_len = 0;
	char head[128];
	bool ok = false;
	int n;

	body = len >= 0 && len <= (long)SINK_BODY_MAX ? malloc((size_t)len + 1) : NULL;
	if (body && sink_read(s, fd, body, (size_t)len)) {
		n = s->take(s->arg, body, (size_t)len, answer, &answer_len);
		n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", n,
			     answer_len);
		ok = send(fd, head, (size_t)n, MSG_NOSIGNAL) == n &&
		     send(fd, answer, answer_len, MSG_NOSIGNAL) == (ssize_t)answer_len;
	}
	free(body);
	return ok;
}

static inline void *sink_run(void *arg)
{
	struct sink *s = arg;
	struct pollfd p[2 + SINK_CONNECTIONS] = {{.fd = s->stop[0], .events = POLLIN},
						 {.fd = s->listener, .events = POLLIN}};
	nfds_t n = 2;

	sem_post(&s->up);
	while (poll(p, n, -1) >= 0 && !p[0].revents) {
		for (nfds_t i = 2; i < n; i++) {
			if (!p[i].revents || sink_serve(s, p[i].fd))
				continue;
			close(p[i].fd);
			p[i--] = p[--n];
		}
		if (p[1].revents && n < 2 + SINK_CONNECTIONS)
			p[n++] = (struct pollfd){.fd = accept(s->listener, NULL, NULL),
						 .events = POLLIN};
	}
	for (nfds_t i = 2; i < n; i++)
		close(p[i].fd);
	return NULL;
}

/*
 * port 0: any. Fills in s->address. False: cannot listen there. Returns once the thread waits:
 * one that is only beginning holds locks (a sanitizer's above all) that a child forked now would
 * never see released.
 */
static inline bool sink_start(struct sink *s, int port, sink_take *take, void *arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	int on = 1;

	*s = (struct sink){.take = take, .arg = arg};
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(s->listener, (struct sockaddr *)&a, sizeof a) || listen(s->listener, 8) ||
	    getsockname(s->listener, (struct sockaddr *)&a, &n) || pipe2(s->stop, O_CLOEXEC))
		return false;
	snprintf(s->address, sizeof s->address, "127.0.0.1:%d", ntohs(a.sin_port));
	if (sem_init(&s->up, 0, 0) || pthread_create(&s->thread, NULL, sink_run, s))
		return false;
	while (sem_wait(&s->up))
		; /* a signal */
	return true;
}

static inline void sink_stop(struct sink *s)
{
	close(s->stop[1]);
	pthread_join(s->thread, NULL);
	sem_destroy(&s->up);
	close(s->stop[0]);
	close(s->listener);
}

#endif
