/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * asks.h - the socket where processes of this node ask for a destination (struct c4_route_ask) and
 * tell of their queue pairs (struct c4_route_qp). What is neither is counted and dropped; so many
 * datagrams are read at a time, then others have their turn. One thread (the loop's).
 */
#ifndef C4_AGENT_ROUTES_ASKS_H
#define C4_AGENT_ROUTES_ASKS_H

#include <sys/un.h>
#include <uv.h>

#include "c4/route.h"

typedef void c4_asks_fn(void *arg, const struct c4_route_ask *ask);
/* pid: who sent it, in our pid namespace; 0: somebody who is not in it. */
typedef void c4_asks_qp_fn(void *arg, const struct c4_route_qp *qp, uint32_t pid);

struct c4_asks_config {
	const char *dir, *node;
	c4_asks_fn *ask;
	c4_asks_qp_fn *qp;
	void *arg;
};

struct c4_asks {
	int fd; /* -1: closed */
	uv_poll_t poll;
	struct sockaddr_un address;
	c4_asks_fn *ask;
	c4_asks_qp_fn *qp;
	void *arg;
	uint64_t bad;
};

/* 0 or a negative errno. */
int c4_asks_open(struct c4_asks *a, uv_loop_t *loop, const struct c4_asks_config *config);

/* Removes the socket's name; the handle is closed with the loop's others. Idempotent. */
void c4_asks_close(struct c4_asks *a);

/* After that. */
void c4_asks_release(struct c4_asks *a);

#endif
