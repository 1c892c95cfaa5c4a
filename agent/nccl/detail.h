/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detail.h - which events NCCL shall tell.
 *
 * Always: operations, their kernels, the program's calls. Steps through the network, which come in
 * great number, are told while the collector wants them (detail_until of the segment), and in a
 * duty cycle besides. It goes by the number of the operation, which all members of a communicator
 * count alike, so that both ends of a connection see the same steps without a clock: the first
 * C4_DETAIL_BLOCK operations, and of every C4_DETAIL_OF blocks one, at a place that looks random (a
 * program's own period must not fall in with it). Messages are counted per peer and direction, as
 * the k-th one sent is the k-th one received.
 * C4_NCCL_DETAIL=off leaves the duty cycle out, =on tells steps always.
 *
 * Two things make it so:
 *	gate	NCCL reads its mask at a call of the program, before it tells of that call. So a
 *		call opens the gate for the next one: as soon as the next operation of any
 *		communicator is chosen, or goes into a graph (what is captured with the gate
 *		closed never tells steps, with it open at each replay). Rather too wide than too
 *		narrow.
 *	filter	a proxy of an operation that was not chosen is refused, so nothing follows of it.
 *
 * A communicator that is never used again does not hold the gate open: wishes fade.
 *
 * Any thread.
 */
#ifndef C4_NCCL_DETAIL_H
#define C4_NCCL_DETAIL_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/nccl/comm.h"

#define C4_DETAIL_BLOCK 4u
#define C4_DETAIL_OF	8u

static_assert(C4_DETAIL_OF == 8, "the upper three bits of a hash");

/* Once, with the segment there. */
void c4_prof_detail_init(void);

/* Whether the duty cycle takes the operation of this number. Pure. */
static inline bool c4_prof_detail_chosen(uint64_t number)
{
	uint64_t block = number / C4_DETAIL_BLOCK, group = block / C4_DETAIL_OF;

	/* multiples of the golden ratio: at every place as often, with no period */
	return !block || block % C4_DETAIL_OF == (group * 0x9e3779b97f4a7c15ull >> 61);
}

/* Sets *mask to what shall be told now, in this version of the interface; NULL is tolerated. */
void c4_prof_detail_look(int *mask, uint32_t version, uint64_t now_ticks);

/* The program has called a collective, which may go into a graph. Looks, for the next one. */
void c4_prof_detail_called(const struct c4_prof_comm *c, bool captured);

/* A message is handed over: whether it is chosen. */
bool c4_prof_detail_message(const struct c4_prof_comm *c, int32_t peer, bool sends);

/* A plan of this communicator is handed over. */
void c4_prof_detail_plan(const struct c4_prof_comm *c);

/* Whether the collector wants all steps now. */
bool c4_prof_detail_asked(void);

/* Whether there is a duty cycle: steps are told of what is chosen or asked for, else of all. */
extern bool c4_prof_detail_chooses;

#endif
