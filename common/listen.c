// SPDX-License-Identifier: BSD-3-Clause
#include "common/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096

/* Cuts "HOST:PORT" in two; the host without brackets, "" for "*". */
static bool split(const char *where, char *host, size_t n, char *port, size_t m)
{
	const char *colon = strrchr(where, ':');
	size_t len = colon ? (size_t)(colon - where) : 0;
	char *end;
	long v;

	if (!colon || len >= n || strlen(colon + 1) >= m || !colon[1])
		return false;
	v = strtol(colon + 1, &end, 10);
	if (*end || v < 0 || v > 65535)
		return false;
	snprintf(port, m, "%s", colon + 1);
	if (len >= 2 && where[0] == '[' && where[len - 1] == ']') {
		where++;
		len -= 2;
	}
	memcpy(host, where, len);
	host[len] = '\0';
	if (!strcmp(host, "*"))
		host[0] = '\0';
	return true;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &n))
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

static int try_address(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, saved;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int c4_listen(const char *where, uint16_t *ret_port, char *err, size_t n)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
	char host[256], port[8];
	int fd = -1, rc;

	if (!split(where, host, sizeof host, port, sizeof port)) {
		snprintf(err, n, "%s: not HOST:PORT", where);
		return -1;
	}
	rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
	if (rc) {
		snprintf(err, n, "%s: %s", where, gai_strerror(rc));
		return -1;
	}
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = try_address(a);
	if (fd < 0)
		snprintf(err, n, "%s: %s", where, strerror(errno));
	else
		*ret_port = port_of(fd);
	freeaddrinfo(list);
	return fd;
}
