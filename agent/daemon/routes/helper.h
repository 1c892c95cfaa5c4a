/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * helper.h - agents probe for each other: the way back from a peer can only be seen from there.
 * One UDP socket for both sides of it.
 *
 * As the one who is asked: only for pairs of our plan, within a rate limit, so many questions at a
 * time; everything else is dropped and counted. As the one who asks: a question that is not
 * answered is asked once more, then the peer counts as unable for a while.
 * All on the loop's thread.
 */
#ifndef C4_AGENT_ROUTES_HELPER_H
#define C4_AGENT_ROUTES_HELPER_H

#include <netinet/in.h>
#include <uv.h>

#include "agent/daemon/routes/bucket.h"
#include "agent/daemon/routes/helper_wire.h"
#include "agent/daemon/routes/rawprober.h"

#define C4_HELPER_SERVED 32u /* questions under way, of others */
#define C4_HELPER_ASKED	 64u /* of ours */
#define C4_HELPER_MUTE	 64u /* peers that do not answer, remembered */

struct c4_helper_served {
	struct c4_helper *owner;
	uint32_t serial; /* tells answers to an earlier question here apart; 0: free */
	uint32_t waiting;
	struct sockaddr_in asker;
	struct c4_help help;
};

struct c4_helper_asked {
	bool on;
	uint8_t tries;
	uint64_t due_ns, tag;
	struct sockaddr_in peer;
	struct c4_help help;
};

struct c4_helper_config {
	struct c4_rawprober *raw;
	/* Whether the plan has a route between ours and theirs. */
	bool (*planned)(void *arg, uint32_t ours, uint32_t theirs);
	/* The answer to a question of ours; NULL: there is none. */
	void (*answered)(void *arg, uint64_t tag, const struct c4_help *question,
			 const struct c4_help *answer);
	void *arg;
};

struct c4_helper {
	int fd; /* -1: closed */
	uint16_t port;
	uv_poll_t poll;
	uv_timer_t timer;
	struct c4_helper_config config;
	struct c4_bucket bucket;
	uint32_t serial;
	struct c4_helper_served served[C4_HELPER_SERVED];
	struct c4_helper_asked asked[C4_HELPER_ASKED];
	struct {
		uint32_t address;
		uint64_t until_ns;
	} mute[C4_HELPER_MUTE];
	uint32_t next_mute;
	uint64_t questions, answers, refused, unanswered, bad;
};

/* 0 or a negative errno. */
int c4_helper_open(struct c4_helper *h, uv_loop_t *loop, const struct c4_helper_config *config);

/* After the handles were closed. */
void c4_helper_release(struct c4_helper *h);

/* Asks the agent at address:port; type and nonce of q are set here. False: not now, or it does not
 * answer; nothing will come of it. */
bool c4_helper_ask(struct c4_helper *h, uint32_t address, uint16_t port, const struct c4_help *q,
		   uint64_t tag);

#endif
