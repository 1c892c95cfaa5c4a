/* SPDX-License-Identifier: BSD-3-Clause */
/* nccl.h - the part of NCCL's interface that nccl.c stands in for. */
#ifndef STANDIN_NCCL_H
#define STANDIN_NCCL_H

#include <stddef.h>

typedef struct ncclComm *ncclComm_t;
typedef struct {
	char internal[128];
} ncclUniqueId;

enum {
	ncclSuccess = 0,
	ncclSystemError = 2,
	ncclInvalidUsage = 5,
	ncclRemoteError = 6,
	ncclInProgress = 7
};
enum { ncclInt8 = 0, ncclFloat32 = 7 };
enum { ncclSum = 0 };

int ncclGetVersion(int *version);
const char *ncclGetErrorString(int error);
int ncclGetUniqueId(ncclUniqueId *id);
int ncclCommInitRank(ncclComm_t *comm, int n, ncclUniqueId id, int rank);
/* config is any pointer; not NULL stands for one that asks for a nonblocking communicator. */
int ncclCommInitRankConfig(ncclComm_t *comm, int n, ncclUniqueId id, int rank, void *config);
int ncclCommInitAll(ncclComm_t *comm, int n, const int *devices);
int ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t *child, void *config);
int ncclCommFinalize(ncclComm_t comm);
int ncclCommDestroy(ncclComm_t comm);
int ncclCommAbort(ncclComm_t comm);
int ncclCommRevoke(ncclComm_t comm, int flags); /* the stand-in has none */
int ncclCommGetAsyncError(ncclComm_t comm, int *error);
int ncclCommCount(ncclComm_t comm, int *n);
int ncclCommUserRank(ncclComm_t comm, int *rank);
int ncclCommCuDevice(ncclComm_t comm, int *device);
int ncclGroupStart(void);
int ncclGroupEnd(void);
int ncclAllReduce(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
		  void *stream);
int ncclBroadcast(const void *send, void *recv, size_t count, int type, int root, ncclComm_t comm,
		  void *stream);
int ncclBcast(void *buf, size_t count, int type, int root, ncclComm_t comm, void *stream);
int ncclSend(const void *buf, size_t count, int type, int peer, ncclComm_t comm, void *stream);
int ncclRecv(void *buf, size_t count, int type, int peer, ncclComm_t comm, void *stream);

#endif
