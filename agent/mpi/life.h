/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * life.h - MPI_Init, MPI_Finalize, MPI_Abort: when recording begins and ends.
 *
 * The segment exists before the real MPI_Init, so that a rank that hangs in it is seen; calls are
 * recorded from its return to the beginning of MPI_Finalize.
 */
#ifndef C4_MPI_LIFE_H
#define C4_MPI_LIFE_H

#include "agent/hook/record.h"

void c4_init_enter(struct c4_call *call);
void c4_init_leave(struct c4_call *call, int rc);

void c4_finalize_enter(struct c4_call *call);
void c4_finalize_leave(struct c4_call *call);

void c4_abort_enter(int code);

#endif
