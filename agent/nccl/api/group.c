// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/api/group.h"

#include "common/base/clock.h"

_Thread_local struct c4_my_group c4_my_group;

static struct c4_group stock[C4_GROUPS];
static uint8_t lent[C4_GROUPS]; /* atomic */

static struct c4_group *borrow(void)
{
	for (uint32_t i = 0; i < C4_GROUPS; i++) {
		if (__atomic_exchange_n(&lent[i], 1, __ATOMIC_ACQUIRE))
			continue;
		stock[i].ncreations = stock[i].nops = 0;
		return &stock[i];
	}
	return NULL;
}

void c4_group_open(void)
{
	if (c4_my_group.depth++ == 0)
		c4_my_group.list = borrow();
}

bool c4_group_end(void)
{
	c4_my_group.depth -= c4_my_group.depth > 0;
	return !c4_my_group.depth && c4_my_group.list;
}

void c4_group_close(void)
{
	__atomic_store_n(&lent[c4_my_group.list - stock], 0, __ATOMIC_RELEASE);
	c4_my_group.list = NULL;
}

bool c4_group_add_creation(uint32_t slot, struct c4_nccl_comm **made)
{
	struct c4_group *g = c4_my_group.list;

	if (!g || g->ncreations == C4_GROUP_CREATIONS)
		return false;
	g->creations[g->ncreations].slot = slot;
	g->creations[g->ncreations++].made = made;
	return true;
}

bool c4_group_add_op(uint32_t slot, uint32_t ticket, void *stream)
{
	struct c4_group *g = c4_my_group.list;

	if (!g || g->nops == C4_GROUP_OPS)
		return false;
	g->ops[g->nops].slot = slot;
	g->ops[g->nops].ticket = ticket;
	g->ops[g->nops++].stream = stream;
	return true;
}

void c4_api_show(struct c4_call *call, uint8_t kind, uint64_t opno)
{
	struct c4_seg_thread *line = call->self->line;

	call->enter_ticks = c4_ticks(c4_hook.clock);
	line->npeers = 0;
	line->flags = 0;
	line->comm = (uint16_t)call->slot;
	line->enter_ticks = call->enter_ticks;
	line->opno = opno;
	__atomic_store_n(&line->kind, kind, __ATOMIC_RELEASE);
}
