/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * helper_wire.h - the datagrams between agents: "which way do packets take from your `from` to my
 * `to`, from sport to each of these ports?" A question is as long as its answer, so that nobody can
 * make us shout at others. Big endian. Pure.
 *
 *   question, answer: magic, version, type, proto, ttls, nonce, from, to, sport, n
 *   then per port:    port, hop at TTL 2, …, of them ttls (zeros in a question)
 */
#ifndef C4_AGENT_ROUTES_HELPER_WIRE_H
#define C4_AGENT_ROUTES_HELPER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define C4_HELP_PORTS 16u
#define C4_HELP_TTLS  3u
#define C4_HELP_BYTES (24 + C4_HELP_PORTS * (2 + 4 * C4_HELP_TTLS))

enum c4_help_type { C4_HELP_QUESTION = 1, C4_HELP_ANSWER = 2 };

struct c4_help {
	uint8_t type, proto;
	uint8_t ttls; /* 1 … C4_HELP_TTLS */
	uint8_t n;    /* 1 … C4_HELP_PORTS */
	uint32_t nonce, from, to;
	uint16_t sport;
	uint16_t port[C4_HELP_PORTS];
	uint32_t hop[C4_HELP_PORTS][C4_HELP_TTLS]; /* 0: nobody answered */
};

/* Returns the length written, at most C4_HELP_BYTES. */
size_t c4_help_encode(const struct c4_help *h, unsigned char *buf);

/* False: none that may be. *ret is then undefined. */
bool c4_help_decode(const unsigned char *data, size_t n, struct c4_help *ret);

#endif
