// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/detail.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/hook/hook.h"
#include "agent/nccl/abi.h"
#include "agent/nccl/next.h"
#include "agent/nccl/shared.h"
#include "c4/env.h"
#include "common/base/clock.h"
#include "common/base/hash.h"

#define FADE_NS	   10000000000ull /* a wish is good for one to two of these */
#define HOLD_PLANS 8		  /* plans for which a message's wish is good */
#define PAIRS	   16384u	  /* peers and directions whose messages are counted */
#define WISHES	   (2 * C4_PROF_COMMS)

#define TASKS (C4_ABI_GROUP | C4_ABI_COLL | C4_ABI_P2P)
#define CALLS (C4_ABI_GROUP_API | C4_ABI_COLL_API | C4_ABI_P2P_API)
#define STEPS (C4_ABI_PROXY_OP | C4_ABI_PROXY_STEP)

bool c4_prof_detail_chooses;
static bool always;

/* ---- messages ------------------------------------------------------------------------------- */

/* Upper half: whose it is, lower half: how many. Two that share a place begin anew by turns: that
 * costs a pair its sampling, no more. */
static uint64_t pairs[PAIRS];

static uint64_t count_message(const struct c4_prof_comm *c, int32_t peer, bool sends)
{
	uint64_t key = c4_mix64(c->id ^ c4_mix64((uint64_t)(uint32_t)peer << 1 | sends));
	uint64_t *p = &pairs[key % PAIRS], tag = key & ~(uint64_t)UINT32_MAX, old = c4_get(p);

	if ((old & ~(uint64_t)UINT32_MAX) != tag)
		old = tag;
	c4_set(p, tag | (uint32_t)(old + 1));
	return (uint32_t)old;
}

/* ---- wishes: who has the gate open ------------------------------------------------------------
 */

/*
 * By communicator, of collectives and of messages, in two generations: the older one is forgotten
 * every FADE_NS. Counts may be off by a few where threads meet; they are set right as they fade.
 */
static struct wishes {
	uint64_t bits[WISHES / 64];
	int32_t n;
} wishes[2];
static uint32_t current;
static uint64_t fade_ticks, fades_at;
static uint8_t hold[C4_PROF_COMMS]; /* plans left */

static void wish(uint32_t i, bool wanted)
{
	uint64_t bit = (uint64_t)1 << i % 64;

	for (uint32_t g = 0; g < 2; g++) {
		struct wishes *w = &wishes[g];
		uint64_t *word = &w->bits[i / 64];
		bool on = wanted && g == c4_get(&current);

		if (!(c4_get(word) & bit) == !on || (wanted && !on))
			continue;
		if (on)
			__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
		__atomic_fetch_add(&w->n, on ? 1 : -1, __ATOMIC_RELAXED);
	}
}

static C4_RARE void fade(uint64_t now)
{
	uint32_t older = !c4_get(&current);

	c4_set(&fades_at, now + c4_get(&fade_ticks));
	for (uint32_t i = 0; i < WISHES / 64; i++)
		c4_set(&wishes[older].bits[i], 0);
	c4_set(&wishes[older].n, 0);
	c4_set(&current, older);
}

static bool wished(uint64_t now)
{
	if (now >= c4_get(&fades_at))
		fade(now);
	return c4_get(&wishes[0].n) > 0 || c4_get(&wishes[1].n) > 0;
}

void c4_prof_detail_init(void)
{
	const struct c4_seg_header *h = c4_hook.seg.hdr;
	const char *policy = getenv(C4_ENV_NCCL_DETAIL);
	struct c4_tick_rate rate;

	c4_tick_rate_init(&rate, h->clock, h->ticks0, h->mono0_ns);
	c4_set(&fade_ticks, (uint64_t)((double)FADE_NS / rate.ns_per_tick));
	always = policy && !strcmp(policy, "on");
	c4_prof_detail_chooses = !policy || (!always && strcmp(policy, "off") != 0);
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

static bool commanded(uint64_t now)
{
	return always || now < c4_get(&c4_hook.seg.hdr->detail_until);
}

void c4_prof_detail_look(int *mask, uint32_t version, uint64_t now)
{
	bool steps = commanded(now) || (c4_prof_detail_chooses && wished(now));
	int want = base[version] | (steps ? STEPS : 0) | c4_next_mask();

	if (!mask || c4_get(mask) == want)
		return;
	c4_set(mask, want);
	c4_set(&c4_hook.seg.hdr->detail_now, (uint64_t)want);
}

/*
 * The next one's number, if each call so far is an operation, or if some were none (nothing to be
 * done, copied by engines that older versions do not show) and this one is.
 */
void c4_prof_detail_called(const struct c4_prof_comm *c, bool captured)
{
	uint64_t calls = c4_get(&c4_prof_comm_seg(c)->api_calls);

	if (c4_prof_detail_chooses)
		wish(c->index, captured || c4_prof_detail_chosen(calls) ||
				       c4_prof_detail_chosen(c4_get(&c->next_opno) + 1));
	c4_prof_detail_look(c->mask, c->version, c4_ticks(c4_hook.clock));
}

bool c4_prof_detail_message(const struct c4_prof_comm *c, int32_t peer, bool sends)
{
	uint64_t number;

	if (!c4_prof_detail_chooses)
		return true;
	number = count_message(c, peer, sends);
	if (c4_prof_detail_chosen(number + 1)) {
		c4_set(&hold[c->index], HOLD_PLANS);
		wish(C4_PROF_COMMS + c->index, true);
	}
	return c4_prof_detail_chosen(number);
}

void c4_prof_detail_plan(const struct c4_prof_comm *c)
{
	uint8_t left = c4_get(&hold[c->index]);

	if (!left)
		return;
	c4_set(&hold[c->index], (uint8_t)(left - 1));
	if (left == 1)
		wish(C4_PROF_COMMS + c->index, false);
}

bool c4_prof_detail_asked(void)
{
	return commanded(c4_ticks(c4_hook.clock));
}
