/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text.h - NCCL's names and numbers of functions and data types, as c4's. Any thread.
 */
#ifndef C4_NCCL_TEXT_H
#define C4_NCCL_TEXT_H

#include <stdint.h>

#include "agent/nccl/event.h"

/* enum c4_op of a function's name; C4_OP_NONE for one we do not know, or NULL. */
uint8_t c4_prof_kind(const char *func);

/* … of a ncclFunc_t, as version 1 has it. */
uint8_t c4_prof_kind_number(unsigned int func);

/* ncclDataType_t + 1 of a type's name; 0 for one we do not know, or NULL. */
uint8_t c4_prof_dtype(const char *name);

/* … of a ncclDataType_t, as version 1 has it. */
uint8_t c4_prof_dtype_number(unsigned int dtype);

/* What a member of `ranks` contributes to it, in bytes (c4/op.h). */
uint64_t c4_prof_bytes(const struct c4_prof_task *task, uint32_t ranks);

#endif
