/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rawprober.h - probes of 5-tuples that are not ours to bind: connections that live, and those that
 * would come back to a port of another node. TCP: an ACK, as of a connection that is under way;
 * UDP: a datagram. Needs CAP_NET_RAW; without it there is no raw prober and nothing fails.
 *
 * The answer is known by the packet's header inside the ICMP message: addresses, ports and the
 * identification that we chose. All on the loop's thread; nothing blocks.
 */
#ifndef C4_AGENT_ROUTES_RAWPROBER_H
#define C4_AGENT_ROUTES_RAWPROBER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "agent/daemon/routes/probe.h"

#define C4_RAWPROBER_FLYING 512u /* power of two: the low bits of the identification */

struct c4_raw_flight {
	bool on;
	uint16_t id;
	struct c4_probe probe;
	uint64_t sent_ns, due_ns;
	struct c4_probe_client client;
};

struct c4_rawprober {
	int out, in; /* -1: may not */
	uv_poll_t poll;
	uv_timer_t timer;
	struct c4_raw_flight flight[C4_RAWPROBER_FLYING];
	uint32_t nflying;
	uint16_t serial;
	struct c4_probe_pace pace;
	uint64_t sent, answered, silent;
};

/* 0, or a negative errno (-EPERM: may not): then c4_rawprober_able() is false. */
int c4_rawprober_init(struct c4_rawprober *r, uv_loop_t *loop);
void c4_rawprober_release(struct c4_rawprober *r);

static inline bool c4_rawprober_able(const struct c4_rawprober *r)
{
	return r->in >= 0;
}

/* Waits for an answer as long as others took, or, told to be patient, as long as an answer may
 * stand in queues. 0, -EAGAIN (too many under way) or another negative errno and nothing sent.
 * Limiting the rate is the caller's. */
int c4_rawprober_send(struct c4_rawprober *r, const struct c4_probe *probe,
		      const struct c4_probe_client *client, bool patient);

/* Which packet a message of ICMP, with its IP header, is about. False: none that died on its way,
 * or too short to tell. Pure. */
struct c4_raw_quote {
	struct c4_probe probe;
	uint16_t id;
	uint32_t offender;
};
bool c4_raw_quote(const void *data, size_t n, struct c4_raw_quote *ret);

#endif
