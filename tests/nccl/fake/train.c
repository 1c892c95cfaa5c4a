// SPDX-License-Identifier: BSD-3-Clause
/*
 * A training on the stand-ins for NCCL and the CUDA runtime: train FAULT DIR STEPS. Each step is
 * some work of the host and an all-reduce; DIR is where the ranks meet. The faults:
 *
 *   none      nothing
 *   never     rank 2 never creates its communicator
 *   late      rank 2 works longer in each step
 *   stop      rank 2 stops calling after half of the steps
 *   abort     all ranks give their communicator up after half of the steps
 *   watch     a thread asks for errors all the time; see STANDIN_ERROR_AFTER
 *   second    rank 2 never creates a second communicator
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/nccl/fake/cudart.h"
#include "tests/nccl/fake/nccl.h"
#include "tests/nccl/fake/train.h"

#define CULPRIT	 2
#define WORK_NS	 5000000
#define EXTRA_NS 20000000

static struct {
	const char *fault, *dir;
	int steps, rank, size;
	ncclComm_t comm;
	void *stream;
	int over; /* atomic */
} job;

static int is(const char *fault)
{
	return !strcmp(job.fault, fault);
}

static int culprit(void)
{
	return job.rank == CULPRIT;
}

static void work(long ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};

	nanosleep(&t, NULL);
}

static int number(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text ? atoi(text) : otherwise;
}

static _Noreturn void hang(void)
{
	for (;;)
		pause();
}

static int create(ncclComm_t *comm, const char *name)
{
	ncclUniqueId id = {{0}};

	snprintf(id.internal, sizeof id.internal, "%s/%s", job.dir, name);
	return ncclCommInitRank(comm, job.size, id, job.rank);
}

static void step(int n)
{
	work(is("late") && culprit() ? WORK_NS + EXTRA_NS : WORK_NS);
	if (is("stop") && culprit() && n >= job.steps / 2)
		hang();
	ncclAllReduce(NULL, NULL, 1 << 20, ncclFloat32, ncclSum, job.comm, job.stream);
	while (standinStreamEnd(job.stream) > standinStreamEnd(NULL))
		work(100000); /* as a program that synchronises with its GPU */
}

static void *watch(void *arg)
{
	int error = 0;

	while (!__atomic_load_n(&job.over, __ATOMIC_ACQUIRE)) {
		ncclCommGetAsyncError(job.comm, &error);
		work(10000000);
	}
	return arg;
}

static void run_steps(void)
{
	pthread_t watcher;

	if (is("watch"))
		pthread_create(&watcher, NULL, watch, NULL);
	for (int n = 0; n < job.steps; n++) {
		if (is("abort") && n == job.steps / 2)
			break;
		step(n);
	}
	if (!is("watch"))
		return;
	__atomic_store_n(&job.over, 1, __ATOMIC_RELEASE);
	pthread_join(watcher, NULL);
}

int train(int argc, char **argv)
{
	int version;

	if (argc != 4)
		return 2;
	job.fault = argv[1];
	job.dir = argv[2];
	job.steps = atoi(argv[3]);
	job.rank = number("OMPI_COMM_WORLD_RANK", number("RANK", 0));
	job.size = number("OMPI_COMM_WORLD_SIZE", number("WORLD_SIZE", 1));
	ncclGetVersion(&version);
	if (is("never") && culprit())
		hang();
	if (create(&job.comm, "world"))
		return 1;
	if (is("second") && culprit())
		hang();
	if (is("second") && create(&job.comm, "second"))
		return 1;
	cudaStreamCreate(&job.stream);
	run_steps();
	return is("abort") ? ncclCommAbort(job.comm) : ncclCommDestroy(job.comm);
}
