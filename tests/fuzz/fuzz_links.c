// SPDX-License-Identifier: BSD-3-Clause
/* What anybody may say of links to a collector, and the incidents that follow. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "collector/linktab.h"

#define S 1000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct c4_linktab t = {0};
	struct c4_incidents set;
	char why[256];

	c4_incidents_init(&set, NULL, NULL);
	c4_linktab_post(&t, data, size, S, why, sizeof why);
	for (uint64_t now = S; now < 40 * S; now += 4 * S)
		c4_linktab_look(&t, &set, now, now);
	c4_incidents_release(&set);
	c4_linktab_release(&t);
	return 0;
}
