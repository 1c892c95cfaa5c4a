// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/asks.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASKS_AT_ONCE 64

static void take(struct c4_asks *a, const struct c4_route_ask *ask, ssize_t n)
{
	if (n != (ssize_t)sizeof *ask || ask->magic != (uint32_t)C4_ROUTE_MAGIC ||
	    ask->version != C4_ROUTE_VERSION || !ask->dst || !ask->dport ||
	    (ask->proto != C4_ROUTE_TCP && ask->proto != C4_ROUTE_UDP))
		a->bad++;
	else
		a->ask(a->arg, ask);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct c4_asks *a = h->data;
	struct c4_route_ask ask;

	(void)status, (void)events;
	for (int i = 0; i < ASKS_AT_ONCE; i++) {
		ssize_t n = recv(a->fd, &ask, sizeof ask, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return;
		take(a, &ask, n);
	}
}

int c4_asks_open(struct c4_asks *a, uv_loop_t *loop, const char *dir, const char *node,
		 c4_asks_fn *ask, void *arg)
{
	int n, rc;

	*a = (struct c4_asks){.fd = -1, .ask = ask, .arg = arg};
	a->address.sun_family = AF_UNIX;
	n = snprintf(a->address.sun_path, sizeof a->address.sun_path, "%s/" C4_ROUTE_SOCKET, dir,
		     node);
	if (n < 0 || (size_t)n >= sizeof a->address.sun_path)
		return -ENAMETOOLONG;
	a->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	unlink(a->address.sun_path); /* of an agent that died here; the node's lock is ours */
	if (bind(a->fd, (struct sockaddr *)&a->address, sizeof a->address) ||
	    chmod(a->address.sun_path, 0600)) {
		rc = -errno;
		close(a->fd);
		a->fd = -1;
		return rc;
	}
	uv_poll_init(loop, &a->poll, a->fd);
	a->poll.data = a;
	uv_poll_start(&a->poll, UV_READABLE, on_poll);
	return 0;
}

void c4_asks_close(struct c4_asks *a)
{
	if (a->fd < 0 || !a->address.sun_path[0])
		return;
	unlink(a->address.sun_path);
	a->address.sun_path[0] = '\0';
	uv_poll_stop(&a->poll);
}

void c4_asks_release(struct c4_asks *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}
