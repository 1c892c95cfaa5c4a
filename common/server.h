/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - HTTP/1.1 on a libuv loop: libmicrohttpd in external-epoll mode. Its epoll descriptor
 * is polled by the loop and its timeouts run on a loop timer, so there is one thread and no lock.
 *
 * Limits: C4_SERVER_BODY_MAX bytes per body, C4_SERVER_HELD_MAX bytes of unfinished bodies in all
 * (beyond it 503), C4_SERVER_CONNECTIONS connections, C4_SERVER_IDLE_S seconds of silence.
 */
#ifndef C4_COMMON_SERVER_H
#define C4_COMMON_SERVER_H

#include <stdint.h>
#include <uv.h>

#include "common/request.h"

#define C4_SERVER_BODY_MAX    (8u << 20)
#define C4_SERVER_HELD_MAX    (256u << 20)
#define C4_SERVER_CONNECTIONS 16384u
#define C4_SERVER_IDLE_S      120u

struct c4_server;

/* Why a request was answered without asking the handler. */
enum c4_server_refusal { C4_SERVER_TOO_LARGE, C4_SERVER_BUSY };

struct c4_server_calls {
	/* Fills in *out (zeroed). */
	void (*handle)(void *arg, const struct c4_request *q, struct c4_response *out);
	void (*refused)(void *arg, enum c4_server_refusal why, struct c4_response *out);
	void *arg;
};

/* fd: a listening socket, taken on success. NULL: no memory or descriptors. */
struct c4_server *c4_server_start(uv_loop_t *loop, int fd, const struct c4_server_calls *calls);

/* Drops all connections. The storage is freed once the loop has run its close callbacks. */
void c4_server_stop(struct c4_server *s);

#endif
