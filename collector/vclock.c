// SPDX-License-Identifier: BSD-3-Clause
#include "collector/vclock.h"

void c4_vclock_init(struct c4_vclock *c, uint64_t mono_ns)
{
	*c = (struct c4_vclock){.offset_ns = C4_VCLOCK_START - mono_ns, .looked_ns = mono_ns};
}

uint64_t c4_vclock_now(struct c4_vclock *c, uint64_t mono_ns)
{
	if (mono_ns < c->looked_ns)
		mono_ns = c->looked_ns;
	if (mono_ns - c->looked_ns > C4_VCLOCK_GAP_NS) {
		c->offset_ns -= mono_ns - c->looked_ns;
		c->resumed_ns = mono_ns + c->offset_ns;
		c->gaps++;
	}
	c->looked_ns = mono_ns;
	return mono_ns + c->offset_ns;
}
