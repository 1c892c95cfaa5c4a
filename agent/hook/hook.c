// SPDX-License-Identifier: BSD-3-Clause
#include "agent/hook/hook.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hook/identity.h"
#include "agent/hook/rundir.h"
#include "agent/hook/thread.h"
#include "c4/env.h"
#include "common/base/clock.h"
#include "common/base/str.h"

#define BLOCKED_NS 5000	  /* above what a completed wait costs by itself */
#define POLL_NS	   200000 /* a program that does other work between polls is not waiting */

struct c4_hook c4_hook;

static int switched_off(void)
{
	const char *value = getenv(C4_ENV_HOOK);

	return value && value[0] == '0' && value[1] == '\0';
}

static int create(const struct c4_seg_want *want)
{
	char dir[PATH_MAX];
	int rc;

	if (c4_hook.seg.base)
		return -EALREADY;
	if (switched_off())
		return -EPERM;
	rc = c4_runtime_dir(dir, sizeof dir);
	if (!rc)
		rc = c4_runtime_dir_make(dir);
	if (rc)
		return rc;
	if (!c4_rundir_has_agent(dir))
		c4_rundir_sweep(dir);
	return c4_seg_create_for(&c4_hook.seg, dir, want);
}

/* The child shares our pages but is another process: it must not write there. */
static void in_child(void)
{
	c4_hook_stop();
}

int c4_hook_open_for(const struct c4_seg_want *want)
{
	int saved = errno;
	int rc = create(want);

	if (!rc) {
		c4_hook.clock = c4_hook.seg.hdr->clock;
		c4_identity_fill(c4_hook.seg.hdr);
		c4_threads_init();
		c4_seg_publish(&c4_hook.seg);
	}
	errno = saved;
	return rc;
}

int c4_hook_open(const char *hook_name)
{
	return c4_hook_open_for(&(struct c4_seg_want){.hook = hook_name});
}

void c4_hook_identify(int32_t rank, uint32_t size, const char *library, const char *suffix)
{
	struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_str s;

	if (!h)
		return;
	h->world_rank = rank;
	h->world_size = size;
	c4_str_init(&s, h->library, sizeof h->library);
	c4_str_add(&s, library);
	if (!suffix)
		return;
	s = (struct c4_str){.buf = h->job, .size = sizeof h->job};
	while (h->job[s.len])
		s.len++;
	c4_str_add(&s, suffix);
}

/* Limits are given in time, the hot path compares ticks. */
static void set_limits(void)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_tick_rate rate;

	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	c4_hook.blocked_ticks = (uint64_t)(BLOCKED_NS / rate.ns_per_tick);
	c4_hook.poll_ticks = (uint64_t)(POLL_NS / rate.ns_per_tick);
}

void c4_hook_start(void)
{
	int saved = errno;

	if (c4_hook.seg.base && !pthread_atfork(NULL, NULL, in_child)) {
		set_limits();
		c4_hook_phase(C4_PHASE_RUN);
		__atomic_store_n(&c4_hook.live, 1, __ATOMIC_RELEASE);
	}
	errno = saved;
}

void c4_hook_stop(void)
{
	__atomic_store_n(&c4_hook.live, 0, __ATOMIC_RELEASE);
}

void c4_hook_phase(enum c4_seg_phase phase)
{
	if (c4_hook.seg.base)
		__atomic_store_n(&c4_hook.seg.hdr->phase, phase, __ATOMIC_RELEASE);
}

void c4_hook_finish(void)
{
	char dir[PATH_MAX];
	int saved = errno;

	if (!c4_hook.seg.base)
		return;
	memcpy(dir, c4_hook.seg.path, sizeof dir);
	*strrchr(dir, '/') = '\0'; /* where we made it: the environment may have changed */
	if (!c4_rundir_has_agent(dir))
		c4_seg_unlink(&c4_hook.seg);
	errno = saved;
}
