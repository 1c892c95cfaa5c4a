/* SPDX-License-Identifier: BSD-3-Clause */
/* pause.h - when something is done again: after a fixed gap, or later each time it fails. Pure. */
#ifndef C4_PLANNER_PAUSE_H
#define C4_PLANNER_PAUSE_H

#include <stdint.h>

#define C4_PAUSE_MIN_NS 1000000000ull
#define C4_PAUSE_MAX_NS (60 * C4_PAUSE_MIN_NS)

struct c4_pause {
	uint64_t next_ns;
	uint64_t pause_ns; /* 0: the last time it went well */
};

static inline void c4_pause_longer(struct c4_pause *p, uint64_t now_ns)
{
	p->pause_ns = p->pause_ns ? p->pause_ns * 2 : C4_PAUSE_MIN_NS;
	if (p->pause_ns > C4_PAUSE_MAX_NS)
		p->pause_ns = C4_PAUSE_MAX_NS;
	p->next_ns = now_ns + p->pause_ns;
}

static inline void c4_pause_for(struct c4_pause *p, uint64_t now_ns, uint64_t gap_ns)
{
	*p = (struct c4_pause){.next_ns = now_ns + gap_ns};
}

#endif
