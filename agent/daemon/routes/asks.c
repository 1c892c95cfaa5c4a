// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/asks.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASKS_AT_ONCE 64

union datagram {
	struct c4_route_ask ask;
	struct c4_route_qp qp;
};

static bool is_ask(const union datagram *m, ssize_t n)
{
	const struct c4_route_ask *ask = &m->ask;

	return n == (ssize_t)sizeof *ask && ask->magic == (uint32_t)C4_ROUTE_MAGIC &&
	       ask->version == C4_ROUTE_VERSION && ask->dst && ask->dport &&
	       (ask->proto == C4_ROUTE_TCP || ask->proto == C4_ROUTE_UDP);
}

static bool is_qp(const union datagram *m, ssize_t n)
{
	const struct c4_route_qp *qp = &m->qp;

	return n == (ssize_t)sizeof *qp && qp->magic == C4_ROUTE_QP_MAGIC &&
	       qp->version == C4_ROUTE_VERSION && qp->src && qp->dst && qp->sport &&
	       qp->slot <= C4_ROUTE_SLOTS &&
	       (qp->kind == C4_ROUTE_QP_UP || qp->kind == C4_ROUTE_QP_GONE);
}

/* As the kernel says. */
static uint32_t sender_of(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	struct ucred who;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
	    c->cmsg_len < CMSG_LEN(sizeof who))
		return 0;
	memcpy(&who, CMSG_DATA(c), sizeof who);
	return who.pid > 0 ? (uint32_t)who.pid : 0;
}

/* False: there are no more. The credentials fill the room for what comes with a datagram: whoever
 * sends descriptors as well only loses them. */
static bool take_one(struct c4_asks *a)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(struct ucred))];
	union datagram m;
	struct iovec into = {&m, sizeof m};
	struct msghdr h = {.msg_iov = &into,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof room};
	ssize_t n = recvmsg(a->fd, &h, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return false;
	if (is_ask(&m, n))
		a->ask(a->arg, &m.ask);
	else if (is_qp(&m, n))
		a->qp(a->arg, &m.qp, sender_of(&h));
	else
		a->bad++;
	return true;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
	struct c4_asks *a = h->data;

	(void)status, (void)events;
	for (int i = 0; i < ASKS_AT_ONCE; i++)
		if (!take_one(a))
			return;
}

int c4_asks_open(struct c4_asks *a, uv_loop_t *loop, const struct c4_asks_config *config)
{
	int n, rc, on = 1;

	*a = (struct c4_asks){.fd = -1, .ask = config->ask, .qp = config->qp, .arg = config->arg};
	a->address.sun_family = AF_UNIX;
	n = snprintf(a->address.sun_path, sizeof a->address.sun_path, "%s/" C4_ROUTE_SOCKET,
		     config->dir, config->node);
	if (n < 0 || (size_t)n >= sizeof a->address.sun_path)
		return -ENAMETOOLONG;
	a->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return -errno;
	setsockopt(a->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
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
