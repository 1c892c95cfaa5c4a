// SPDX-License-Identifier: BSD-3-Clause
#include "common/base/label.h"

#define LOW_BITS       14
#define LOW_MASK       (C4_PORTS - 1)
#define LABEL_MASK     0xFFFFFu
#define LABEL_OF_FIRST 0x4001u /* folds to 0: what label 0 would give */

uint16_t c4_label_to_port(uint32_t label)
{
	label &= LABEL_MASK;
	return (uint16_t)(C4_PORT_FIRST | ((label ^ label >> LOW_BITS) & LOW_MASK));
}

uint32_t c4_label_of_port(uint16_t port)
{
	if (port < C4_PORT_FIRST)
		return 0;
	return port == C4_PORT_FIRST ? LABEL_OF_FIRST : port & LOW_MASK;
}

uint32_t c4_label_of_numbers(uint32_t qpn, uint32_t peer_qpn)
{
	uint64_t v = (uint64_t)qpn * peer_qpn;

	v ^= v >> 20;
	v ^= v >> 40;
	return (uint32_t)(v & LABEL_MASK);
}
