/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_rate.c OPS_PER_S SECONDS - small all-reduces in pairs of ranks, each rank at a steady rate:
 * the load an agent is measured under. Prints what rate was reached.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_until(double when)
{
	double left = when - MPI_Wtime();
	struct timespec t;

	if (left <= 0)
		return;
	t.tv_sec = (time_t)left;
	t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

/* Operations come in bursts of a few milliseconds: a sleep per operation would measure timers. */
#define BURST 10

int main(int argc, char **argv)
{
	double rate = argc > 1 ? strtod(argv[1], NULL) : 2000;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 10;
	long n = (long)(rate * seconds);
	double began, in = 1, out;
	MPI_Comm pair;
	int rank;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_split(MPI_COMM_WORLD, rank / 2, rank, &pair);
	began = MPI_Wtime();
	for (long i = 0; i < n; i++) {
		if (i % BURST == 0)
			wait_until(began + (double)i / rate);
		MPI_Allreduce(&in, &out, 1, MPI_DOUBLE, MPI_SUM, pair);
	}
	if (rank == 0)
		printf("ops_per_s %.0f\n", (double)n / (MPI_Wtime() - began));
	MPI_Comm_free(&pair);
	MPI_Finalize();
	return 0;
}
