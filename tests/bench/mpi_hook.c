// SPDX-License-Identifier: BSD-3-Clause
/*
 * mpi_hook - what the hook adds to one call. A plain MPI program; run it with and without
 * LD_PRELOAD=libc4mpi.so. It compares MPI_X (which the hook sees) with PMPI_X (which it does not)
 * in the same process, in alternating batches, so that both meet the same machine; without the hook
 * the difference shows the method's own error.
 *
 *   mpi_hook blocking [ROUNDS]   an all-reduce of no elements on a communicator of two: the library
 *                                returns at once, the hook does all it ever does
 *   mpi_hook message [ROUNDS]    MPI_Isend + MPI_Irecv + MPI_Waitall to itself
 *   mpi_hook allreduce BYTES [ROUNDS]   a real one on all ranks
 *   mpi_hook count N             N blocking calls inside measured(), for callgrind:
 *      valgrind --tool=callgrind --toggle-collect=measured, Ir(hook) - Ir(no hook) over N
 *
 * Rank 0 prints one JSON line: medians over rounds of ns per call.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_ROUNDS 20000

static double with_hook[MAX_ROUNDS], without[MAX_ROUNDS], ratio[MAX_ROUNDS];
static char *sendbuf, *recvbuf;
static int bytes;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, by_value);
	return v[n / 2];
}

/* ---- what is measured ----------------------------------------------------------------------- */

static void blocking(int n, int hooked)
{
	for (int i = 0; i < n; i++)
		if (hooked)
			MPI_Allreduce(sendbuf, recvbuf, 0, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
		else
			PMPI_Allreduce(sendbuf, recvbuf, 0, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
}

static void message(int n, int hooked)
{
	MPI_Request r[2];

	for (int i = 0; i < n; i++)
		if (hooked) {
			MPI_Irecv(recvbuf, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, &r[0]);
			MPI_Isend(sendbuf, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, &r[1]);
			MPI_Waitall(2, r, MPI_STATUSES_IGNORE);
		} else {
			PMPI_Irecv(recvbuf, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, &r[0]);
			PMPI_Isend(sendbuf, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, &r[1]);
			PMPI_Waitall(2, r, MPI_STATUSES_IGNORE);
		}
}

static void allreduce(int n, int hooked)
{
	int count = bytes / (int)sizeof(float);

	for (int i = 0; i < n; i++)
		if (hooked)
			MPI_Allreduce(sendbuf, recvbuf, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		else
			PMPI_Allreduce(sendbuf, recvbuf, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

__attribute__((noinline)) void measured(int n);
__attribute__((noinline)) void measured(int n)
{
	blocking(n, 1);
}

/* ---- running -------------------------------------------------------------------------------- */

static double batch(void (*what)(int, int), int n, int hooked)
{
	double t0 = now_ns();

	what(n, hooked);
	return (now_ns() - t0) / n;
}

static void compare(const char *name, void (*what)(int, int), int n, int rounds)
{
	double h, p;

	what(n, 1);
	what(n, 0);
	for (int i = 0; i < rounds; i++) {
		/* who goes first alternates too */
		double first = batch(what, n, i & 1);
		double second = batch(what, n, !(i & 1));

		with_hook[i] = i & 1 ? first : second;
		without[i] = i & 1 ? second : first;
		ratio[i] = with_hook[i] / without[i];
	}
	h = median(with_hook, rounds);
	p = median(without, rounds);
	printf("{\"measure\":\"%s\",\"bytes\":%d,\"rounds\":%d,\"mpi_ns\":%.1f,\"pmpi_ns\":%.1f,"
	       "\"added_ns\":%.1f,\"ratio\":%.5f}\n",
	       name, bytes, rounds, h, p, h - p, median(ratio, rounds));
}

static int number(int argc, char **argv, int i, int otherwise)
{
	int x = argc > i ? atoi(argv[i]) : otherwise;

	return x < 1 ? 1 : x > MAX_ROUNDS && i > 2 ? MAX_ROUNDS : x;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "blocking";
	int rank, everybody = !strcmp(mode, "allreduce");

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	bytes = everybody ? number(argc, argv, 2, 1 << 20) : 0;
	sendbuf = calloc(1, (size_t)bytes + 64);
	recvbuf = calloc(1, (size_t)bytes + 64);
	if (!sendbuf || !recvbuf)
		MPI_Abort(MPI_COMM_WORLD, 1);
	if (rank > 0 && everybody)
		freopen("/dev/null", "w", stdout);
	if (everybody)
		compare(mode, allreduce, 1, number(argc, argv, 3, 400));
	else if (rank == 0 && !strcmp(mode, "blocking"))
		compare(mode, blocking, 10000, number(argc, argv, 2, 300));
	else if (rank == 0 && !strcmp(mode, "message"))
		compare(mode, message, 2000, number(argc, argv, 2, 300));
	else if (rank == 0 && !strcmp(mode, "count"))
		measured(number(argc, argv, 2, 1000));
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Finalize();
	free(sendbuf);
	free(recvbuf);
	return 0;
}
