// SPDX-License-Identifier: BSD-3-Clause
/* Patience with links that return: who waits until when, and who failed how often of late. */
#include <errno.h>

#include "common/ds/vec.h"
#include "planner/model/replan/replan_live.h"

#define FLAPS_KEPT     4096u
#define HOLDS_MAX      (1u << 16)
#define FLAP_MEMORY_NS (3600ull * 1000000000)
#define FLAP_DOUBLES   6u

bool c4_live_unhold(struct c4_replan *r, uint32_t link)
{
	for (uint32_t i = 0; i < r->n_holds; i++)
		if (r->holds[i].link == link) {
			r->holds[i] = r->holds[--r->n_holds];
			return true;
		}
	return false;
}

static struct c4_live_flap *flap_of(struct c4_replan *r, uint32_t link)
{
	for (uint32_t i = 0; i < r->n_flaps; i++)
		if (r->flaps[i].link == link)
			return &r->flaps[i];
	return NULL;
}

/* The longest quiet one makes room for a new one. */
static struct c4_live_flap *new_flap(struct c4_replan *r, uint32_t link)
{
	struct c4_live_flap *grown =
		c4_vec_reserve(r->flaps, &r->cap_flaps, r->n_flaps + 1, FLAPS_KEPT, sizeof *grown);
	uint32_t at = 0;

	if (grown) {
		r->flaps = grown;
		at = r->n_flaps++;
	}
	for (uint32_t i = 1; !grown && i < r->n_flaps; i++)
		if (r->flaps[i].last_ns < r->flaps[at].last_ns)
			at = i;
	if (!r->n_flaps)
		return NULL;
	r->flaps[at] = (struct c4_live_flap){.link = link};
	return &r->flaps[at];
}

void c4_live_failed(struct c4_replan *r, uint32_t link, uint64_t now_ns)
{
	struct c4_live_flap *flap = flap_of(r, link);

	if (!flap)
		flap = new_flap(r, link);
	if (!flap)
		return;
	if (now_ns - flap->last_ns > FLAP_MEMORY_NS)
		flap->times = 0;
	flap->times++;
	flap->last_ns = now_ns;
}

static uint64_t hold_of(struct c4_replan *r, uint32_t link, uint64_t now_ns)
{
	const struct c4_live_flap *flap = flap_of(r, link);
	bool of_late = flap && now_ns - flap->last_ns <= FLAP_MEMORY_NS;
	uint32_t doubles = of_late ? flap->times - 1 : 0;

	return r->o.hold_ns << (doubles < FLAP_DOUBLES ? doubles : FLAP_DOUBLES);
}

int c4_live_hold(struct c4_replan *r, uint32_t link, float gbps, uint64_t now_ns)
{
	struct c4_live_hold *grown;

	for (uint32_t i = 0; i < r->n_holds; i++)
		if (r->holds[i].link == link) {
			r->holds[i].gbps = gbps;
			return 0;
		}
	grown = c4_vec_reserve(r->holds, &r->cap_holds, r->n_holds + 1, HOLDS_MAX, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	r->holds = grown;
	grown[r->n_holds++] = (struct c4_live_hold){link, gbps, now_ns + hold_of(r, link, now_ns)};
	return 0;
}

bool c4_live_due(struct c4_replan *r, uint64_t now_ns, struct c4_live_hold *ret)
{
	for (uint32_t i = 0; i < r->n_holds; i++)
		if (r->holds[i].due_ns <= now_ns) {
			*ret = r->holds[i];
			r->holds[i] = r->holds[--r->n_holds];
			return true;
		}
	return false;
}
