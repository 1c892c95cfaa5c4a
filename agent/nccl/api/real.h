/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * real.h - the table of calls we stand in for, and the real ones behind them.
 *
 * How the real ones are found, at the first call: the next definition after ours (the program, or a
 * library of its, is linked with NCCL); else what the calling library is linked with (Python loads
 * its libraries privately); else a library of a known name that is loaded already. What is found is
 * kept loaded, for we hold pointers into it.
 *
 * What a preloaded library cannot see: pointers a program takes with dlsym() from a handle, the
 * pncclXxx names, and NCCL linked statically into the program. Where the program asks with
 * dlsym(RTLD_DEFAULT) whether NCCL has a call, ours answers for it: one that the loaded NCCL lacks
 * then returns ncclInvalidUsage.
 */
#ifndef C4_NCCL_API_REAL_H
#define C4_NCCL_API_REAL_H

#include <stdbool.h>

#include "agent/nccl/api/types.h"

#define C4_COMM	  struct c4_nccl_comm *comm
#define C4_MADE	  struct c4_nccl_comm **made
#define C4_CONFIG struct c4_nccl_config *config
#define C4_BUFS	  const void *send, void *recv
#define C4_ON	  struct c4_nccl_comm *comm, void *stream

/*
 * Collectives: name | operation (op.h) | parameters | arguments | parts (of count elements) this
 * rank contributes: ONE, or ALL: one per member | root | reduction.
 */
/* clang-format off */
#define C4_NCCL_COLLS(X)                                                                           \
	X(AllReduce, ALLREDUCE, (C4_BUFS, size_t count, int type, int op, C4_ON),                  \
	  (send, recv, count, type, op, comm, stream), ONE, -1, op)                              \
	X(AllGather, ALLGATHER, (C4_BUFS, size_t count, int type, C4_ON),                          \
	  (send, recv, count, type, comm, stream), ONE, -1, -1)                                  \
	X(ReduceScatter, REDUCE_SCATTER, (C4_BUFS, size_t count, int type, int op, C4_ON),         \
	  (send, recv, count, type, op, comm, stream), ALL, -1, op)                          \
	X(Broadcast, BCAST, (C4_BUFS, size_t count, int type, int root, C4_ON),                    \
	  (send, recv, count, type, root, comm, stream), ONE, root, -1)                          \
	X(Bcast, BCAST, (void *buf, size_t count, int type, int root, C4_ON),                      \
	  (buf, count, type, root, comm, stream), ONE, root, -1)                                 \
	X(Reduce, REDUCE, (C4_BUFS, size_t count, int type, int op, int root, C4_ON),              \
	  (send, recv, count, type, op, root, comm, stream), ONE, root, op)                      \
	X(AlltoAll, ALLTOALL, (C4_BUFS, size_t count, int type, C4_ON),                            \
	  (send, recv, count, type, comm, stream), ALL, -1, -1)                              \
	X(AllToAll, ALLTOALL, (C4_BUFS, size_t count, int type, C4_ON),                            \
	  (send, recv, count, type, comm, stream), ALL, -1, -1)                              \
	X(Gather, GATHER, (C4_BUFS, size_t count, int type, int root, C4_ON),                      \
	  (send, recv, count, type, root, comm, stream), ONE, root, -1)                          \
	X(Scatter, SCATTER, (C4_BUFS, size_t count, int type, int root, C4_ON),                    \
	  (send, recv, count, type, root, comm, stream), ONE, root, -1)

/* Messages: name | operation | parameters | arguments. */
#define C4_NCCL_MESSAGES(X)                                                                        \
	X(Send, SEND, (const void *buf, size_t count, int type, int peer, C4_ON),                  \
	  (buf, count, type, peer, comm, stream))                                                  \
	X(Recv, RECV, (void *buf, size_t count, int type, int peer, C4_ON),                        \
	  (buf, count, type, peer, comm, stream))

/* The others, each with a wrapper of its own: name | parameters. */
#define C4_NCCL_OTHERS(X)                                                                          \
	X(GetVersion, (int *version))                                                              \
	X(GetUniqueId, (struct c4_nccl_id *id))                                                    \
	X(CommInitRank, (C4_MADE, int n, struct c4_nccl_id id, int rank))                          \
	X(CommInitRankConfig, (C4_MADE, int n, struct c4_nccl_id id, int rank, C4_CONFIG))         \
	X(CommInitRankScalable, (C4_MADE, int n, int rank, int nids, struct c4_nccl_id *ids,       \
				 C4_CONFIG))                                                       \
	X(CommInitAll, (C4_MADE, int n, const int *devices))                                       \
	X(CommSplit, (C4_COMM, int color, int key, C4_MADE, C4_CONFIG))                            \
	X(CommShrink, (C4_COMM, int *gone, int ngone, C4_MADE, C4_CONFIG, int flags))              \
	X(CommRevoke, (C4_COMM, int flags))                                                        \
	X(CommFinalize, (C4_COMM))                                                                 \
	X(CommDestroy, (C4_COMM))                                                                  \
	X(CommAbort, (C4_COMM))                                                                    \
	X(CommGetAsyncError, (C4_COMM, int *error))                                                \
	X(GroupStart, (void))                                                                      \
	X(GroupEnd, (void))

/* Asked on our own account; not stood in for. */
#define C4_NCCL_ASKED(X)                                                                           \
	X(CommCount, (C4_COMM, int *count))                                                        \
	X(CommUserRank, (C4_COMM, int *rank))                                                      \
	X(CommCuDevice, (C4_COMM, int *device))
/* clang-format on */

struct c4_nccl_real {
#define C4_REAL_COLL(name, kind, params, ...) int(*name) params;
#define C4_REAL_CALL(name, params)	      int(*name) params;
	C4_NCCL_COLLS(C4_REAL_COLL)
	C4_NCCL_MESSAGES(C4_REAL_COLL)
	C4_NCCL_OTHERS(C4_REAL_CALL)
	C4_NCCL_ASKED(C4_REAL_CALL)
#undef C4_REAL_COLL
#undef C4_REAL_CALL
};

/* None is NULL once c4_nccl_resolve() has returned. */
extern union c4_nccl_table {
	struct c4_nccl_real real;
	void *all[sizeof(struct c4_nccl_real) / sizeof(void *)];
} c4_nccl_table __attribute__((visibility("hidden")));

/* Once. caller: an address in the library that makes the first call. Preserves errno. */
void c4_nccl_resolve(const void *caller);

/* A name of another library the caller is linked with, or that is loaded under one of these
 * sonames (NULL ends the list); NULL if there is none. May change errno. */
void *c4_nccl_find(const char *name, const void *caller, const char *const *sonames);

#endif
