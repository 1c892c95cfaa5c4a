/* SPDX-License-Identifier: BSD-3-Clause */
/* probe.h - one packet that dies on its way, and who sent word of it: what the probers have in
 * common. Addresses and ports in host byte order. */
#ifndef C4_AGENT_ROUTES_PROBE_H
#define C4_AGENT_ROUTES_PROBE_H

#include <stdint.h>

#define C4_PROBE_WAIT_MIN_NS 20000000ull
#define C4_PROBE_WAIT_MAX_NS 500000000ull
#define C4_PROBE_RATE	     2000u /* a second */
#define C4_PROBE_BURST	     256u

struct c4_probe {
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto; /* enum c4_route_proto */
	uint8_t ttl;
};

struct c4_hop {
	uint32_t address; /* 0: nobody answered in time */
	uint32_t rtt_us;
};

/* Whom to tell; called once for each probe that was sent, on the loop's thread. */
struct c4_probe_client {
	void (*done)(void *arg, uint64_t tag, const struct c4_hop *hop);
	void *arg;
	uint64_t tag;
};

/* How long to wait for answers, learned from those that come. */
struct c4_probe_pace {
	uint64_t mean_ns, spread_ns;
};

static inline uint64_t c4_probe_wait_ns(const struct c4_probe_pace *p)
{
	uint64_t ns = p->mean_ns ? p->mean_ns * 4 + p->spread_ns * 8 : C4_PROBE_WAIT_MAX_NS / 5;

	return ns < C4_PROBE_WAIT_MIN_NS   ? C4_PROBE_WAIT_MIN_NS
	       : ns > C4_PROBE_WAIT_MAX_NS ? C4_PROBE_WAIT_MAX_NS
					   : ns;
}

static inline void c4_probe_learn(struct c4_probe_pace *p, uint64_t ns)
{
	uint64_t off = ns > p->mean_ns ? ns - p->mean_ns : p->mean_ns - ns;

	if (!p->mean_ns) {
		p->mean_ns = ns;
		p->spread_ns = ns / 2;
		return;
	}
	p->mean_ns = (p->mean_ns * 7 + ns) / 8;
	p->spread_ns = (p->spread_ns * 3 + off) / 4;
}

#endif
