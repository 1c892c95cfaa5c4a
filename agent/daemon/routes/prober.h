/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * prober.h - probes without privileges: a TCP SYN or a UDP datagram from a bound port with a small
 * TTL; the switch where it dies is told by the socket's error queue. The socket is closed at once;
 * no packet reaches the peer. A port that somebody has bound cannot be probed.
 *
 * All on the loop's thread; nothing blocks. Not more than C4_PROBER_FLYING at a time, and not more
 * a second than the rate limit: then -EAGAIN.
 */
#ifndef C4_AGENT_ROUTES_PROBER_H
#define C4_AGENT_ROUTES_PROBER_H

#include <uv.h>

#include "agent/daemon/routes/bucket.h"
#include "agent/daemon/routes/probe.h"

#define C4_PROBER_FLYING 128u

struct c4_prober_flight {
	int fd; /* -1: free */
	uint64_t sent_ns, due_ns;
	struct c4_probe_client client;
};

struct c4_prober {
	int epoll;
	uv_poll_t poll;
	uv_timer_t timer;
	struct c4_prober_flight flight[C4_PROBER_FLYING];
	uint32_t nflying;
	struct c4_bucket bucket;
	struct c4_probe_pace pace;
	uint64_t sent, answered, silent, arrived; /* arrived: at the peer, which should not be */
};

/* 0 or a negative errno. Its handles are closed with the loop's others. */
int c4_prober_init(struct c4_prober *p, uv_loop_t *loop);

/* Closes sockets; nobody is told. After the handles were closed. */
void c4_prober_release(struct c4_prober *p);

/*
 * 0, or a negative errno and nothing sent: -EAGAIN (later), -EADDRINUSE (the port is taken),
 * -EADDRNOTAVAIL (src is not ours), or another.
 */
int c4_prober_send(struct c4_prober *p, const struct c4_probe *probe,
		   const struct c4_probe_client *client);

#endif
