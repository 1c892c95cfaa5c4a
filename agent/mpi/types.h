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

#define C4_TYPE_CELLS 2048u /* many times the number of handles: the first look hits */
#define C4_TYPE_BITS  11

struct c4_type_cell {
	const void *handle; /* NULL: free */
	uint32_t bytes;
	uint8_t code;
};

extern struct c4_type_cell c4_types[C4_TYPE_CELLS] __attribute__((visibility("hidden")));
extern struct c4_type_cell c4_redops[C4_TYPE_CELLS] __attribute__((visibility("hidden")));

void c4_types_learn(void);

/* The handle's cell, or the free one it would have. */
static inline const struct c4_type_cell *c4_type_find(const struct c4_type_cell *cells,
						      const void *handle)
{
	uint32_t at =
		(uint32_t)(((uintptr_t)handle * 0x9e3779b97f4a7c15ULL) >> (64 - C4_TYPE_BITS));

	while (cells[at].handle && cells[at].handle != handle)
		at = (at + 1) % C4_TYPE_CELLS;
	return &cells[at];
}

/* Bytes of an element of a type that is not predefined; 0 for what is no type. */
uint32_t c4_type_ask(MPI_Datatype type);

static inline uint32_t c4_type_bytes(MPI_Datatype type)
{
	const struct c4_type_cell *c = c4_type_find(c4_types, type);

	return __builtin_expect(c->handle != NULL, 1) ? c->bytes : c4_type_ask(type);
}

static inline uint8_t c4_type_code(MPI_Datatype type)
{
	return c4_type_find(c4_types, type)->code;
}

static inline uint8_t c4_redop_code(MPI_Op op)
{
	return c4_type_find(c4_redops, op)->code;
}

#endif
