// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/portrange.h"

#include <stdio.h>

#include "c4/route.h"

#define TCP_LOW	    61000u
#define LABEL_LOW   49152u
#define PORTS_END   65536u
#define ENOUGH	    1024u
#define BELOW_LOW   16384u /* not among the ports of well-known services */
#define KERNEL_LOW  32768u
#define KERNEL_HIGH 60999u
/* A prime above all ranges, far from simple fractions of the usual ones: neighbours differ in many
 * bits, so that switches with a linear hash do not send a whole run of candidates the same way. */
#define STRIDE 76039u

struct c4_portrange c4_portrange_beside(uint16_t low, uint16_t high)
{
	uint32_t above = high + 1u > TCP_LOW ? high + 1u : TCP_LOW;

	if (low >= PORTS_END - ENOUGH || high < TCP_LOW)
		above = TCP_LOW;
	if (above + ENOUGH <= PORTS_END)
		return (struct c4_portrange){(uint16_t)above, PORTS_END - above};
	if (low >= BELOW_LOW + ENOUGH)
		return (struct c4_portrange){BELOW_LOW, low - BELOW_LOW};
	return (struct c4_portrange){TCP_LOW, PORTS_END - TCP_LOW};
}

struct c4_portrange c4_portrange_of(uint8_t proto)
{
	unsigned low = KERNEL_LOW, high = KERNEL_HIGH;
	FILE *f;

	if (proto == C4_ROUTE_UDP)
		return (struct c4_portrange){LABEL_LOW, PORTS_END - LABEL_LOW};
	f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	if (f) {
		if (fscanf(f, "%u %u", &low, &high) != 2 || low > high || high >= PORTS_END) {
			low = KERNEL_LOW;
			high = KERNEL_HIGH;
		}
		fclose(f);
	}
	return c4_portrange_beside((uint16_t)low, (uint16_t)high);
}

uint16_t c4_portrange_nth(const struct c4_portrange *r, uint64_t where, uint32_t k)
{
	return (uint16_t)(r->low + (where % r->n + (uint64_t)k * STRIDE) % r->n);
}
