// SPDX-License-Identifier: BSD-3-Clause
#include "agent/nccl/text.h"

#include <stddef.h>
#include <string.h>

#include "c4/op.h"

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

uint8_t c4_prof_kind(const char *func)
{
	if (!func)
		return C4_OP_NONE;
	for (size_t i = 0; i < sizeof funcs / sizeof *funcs; i++)
		if (funcs[i].name[0] == func[0] && !strcmp(funcs[i].name, func))
			return funcs[i].kind;
	return C4_OP_NONE;
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
	const char *name; /* behind "nccl" */
	uint8_t bytes;
} dtypes[] = {
	{"Int8", 1},	{"Uint8", 1},	 {"Int32", 4},	    {"Uint32", 4},
	{"Int64", 8},	{"Uint64", 8},	 {"Float16", 2},    {"Float32", 4},
	{"Float64", 8}, {"Bfloat16", 2}, {"Float8e4m3", 1}, {"Float8e5m2", 1},
};

#define DTYPES (sizeof dtypes / sizeof *dtypes)

uint8_t c4_prof_dtype(const char *name)
{
	if (!name || strncmp(name, "nccl", 4) != 0)
		return 0;
	name += 4;
	for (size_t i = 0; i < DTYPES; i++)
		if (dtypes[i].name[0] == name[0] && !strcmp(dtypes[i].name, name))
			return (uint8_t)(i + 1);
	return 0;
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
