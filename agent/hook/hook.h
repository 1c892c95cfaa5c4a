/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hook.h - one hook's life inside the training process: its segment and whether it records.
 *
 *   c4_hook_open()    before the library starts: segment, phase INIT       -> not recording
 *   c4_hook_start()   the library is up                                    -> recording
 *   c4_hook_stop()    before it goes down, in a forked child, on doubt     -> never again
 *   c4_hook_finish()  after it went down: phase, and the file if nobody wants it
 *
 * Any of these may fail or be left out: then the hook is inert and every call passes through.
 * Only `live` is read on the path of a call. errno is preserved by all of them.
 */
#ifndef C4_HOOK_HOOK_H
#define C4_HOOK_HOOK_H

#include <stdint.h>

#include "common/base/segment.h"

struct c4_hook {
	int live; /* atomic: calls are recorded */
	uint32_t clock;
	uint64_t blocked_ticks; /* a wait at least this long really waited */
	uint64_t poll_ticks;	/* polls closer together than this are one wait */
	struct c4_seg seg;	/* base NULL: none; stays mapped until the process ends */
};

extern struct c4_hook c4_hook __attribute__((visibility("hidden")));

static inline int c4_hook_live(void)
{
	return __builtin_expect(__atomic_load_n(&c4_hook.live, __ATOMIC_RELAXED), 1);
}

/*
 * Makes and publishes this hook's segment of this process. 0 or a negative errno: -EPERM when
 * switched off (C4_HOOK=0) or the directory is not ours, -EALREADY the second time.
 */
int c4_hook_open_for(const struct c4_seg_want *want);

/* The same, without a table of connections. */
int c4_hook_open(const char *hook_name);

/* What the library says of itself and of this process; the job's name gets suffix (may be NULL). */
void c4_hook_identify(int32_t rank, uint32_t size, const char *library, const char *suffix);

void c4_hook_start(void);
void c4_hook_stop(void);

void c4_hook_phase(enum c4_seg_phase phase);

/* The process ended in good order: with no agent there to read the segment, removes it. */
void c4_hook_finish(void);

#endif
