/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * flowhash.h - hashes that switches choose next hops with, over (sip, dip, sport, dport, proto).
 *
 * The tuple is hashed as the 13 bytes sip dip sport dport proto, most significant byte first.
 * CRC and XOR are linear: the port's share of the value is XORed in, so that trying ports costs two
 * look-ups each (c4_flowhash_port()). Pure; a table is read-only once made.
 */
#ifndef C4_PLANNER_FLOWHASH_H
#define C4_PLANNER_FLOWHASH_H

#include <stdbool.h>
#include <stdint.h>

#define C4_ROCE_PORT  4791u
#define C4_PROTO_UDP  17u
#define C4_TUPLE_SIZE 13

enum c4_flowhash_kind {
	C4_FLOWHASH_CRC32, /* IEEE 802.3, reflected 0xEDB88320, xor-out; seed = initial value */
	C4_FLOWHASH_CRC16, /* ARC ("BISYNC"), reflected 0xA001; seed = initial value, folded */
	C4_FLOWHASH_XOR,   /* 16-bit words XORed, then the seed */
	C4_FLOWHASH_JHASH, /* Bob Jenkins' lookup3 final mix over three words, as Linux does */
	C4_FLOWHASH_KINDS
};

struct c4_tuple {
	uint32_t sip, dip; /* host byte order, as the ports */
	uint16_t sport, dport;
	uint8_t proto;
};

struct c4_flowhash {
	enum c4_flowhash_kind kind;
	uint8_t bits;	       /* of a value: 16 or 32 */
	uint32_t byte[256];    /* CRC of one byte */
	uint32_t port[2][256]; /* linear kinds: what the high and the low byte of sport add */
};

/* "crc32", "crc16", "xor", "jhash": the kind, or -1. */
int c4_flowhash_kind(const char *name);
const char *c4_flowhash_name(enum c4_flowhash_kind kind);

void c4_flowhash_init(struct c4_flowhash *h, enum c4_flowhash_kind kind);

/* Of the kinds that are linear: h(port ^ d) = h(port) ^ g(d), g the same for all tuples and seeds.
 */
static inline bool c4_flowhash_linear(const struct c4_flowhash *h)
{
	return h->kind != C4_FLOWHASH_JHASH;
}

uint32_t c4_flowhash(const struct c4_flowhash *h, uint32_t seed, const struct c4_tuple *t);

/* The value with another source port, from the one with source port 0 (linear kinds only). */
static inline uint32_t c4_flowhash_port(const struct c4_flowhash *h, uint32_t at_port_0,
					uint16_t sport)
{
	return at_port_0 ^ h->port[0][sport >> 8] ^ h->port[1][sport & 0xFF];
}

#endif
