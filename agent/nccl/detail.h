/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * detail.h - which events NCCL shall tell.
 *
 * Always: operations, their kernels, the program's calls. Steps through the network, which come in
 * great number, are asked for while the collector wants them (detail_until of the segment), and in
 * a duty cycle besides: in the first second, which makes the connections known, and then in 1
 * second of every 10 of wall-clock time, so that both ends of a connection are seen at a time.
 * C4_NCCL_DETAIL=off leaves the duty cycle out, =on asks for steps always.
 *
 * NCCL reads the mask at each call of the program, so it is enough to look at it then. Any thread.
 */
#ifndef C4_NCCL_DETAIL_H
#define C4_NCCL_DETAIL_H

#include <stdint.h>

/* Once, with the segment there. */
void c4_prof_detail_init(void);

/* Sets *mask to what shall be told now, in this version of the interface; NULL is tolerated. */
void c4_prof_detail_look(int *mask, uint32_t version, uint64_t now_ticks);

#endif
