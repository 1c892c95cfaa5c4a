/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_step.c BYTES STEPS SPINS - the median time, in nanoseconds, of a training step: SPINS rounds
 * of arithmetic on every rank, then an all-reduce of BYTES. Printed by rank 0. Plain MPI: it is
 * watched or not.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 20

static volatile double sink; /* neither moved nor left out */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void compute(long spins)
{
	double x = sink;

	for (long i = 0; i < spins; i++)
		x = x * 1.0000001 + 1e-9;
	sink = x;
}

static double one(const float *in, float *out, int count, long spins)
{
	double began = MPI_Wtime();

	compute(spins);
	MPI_Allreduce(in, out, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
	return MPI_Wtime() - began;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536;
	long n = argc > 2 ? strtol(argv[2], NULL, 10) : 1000;
	long spins = argc > 3 ? strtol(argv[3], NULL, 10) : 3000000;
	float *in = calloc(1, bytes + sizeof(float)), *out = calloc(1, bytes + sizeof(float));
	double *took = calloc((size_t)n, sizeof(*took));
	int rank, count = (int)(bytes / sizeof(float));

	if (!in || !out || !took || n < 1)
		return 2;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	for (int i = 0; i < WARM_UP; i++)
		one(in, out, count, spins);
	for (long i = 0; i < n; i++)
		took[i] = one(in, out, count, spins);
	qsort(took, (size_t)n, sizeof(*took), compare);
	if (rank == 0)
		printf("median_ns %.1f\n", took[n / 2] * 1e9);
	MPI_Finalize();
	return 0;
}
