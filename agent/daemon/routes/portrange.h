/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * portrange.h - source ports that planned connections leave from: for TCP those above what the
 * kernel itself hands out, so that nobody has them by chance; for RoCE v2 those that a flow label
 * can choose.
 */
#ifndef C4_AGENT_ROUTES_PORTRANGE_H
#define C4_AGENT_ROUTES_PORTRANGE_H

#include <stdint.h>

struct c4_portrange {
	uint16_t low;
	uint32_t n; /* low + n ≤ 65536 */
};

/* TCP: what is left of 61000…65535 outside the kernel's range [low, high]; where that is little,
 * what is below it. Pure. */
struct c4_portrange c4_portrange_beside(uint16_t low, uint16_t high);

/* The same for this network namespace as it is set now; UDP: 49152…65535. */
struct c4_portrange c4_portrange_of(uint8_t proto);

/* The k-th candidate of a destination: those of different ones begin in different places. */
uint16_t c4_portrange_nth(const struct c4_portrange *r, uint64_t where, uint32_t k);

#endif
