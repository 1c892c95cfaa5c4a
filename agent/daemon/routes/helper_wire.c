// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/helper_wire.h"

#include <string.h>

#include "c4/route.h"

#define MAGIC	0x63347672u /* "c4vr" */
#define VERSION 1u
#define HEAD	24u

static void put16(unsigned char **at, uint32_t x)
{
	*(*at)++ = (unsigned char)(x >> 8);
	*(*at)++ = (unsigned char)x;
}

static void put32(unsigned char **at, uint32_t x)
{
	put16(at, x >> 16);
	put16(at, x & 0xffff);
}

static uint16_t get16(const unsigned char **at)
{
	uint16_t x = (uint16_t)((*at)[0] << 8 | (*at)[1]);

	*at += 2;
	return x;
}

static uint32_t get32(const unsigned char **at)
{
	uint32_t high = get16(at);

	return high << 16 | get16(at);
}

size_t c4_help_encode(const struct c4_help *h, unsigned char *buf)
{
	unsigned char *at = buf;

	put32(&at, MAGIC);
	*at++ = VERSION;
	*at++ = h->type;
	*at++ = h->proto;
	*at++ = h->ttls;
	put32(&at, h->nonce);
	put32(&at, h->from);
	put32(&at, h->to);
	put16(&at, h->sport);
	put16(&at, h->n);
	for (uint32_t i = 0; i < h->n; i++) {
		put16(&at, h->port[i]);
		for (uint32_t k = 0; k < h->ttls; k++)
			put32(&at, h->hop[i][k]);
	}
	return (size_t)(at - buf);
}

static bool plausible(const struct c4_help *h)
{
	return (h->type == C4_HELP_QUESTION || h->type == C4_HELP_ANSWER) &&
	       (h->proto == C4_ROUTE_TCP || h->proto == C4_ROUTE_UDP) && h->ttls >= 1 &&
	       h->ttls <= C4_HELP_TTLS && h->from && h->to && h->sport;
}

bool c4_help_decode(const unsigned char *data, size_t n, struct c4_help *ret)
{
	const unsigned char *at = data;
	uint32_t ports;

	memset(ret, 0, sizeof *ret);
	if (n < HEAD || get32(&at) != MAGIC || *at++ != VERSION)
		return false;
	ret->type = *at++;
	ret->proto = *at++;
	ret->ttls = *at++;
	ret->nonce = get32(&at);
	ret->from = get32(&at);
	ret->to = get32(&at);
	ret->sport = get16(&at);
	ports = get16(&at);
	if (!plausible(ret) || !ports || ports > C4_HELP_PORTS ||
	    n != HEAD + ports * (2u + 4u * ret->ttls))
		return false;
	ret->n = (uint8_t)ports;
	for (uint32_t i = 0; i < ports; i++) {
		ret->port[i] = get16(&at);
		for (uint32_t k = 0; k < ret->ttls; k++)
			ret->hop[i][k] = get32(&at);
		if (!ret->port[i])
			return false;
	}
	return true;
}
