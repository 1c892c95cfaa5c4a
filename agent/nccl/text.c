// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/text.h"

#include <stddef.h>
#include <string.h>

#include "agent/nccl/shared.h"
#include "c4/op.h"

/*
 * NCCL's names are constants: where one was found last time is remembered by its address, and only
 * looked at once more.
 */
#define MEMOS 16u

struct memo {
	uint8_t at[MEMOS];
};

static inline uint8_t *memo_of(struct memo *m, const char *name)
{
	return &m->at[((uintptr_t)name >> 2) % MEMOS];
}

static const struct {
	const char *name;
	uint8_t kind;
} funcs[] = {
	{"AllReduce", C4_OP_ALLREDUCE},
	{"AllGather", C4_OP_ALLGATHER},
	{"ReduceScatter", C4_OP_REDUCE_SCATTER},
	{"Broadcast", C4_OP_BCAST},
	{"Reduce", C4_OP_REDUCE},
	{"Send", C4_OP_SEND},
	{"Recv", C4_OP_RECV},
	{"AlltoAll", C4_OP_ALLTOALL},
	{"Gather", C4_OP_GATHER},
	{"Scatter", C4_OP_SCATTER},
	{"AllGatherV", C4_OP_ALLGATHERV},
	{"SendRecv", C4_OP_SENDRECV},
};

#define FUNCS (sizeof funcs / sizeof *funcs)

static struct memo func_memo;

static C4_RARE uint8_t search_func(const char *func)
{
	for (uint8_t i = 0; i < FUNCS; i++)
		if (!strcmp(funcs[i].name, func)) {
			c4_set(memo_of(&func_memo, func), i);
			return funcs[i].kind;
		}
	return C4_OP_NONE;
}

uint8_t c4_prof_kind(const char *func)
{
	uint8_t i;

	if (!func)
		return C4_OP_NONE;
	i = c4_get(memo_of(&func_memo, func));
	return strcmp(funcs[i].name, func) == 0 ? funcs[i].kind : search_func(func);
}

uint8_t c4_prof_kind_number(unsigned int func)
{
	static const uint8_t kinds[] = {C4_OP_BCAST,	      C4_OP_REDUCE,    C4_OP_ALLGATHER,
					C4_OP_REDUCE_SCATTER, C4_OP_ALLREDUCE, C4_OP_SENDRECV,
					C4_OP_SEND,	      C4_OP_RECV};

	return func < sizeof kinds ? kinds[func] : C4_OP_NONE;
}

/* In the order of ncclDataType_t. */
static const struct {
	const char *name;
	uint8_t bytes;
} dtypes[] = {
	{"ncclInt8", 1},    {"ncclUint8", 1},	 {"ncclInt32", 4},	{"ncclUint32", 4},
	{"ncclInt64", 8},   {"ncclUint64", 8},	 {"ncclFloat16", 2},	{"ncclFloat32", 4},
	{"ncclFloat64", 8}, {"ncclBfloat16", 2}, {"ncclFloat8e4m3", 1}, {"ncclFloat8e5m2", 1},
};

#define DTYPES (sizeof dtypes / sizeof *dtypes)

static struct memo dtype_memo;

static C4_RARE uint8_t search_dtype(const char *name)
{
	for (uint8_t i = 0; i < DTYPES; i++)
		if (!strcmp(dtypes[i].name, name)) {
			c4_set(memo_of(&dtype_memo, name), i);
			return i + 1;
		}
	return 0;
}

uint8_t c4_prof_dtype(const char *name)
{
	uint8_t i;

	if (!name)
		return 0;
	i = c4_get(memo_of(&dtype_memo, name));
	return strcmp(dtypes[i].name, name) == 0 ? i + 1 : search_dtype(name);
}

uint8_t c4_prof_dtype_number(unsigned int dtype)
{
	return dtype < DTYPES ? (uint8_t)(dtype + 1) : 0;
}

uint64_t c4_prof_bytes(const struct c4_prof_task *task, uint32_t ranks)
{
	uint64_t size = task->dtype && task->dtype <= DTYPES ? dtypes[task->dtype - 1].bytes : 1;
	bool whole = task->kind == C4_OP_REDUCE_SCATTER || task->kind == C4_OP_ALLTOALL;

	/* NCCL counts one part, we what goes in */
	return task->count * size * (whole ? ranks : 1);
}
