/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * asks.h - the socket where processes of this node ask for a destination (struct c4_route_ask).
 * What is not a question is counted and dropped; so many datagrams are read at a time, then others
 * have their turn. One thread (the loop's).
 */
#ifndef C4_AGENT_ROUTES_ASKS_H
#define C4_AGENT_ROUTES_ASKS_H

#include <sys/un.h>
#include <uv.h>

#include "c4/route.h"

typedef void c4_asks_fn(void *arg, const struct c4_route_ask *ask);

struct c4_asks {
	int fd; /* -1: closed */
	uv_poll_t poll;
	struct sockaddr_un address;
	c4_asks_fn *ask;
	void *arg;
	uint64_t bad;
};

/* 0 or a negative errno. */
int c4_asks_open(struct c4_asks *a, uv_loop_t *loop, const char *dir, const char *node,
		 c4_asks_fn *ask, void *arg);

/* Removes the socket's name; the handle is closed with the loop's others. Idempotent. */
void c4_asks_close(struct c4_asks *a);

/* After that. */
void c4_asks_release(struct c4_asks *a);

#endif
