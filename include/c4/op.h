/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * op.h - the kinds of operation c4 knows, written once.
 *
 * The numbers travel in segments and posts: append, never renumber.
 *
 * Columns of C4_OPS:
 *   sym      suffix of the C4_OP_ constant
 *   name     what people read
 *   class    who waits for whom (enum c4_op_class)
 *   uniform  1: the standard demands the same byte count on every member, so
 *            differing counts at the same op number are a mismatch
 *   bus      how nccl-tests turns bytes and time into busbw (enum c4_op_bus)
 *
 * "bytes" of an operation is what the calling rank contributes: the send
 * buffer (the receive buffer's own part under MPI_IN_PLACE; for all-to-all all
 * n parts; for a broadcast the message; for a scatter one part).
 */
#ifndef C4_OP_H
#define C4_OP_H

#include <stdint.h>

enum c4_op_class {
	C4_CLASS_NONE,
	C4_CLASS_SYNC,	   /* everybody waits for everybody: arrival order is readable */
	C4_CLASS_ROOT_OUT, /* receivers wait for the root */
	C4_CLASS_ROOT_IN,  /* the root waits for the senders */
	C4_CLASS_PREFIX,   /* rank i waits for 0…i-1 */
	C4_CLASS_NEIGHBOR, /* waits for topological neighbours only */
	C4_CLASS_CREATE,   /* communicator construction: collective, but rare and slow */
	C4_CLASS_P2P,	   /* point to point, and waiting for it */
	C4_CLASS_LIFE,	   /* MPI_Init, MPI_Finalize */
};

enum c4_op_bus {
	C4_BUS_NONE,
	C4_BUS_ALLREDUCE, /* 2(n-1)/n · bytes */
	C4_BUS_ALLGATHER, /* (n-1) · bytes (bytes = own part) */
	C4_BUS_PART,	  /* (n-1)/n · bytes (reduce-scatter, all-to-all) */
	C4_BUS_FULL,	  /* bytes (broadcast, reduce) */
};

/* clang-format off */
#define C4_OPS(X)                                                                   \
	X(NONE,                 "none",               NONE,     0, NONE)            \
	X(ALLREDUCE,            "AllReduce",          SYNC,     1, ALLREDUCE)       \
	X(ALLGATHER,            "AllGather",          SYNC,     1, ALLGATHER)       \
	X(ALLGATHERV,           "AllGatherV",         SYNC,     0, NONE)            \
	X(REDUCE_SCATTER,       "ReduceScatter",      SYNC,     1, PART)            \
	X(REDUCE_SCATTER_BLOCK, "ReduceScatterBlock", SYNC,     1, PART)            \
	X(ALLTOALL,             "AllToAll",           SYNC,     1, PART)            \
	X(ALLTOALLV,            "AllToAllV",          SYNC,     0, NONE)            \
	X(ALLTOALLW,            "AllToAllW",          SYNC,     0, NONE)            \
	X(BARRIER,              "Barrier",            SYNC,     1, NONE)            \
	X(BCAST,                "Broadcast",          ROOT_OUT, 1, FULL)            \
	X(SCATTER,              "Scatter",            ROOT_OUT, 1, NONE)            \
	X(SCATTERV,             "ScatterV",           ROOT_OUT, 0, NONE)            \
	X(REDUCE,               "Reduce",             ROOT_IN,  1, FULL)            \
	X(GATHER,               "Gather",             ROOT_IN,  1, NONE)            \
	X(GATHERV,              "GatherV",            ROOT_IN,  0, NONE)            \
	X(SCAN,                 "Scan",               PREFIX,   1, NONE)            \
	X(EXSCAN,               "Exscan",             PREFIX,   1, NONE)            \
	X(NEIGHBOR_ALLGATHER,   "NeighborAllGather",  NEIGHBOR, 0, NONE)            \
	X(NEIGHBOR_ALLGATHERV,  "NeighborAllGatherV", NEIGHBOR, 0, NONE)            \
	X(NEIGHBOR_ALLTOALL,    "NeighborAllToAll",   NEIGHBOR, 0, NONE)            \
	X(NEIGHBOR_ALLTOALLV,   "NeighborAllToAllV",  NEIGHBOR, 0, NONE)            \
	X(NEIGHBOR_ALLTOALLW,   "NeighborAllToAllW",  NEIGHBOR, 0, NONE)            \
	X(COMM_CREATE,          "CommCreate",         CREATE,   0, NONE)            \
	X(SEND,                 "Send",               P2P,      0, NONE)            \
	X(RECV,                 "Recv",               P2P,      0, NONE)            \
	X(SENDRECV,             "SendRecv",           P2P,      0, NONE)            \
	X(PROBE,                "Probe",              P2P,      0, NONE)            \
	X(WAIT,                 "Wait",               P2P,      0, NONE)            \
	X(INIT,                 "Init",               LIFE,     0, NONE)            \
	X(FINALIZE,             "Finalize",           LIFE,     0, NONE)
/* clang-format on */

enum c4_op {
#define C4_OP_ENUM(sym, name, cls, uniform, bus) C4_OP_##sym,
	C4_OPS(C4_OP_ENUM)
#undef C4_OP_ENUM
		C4_OP_MAX
};

struct c4_op_info {
	const char *name;
	uint8_t cls;	 /* enum c4_op_class */
	uint8_t uniform; /* 0 or 1 */
	uint8_t bus;	 /* enum c4_op_bus */
};

/* Bit `kind` is set where the byte count must be equal on all members. */
#define C4_OP_UNIFORM_BIT(sym, name, cls, uniform, bus) | (uint64_t)(uniform) << C4_OP_##sym
#define C4_OP_UNIFORM_MASK				(0 C4_OPS(C4_OP_UNIFORM_BIT))

/*
 * What all members of one operation must agree on, small: the kind in the low 8 bits, above them a
 * hash of bytes (where uniform) and root. Never 0. Cheap enough for hooks.
 */
static inline uint32_t c4_op_brief(uint8_t kind, uint64_t bytes, int32_t root)
{
	uint64_t same = C4_OP_UNIFORM_MASK >> kind & 1 ? bytes : 0;

	same = (same ^ (uint64_t)(uint32_t)root << 32) * 0x9e3779b97f4a7c15ULL;
	return kind | ((uint32_t)(same >> 32) & ~0xffu);
}

/* Never NULL: an unknown kind (a newer peer's) reads as "none". Thread-safe. */
const struct c4_op_info *c4_op_info(unsigned int kind);

/* Bytes that cross the busiest link for one op of n ranks, as nccl-tests counts. */
double c4_op_bus_bytes(unsigned int kind, double bytes, unsigned int n);

/* The size nccl-tests calls S, which algbw counts: for an all-gather the result, not a part. */
double c4_op_alg_bytes(unsigned int kind, double bytes, unsigned int n);

/*
 * What all members of one operation must agree on, as a number: kind, bytes where uniform, root
 * where rooted. Sums of it over a range of operations are compared between ranks.
 */
uint64_t c4_op_signature(uint64_t opno, unsigned int kind, uint64_t bytes, int root);

#endif
