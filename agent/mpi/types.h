/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * types.h - sizes and portable codes of datatypes and reduction operations.
 *
 * A predefined handle has the same code on every rank: its place in one list. Others have code 0,
 * and their size is asked for each time. Filled once in MPI_Init, read-only afterwards.
 */
#ifndef C4_MPI_TYPES_H
#define C4_MPI_TYPES_H

#include <mpi.h>
#include <stdint.h>

void c4_types_learn(void);

/* Bytes of one element, 0 for what has none. */
uint32_t c4_type_bytes(MPI_Datatype type);

uint8_t c4_type_code(MPI_Datatype type);
uint8_t c4_redop_code(MPI_Op op);

#endif
