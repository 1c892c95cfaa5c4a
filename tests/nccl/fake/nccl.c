// SPDX-License-Identifier: BSD-3-Clause
/*
 * A stand-in for NCCL 2.28.9, for machines without a GPU: ranks really meet (a unique id is the
 * name of a file they share), but nothing is transferred. A collective puts work on its stream of
 * the stand-in for the CUDA runtime, which ends STANDIN_KERNEL_US (default 1000) after the last
 * rank's stream has come to it. With STANDIN_ERROR_AFTER=n a communicator has the asynchronous
 * error ncclRemoteError after n operations.
 *
 * Left out on purpose: calls an older NCCL has not (ncclCommRevoke and others).
 */
#include "tests/nccl/fake/nccl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/nccl/fake/cudart.h"

#define RANKS  64
#define ROUNDS 4
#define GROUP  256

struct shared {
	uint32_t arrived; /* all ranks, all rounds; a futex */
	uint32_t aborted;
	uint64_t said[ROUNDS][RANKS];
};

struct ncclComm {
	struct shared *shared;
	char path[128];
	int n, rank, device;
	uint32_t round, splits, ops;
	int state; /* atomic: ncclResult_t */
	pthread_t maker;
};

enum kind { CREATE, COLLECTIVE };

struct waiting {
	enum kind kind;
	ncclComm_t comm;
	void *stream;
	uint32_t round;
};

static _Thread_local struct {
	int depth, n;
	struct waiting list[GROUP];
} group;

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? strtol(text, NULL, 10) : otherwise;
}

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* Tells all members something; await() then tells when all of them have. */
static uint32_t say(ncclComm_t c, uint64_t words)
{
	uint32_t round = c->round++;

	c->shared->said[round % ROUNDS][c->rank] = words;
	__atomic_add_fetch(&c->shared->arrived, 1, __ATOMIC_ACQ_REL);
	futex(&c->shared->arrived, FUTEX_WAKE, INT32_MAX);
	return round;
}

/* What the members said in this round, or NULL if somebody aborted. */
static const uint64_t *await(ncclComm_t c, uint32_t round)
{
	uint32_t all = (round + 1) * (uint32_t)c->n, seen;

	while ((seen = __atomic_load_n(&c->shared->arrived, __ATOMIC_ACQUIRE)) < all) {
		if (__atomic_load_n(&c->shared->aborted, __ATOMIC_ACQUIRE))
			return NULL;
		futex(&c->shared->arrived, FUTEX_WAIT, seen);
	}
	return c->shared->said[round % ROUNDS];
}

static struct shared *join_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	void *p = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, sizeof(struct shared)))
		p = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static ncclComm_t comm_new(const char *path, int n, int rank)
{
	ncclComm_t c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	snprintf(c->path, sizeof c->path, "%s", path);
	c->n = n;
	c->rank = rank;
	c->shared = n < 1 || n > RANKS ? NULL : join_file(path);
	c->state = ncclInProgress;
	cudaGetDevice(&c->device);
	if (c->shared)
		return c;
	free(c);
	return NULL;
}

static int opened(ncclComm_t c, uint32_t round)
{
	int rc = await(c, round) ? ncclSuccess : ncclSystemError;

	__atomic_store_n(&c->state, rc, __ATOMIC_RELEASE);
	return rc;
}

static int open_comm(ncclComm_t c)
{
	return opened(c, say(c, 0));
}

static int launched(ncclComm_t c, void *stream, uint32_t round)
{
	uint64_t kernel_ns = (uint64_t)setting("STANDIN_KERNEL_US", 1000) * 1000, last = 0;
	const uint64_t *came = await(c, round);

	if (!came)
		return ncclRemoteError;
	for (int i = 0; i < c->n; i++)
		if (came[i] > last)
			last = came[i];
	standinStreamExtend(stream, last + kernel_ns);
	if (++c->ops == (uint32_t)setting("STANDIN_ERROR_AFTER", -1))
		__atomic_store_n(&c->state, ncclRemoteError, __ATOMIC_RELEASE);
	errno = EAGAIN; /* NCCL has no manners about errno either */
	return ncclSuccess;
}

static int put_off(enum kind kind, ncclComm_t comm, void *stream)
{
	if (group.n == GROUP)
		return ncclInvalidUsage;
	group.list[group.n++] = (struct waiting){kind, comm, stream, 0};
	return ncclSuccess;
}

static int issue(ncclComm_t c, void *stream)
{
	return group.depth ? put_off(COLLECTIVE, c, stream)
			   : launched(c, stream, say(c, standinStreamEnd(stream)));
}

/* ---- communicators -------------------------------------------------------------------------- */

int ncclGetVersion(int *version)
{
	*version = 22809;
	return ncclSuccess;
}

const char *ncclGetErrorString(int error)
{
	return error ? "an error of the stand-in" : "no error";
}

int ncclGetUniqueId(ncclUniqueId *id)
{
	static int made;

	snprintf(id->internal, sizeof id->internal, "%s/standin-%d-%d",
		 getenv("STANDIN_DIR") ? getenv("STANDIN_DIR") : "/dev/shm", (int)getpid(),
		 __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED));
	return ncclSuccess;
}

int ncclCommInitRank(ncclComm_t *comm, int n, ncclUniqueId id, int rank)
{
	*comm = comm_new(id.internal, n, rank);
	if (!*comm)
		return ncclSystemError;
	return group.depth ? put_off(CREATE, *comm, NULL) : open_comm(*comm);
}

static void *make(void *comm)
{
	open_comm(comm);
	return NULL;
}

int ncclCommInitRankConfig(ncclComm_t *comm, int n, ncclUniqueId id, int rank, void *config)
{
	if (!config)
		return ncclCommInitRank(comm, n, id, rank);
	*comm = comm_new(id.internal, n, rank);
	if (!*comm || pthread_create(&(*comm)->maker, NULL, make, *comm))
		return ncclSystemError;
	return ncclInProgress;
}

int ncclCommInitAll(ncclComm_t *comm, int n, const int *devices)
{
	ncclUniqueId id;

	(void)devices;
	ncclGetUniqueId(&id);
	for (int i = 0; i < n; i++) {
		comm[i] = comm_new(id.internal, n, i);
		if (!comm[i])
			return ncclSystemError;
		comm[i]->state = ncclSuccess;
	}
	return ncclSuccess;
}

int ncclCommSplit(ncclComm_t c, int color, int key, ncclComm_t *child, void *config)
{
	uint64_t mine = (uint64_t)(uint32_t)color << 32 | (uint32_t)key;
	const uint64_t *said = await(c, say(c, mine));
	int n = 0, rank = 0;
	char path[sizeof c->path + 32];

	(void)config;
	if (!said)
		return ncclRemoteError;
	for (int i = 0; i < c->n; i++) {
		uint64_t theirs = said[i];

		if (theirs >> 32 != mine >> 32)
			continue;
		n++;
		rank += (uint32_t)theirs < (uint32_t)key;
	}
	snprintf(path, sizeof path, "%s.%u.%d", c->path, c->splits++, color);
	*child = color < 0 ? NULL : comm_new(path, n, rank);
	return *child ? open_comm(*child) : ncclSuccess;
}

int ncclCommGetAsyncError(ncclComm_t c, int *error)
{
	*error = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
	return ncclSuccess;
}

int ncclCommCount(ncclComm_t c, int *n)
{
	*n = c->n;
	return ncclSuccess;
}

int ncclCommUserRank(ncclComm_t c, int *rank)
{
	*rank = c->rank;
	return ncclSuccess;
}

int ncclCommCuDevice(ncclComm_t c, int *device)
{
	*device = c->device;
	return ncclSuccess;
}

int ncclCommFinalize(ncclComm_t c)
{
	(void)c;
	return ncclSuccess;
}

int ncclCommDestroy(ncclComm_t c)
{
	if (c->maker)
		pthread_join(c->maker, NULL);
	if (c->shared)
		munmap(c->shared, sizeof *c->shared);
	free(c);
	return ncclSuccess;
}

int ncclCommAbort(ncclComm_t c)
{
	__atomic_store_n(&c->shared->aborted, 1, __ATOMIC_RELEASE);
	futex(&c->shared->arrived, FUTEX_WAKE, INT32_MAX);
	return ncclCommDestroy(c);
}

/* ---- operations ----------------------------------------------------------------------------- */

int ncclGroupStart(void)
{
	group.depth++;
	return ncclSuccess;
}

int ncclGroupEnd(void)
{
	int rc = ncclSuccess;

	if (!group.depth)
		return ncclInvalidUsage;
	if (--group.depth)
		return ncclSuccess;
	for (struct waiting *w = group.list; w < group.list + group.n; w++)
		w->round = say(w->comm, w->kind == CREATE ? 0 : standinStreamEnd(w->stream));
	for (struct waiting *w = group.list; w < group.list + group.n && !rc; w++)
		rc = w->kind == CREATE ? opened(w->comm, w->round)
				       : launched(w->comm, w->stream, w->round);
	group.n = 0;
	return rc;
}

int ncclAllReduce(const void *send, void *recv, size_t count, int type, int op, ncclComm_t comm,
		  void *stream)
{
	(void)send, (void)recv, (void)count, (void)type, (void)op;
	return issue(comm, stream);
}

int ncclBroadcast(const void *send, void *recv, size_t count, int type, int root, ncclComm_t comm,
		  void *stream)
{
	(void)send, (void)recv, (void)count, (void)type, (void)root;
	return issue(comm, stream);
}

/* As the real one does, through the public name. */
int ncclBcast(void *buf, size_t count, int type, int root, ncclComm_t comm, void *stream)
{
	return ncclBroadcast(buf, buf, count, type, root, comm, stream);
}

int ncclSend(const void *buf, size_t count, int type, int peer, ncclComm_t comm, void *stream)
{
	(void)buf, (void)count, (void)type, (void)peer, (void)comm, (void)stream;
	return ncclSuccess;
}

int ncclRecv(void *buf, size_t count, int type, int peer, ncclComm_t comm, void *stream)
{
	(void)buf, (void)count, (void)type, (void)peer, (void)comm, (void)stream;
	return ncclSuccess;
}
