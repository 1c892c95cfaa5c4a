// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/detail.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/hook/hook.h"
#include "agent/nccl/abi.h"
#include "agent/nccl/next.h"
#include "agent/nccl/shared.h"
#include "c4/env.h"
#include "common/base/clock.h"

#define PERIOD_NS 10000000000ull
#define ON_NS	  1000000000ull

#define TASKS (C4_ABI_GROUP | C4_ABI_COLL | C4_ABI_P2P)
#define CALLS (C4_ABI_GROUP_API | C4_ABI_COLL_API | C4_ABI_P2P_API)
#define STEPS (C4_ABI_PROXY_OP | C4_ABI_PROXY_STEP)

static bool duty, always;

/* The duty cycle: whether it is on, until when. Both are atomic; two threads at an edge agree. */
static uint32_t duty_on;
static uint64_t edge_ticks;

static uint64_t wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_edge(bool on, uint64_t now, uint64_t left_ns)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	struct c4_tick_rate rate;

	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	c4_set(&duty_on, on);
	c4_set(&edge_ticks, now + (uint64_t)((double)left_ns / rate.ns_per_tick) + 1);
}

void c4_prof_detail_init(void)
{
	const char *policy = getenv(C4_ENV_NCCL_DETAIL);

	always = policy && !strcmp(policy, "on");
	duty = !policy || (!always && strcmp(policy, "off") != 0);
	set_edge(duty, c4_ticks(c4_hook.clock), ON_NS);
}

/* At an edge, and only there, the wall clock says what comes. */
static C4_RARE void turn(uint64_t now)
{
	uint64_t at = wall_ns() % PERIOD_NS;

	set_edge(duty && at < ON_NS, now, at < ON_NS ? ON_NS - at : PERIOD_NS - at);
}

/* Indexed by version. */
static const int base[] = {
	0,
	TASKS,
	TASKS,
	TASKS | C4_ABI_KERNEL_CH,
	TASKS | C4_ABI_KERNEL_CH,
	TASKS | C4_ABI_KERNEL_CH | CALLS,
	TASKS | C4_ABI_KERNEL_CH | CALLS | C4_ABI_CE_COLL,
};

static bool steps_wanted(uint64_t now)
{
	if (now >= c4_get(&edge_ticks))
		turn(now);
	return always || c4_get(&duty_on) || now < c4_get(&c4_hook.seg.hdr->detail_until);
}

void c4_prof_detail_look(int *mask, uint32_t version, uint64_t now)
{
	int want = base[version] | (steps_wanted(now) ? STEPS : 0) | c4_next_mask();

	if (!mask || c4_get(mask) == want)
		return;
	c4_set(mask, want);
	c4_set(&c4_hook.seg.hdr->detail_now, (uint64_t)want);
}
