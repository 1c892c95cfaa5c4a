// SPDX-License-Identifier: BSD-3-Clause
/*
 * hook_threads - MPI_THREAD_MULTIPLE: threads come and go, each with its own communicator,
 * collectives and messages, while requests' handles are reused across threads. Prints OK on rank 0.
 * usage: hook_threads [threads at a time, default 4] [rounds, default 25]
 */
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_THREADS 32
#define BATCH	    16

static int me, n;
static MPI_Comm comms[MAX_THREADS];

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "rank %d: %s:%d: %s\n", me, __FILE__, __LINE__, #cond);    \
			MPI_Abort(MPI_COMM_WORLD, 1);                                              \
		}                                                                                  \
	} while (0)

static void collectives(MPI_Comm c)
{
	int one = 1, sum[3];
	MPI_Request reqs[2];

	MPI_Iallreduce(&one, &sum[0], 1, MPI_INT, MPI_SUM, c, &reqs[0]);
	MPI_Iallreduce(&one, &sum[1], 1, MPI_INT, MPI_SUM, c, &reqs[1]);
	MPI_Allreduce(&one, &sum[2], 1, MPI_INT, MPI_SUM, c);
	MPI_Waitall(2, reqs, MPI_STATUSES_IGNORE);
	CHECK(sum[0] == n && sum[1] == n && sum[2] == n);
}

static void messages(MPI_Comm c)
{
	int out[BATCH], in[BATCH], flag = 0;
	MPI_Request reqs[2 * BATCH];

	for (int i = 0; i < BATCH; i++) {
		out[i] = me * BATCH + i;
		MPI_Irecv(&in[i], 1, MPI_INT, (me + n - 1) % n, i, c, &reqs[i]);
		MPI_Isend(&out[i], 1, MPI_INT, (me + 1) % n, i, c, &reqs[BATCH + i]);
	}
	while (!flag)
		MPI_Testall(2 * BATCH, reqs, &flag, MPI_STATUSES_IGNORE);
	for (int i = 0; i < BATCH; i++)
		CHECK(in[i] == (me + n - 1) % n * BATCH + i);
}

static void *thread_main(void *arg)
{
	MPI_Comm c = *(MPI_Comm *)arg;

	for (int i = 0; i < 10; i++) {
		collectives(c);
		messages(c);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 1 ? atoi(argv[1]) : 4, rounds = argc > 2 ? atoi(argv[2]) : 25, level;
	pthread_t id[MAX_THREADS];

	MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
	MPI_Comm_rank(MPI_COMM_WORLD, &me);
	MPI_Comm_size(MPI_COMM_WORLD, &n);
	CHECK(level == MPI_THREAD_MULTIPLE && threads > 0 && threads <= MAX_THREADS);
	for (int i = 0; i < threads; i++)
		MPI_Comm_dup(MPI_COMM_WORLD, &comms[i]);
	for (int r = 0; r < rounds; r++) {
		for (int i = 0; i < threads; i++)
			CHECK(!pthread_create(&id[i], NULL, thread_main, &comms[i]));
		for (int i = 0; i < threads; i++)
			CHECK(!pthread_join(id[i], NULL));
	}
	for (int i = 0; i < threads; i++)
		MPI_Comm_free(&comms[i]);
	MPI_Finalize();
	if (me == 0)
		puts("OK");
	return 0;
}
