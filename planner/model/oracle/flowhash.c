// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/flowhash.h"

#include <string.h>

#define CRC32_POLY 0xEDB88320u
#define CRC16_POLY 0xA001u
#define PORT_AT	   8 /* in the tuple's bytes */

static const char *const names[C4_FLOWHASH_KINDS] = {
	[C4_FLOWHASH_CRC32] = "crc32",
	[C4_FLOWHASH_CRC16] = "crc16",
	[C4_FLOWHASH_XOR] = "xor",
	[C4_FLOWHASH_JHASH] = "jhash",
};

int c4_flowhash_kind(const char *name)
{
	for (int i = 0; i < C4_FLOWHASH_KINDS; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *c4_flowhash_name(enum c4_flowhash_kind kind)
{
	return names[kind];
}

static void tuple_bytes(const struct c4_tuple *t, unsigned char b[C4_TUPLE_SIZE])
{
	for (int i = 0; i < 4; i++) {
		b[i] = (unsigned char)(t->sip >> (24 - 8 * i));
		b[4 + i] = (unsigned char)(t->dip >> (24 - 8 * i));
	}
	b[PORT_AT] = (unsigned char)(t->sport >> 8);
	b[PORT_AT + 1] = (unsigned char)t->sport;
	b[PORT_AT + 2] = (unsigned char)(t->dport >> 8);
	b[PORT_AT + 3] = (unsigned char)t->dport;
	b[PORT_AT + 4] = t->proto;
}

static uint32_t crc_of(const struct c4_flowhash *h, uint32_t crc, const struct c4_tuple *t)
{
	unsigned char b[C4_TUPLE_SIZE];

	tuple_bytes(t, b);
	for (int i = 0; i < C4_TUPLE_SIZE; i++)
		crc = h->byte[(crc ^ b[i]) & 0xFF] ^ crc >> 8;
	return crc;
}

static uint32_t fold16(uint32_t x)
{
	return (x ^ x >> 16) & 0xFFFF;
}

static uint32_t xor_of(uint32_t seed, const struct c4_tuple *t)
{
	uint32_t ports = (uint32_t)t->sport << 16 | t->dport;

	return fold16(t->sip ^ t->dip ^ ports ^ t->proto ^ seed);
}

static uint32_t rotl(uint32_t x, int k)
{
	return x << k | x >> (32 - k);
}

/* Bob Jenkins, lookup3.c (2006, public domain), final(), with the kernel's initial value. */
static uint32_t jhash_of(uint32_t seed, const struct c4_tuple *t)
{
	uint32_t init = 0xdeadbeef + (3 << 2) + seed;
	uint32_t a = t->sip + init, b = t->dip + init;
	uint32_t c = ((uint32_t)t->sport << 16 | t->dport) + (init ^ t->proto);

	c = (c ^ b) - rotl(b, 14);
	a = (a ^ c) - rotl(c, 11);
	b = (b ^ a) - rotl(a, 25);
	c = (c ^ b) - rotl(b, 16);
	a = (a ^ c) - rotl(c, 4);
	b = (b ^ a) - rotl(a, 14);
	return (c ^ b) - rotl(b, 24);
}

uint32_t c4_flowhash(const struct c4_flowhash *h, uint32_t seed, const struct c4_tuple *t)
{
	switch (h->kind) {
	case C4_FLOWHASH_CRC32: return ~crc_of(h, ~seed, t);
	case C4_FLOWHASH_CRC16: return crc_of(h, fold16(seed), t);
	case C4_FLOWHASH_XOR: return xor_of(seed, t);
	default: return jhash_of(seed, t);
	}
}

static void fill_bytes(struct c4_flowhash *h, uint32_t poly)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? poly ^ c >> 1 : c >> 1;
		h->byte[i] = c;
	}
}

static void fill_ports(struct c4_flowhash *h)
{
	uint32_t zero = c4_flowhash(h, 0, &(struct c4_tuple){0});

	for (uint32_t i = 0; i < 256; i++) {
		struct c4_tuple high = {.sport = (uint16_t)(i << 8)}, low = {.sport = (uint16_t)i};

		h->port[0][i] = c4_flowhash(h, 0, &high) ^ zero;
		h->port[1][i] = c4_flowhash(h, 0, &low) ^ zero;
	}
}

void c4_flowhash_init(struct c4_flowhash *h, enum c4_flowhash_kind kind)
{
	memset(h, 0, sizeof *h);
	h->kind = kind;
	h->bits = kind == C4_FLOWHASH_CRC32 || kind == C4_FLOWHASH_JHASH ? 32 : 16;
	if (kind == C4_FLOWHASH_CRC32 || kind == C4_FLOWHASH_CRC16)
		fill_bytes(h, kind == C4_FLOWHASH_CRC32 ? CRC32_POLY : CRC16_POLY);
	if (c4_flowhash_linear(h))
		fill_ports(h);
}
