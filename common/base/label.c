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
