/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_step.c BYTES SECONDS SPINS - what being watched costs a training step: SPINS rounds of
 * arithmetic on every rank, then an all-reduce of BYTES.
 *
 * In even seconds of the wall clock the all-reduce is MPI_Allreduce, which a preloaded hook sees,
 * in odd ones PMPI_Allreduce, which it does not; whoever runs this stops the daemons in odd
 * seconds. So both meet the same machine within a second of each other. Rank 0 decides for all, and
 * prints the median over even seconds of (median step) / (mean of the median steps in the odd
 * seconds before and after).
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_STEPS   10000 /* in one second */
#define MAX_WINDOWS 600
#define SETTLE	    3 /* steps of a second that still belong to the one before */

static volatile double sink;
static double took[MAX_STEPS], window[MAX_WINDOWS], ratio[MAX_WINDOWS];
static float *in, *out;
static int rank, count;

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, long n)
{
	qsort(v, (size_t)n, sizeof(*v), compare);
	return v[n / 2];
}

static long wall_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (long)t.tv_sec;
}

static void compute(long spins)
{
	double x = sink;

	for (long i = 0; i < spins; i++)
		x = x * 1.0000001 + 1e-9;
	sink = x;
}

/* One step; *second becomes the one rank 0 sees at its end. */
static double step(long spins, long *second)
{
	double began = MPI_Wtime();

	compute(spins);
	in[0] = rank == 0 ? (float)(wall_second() % 1000000) : 0;
	if (*second % 2 == 0)
		MPI_Allreduce(in, out, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
	else
		PMPI_Allreduce(in, out, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
	*second = (long)out[0];
	return MPI_Wtime() - began;
}

/* The median step of the second that has begun. */
static double second_of_steps(long spins, long *second)
{
	long now = *second, n = 0;

	while (*second == now) {
		double t = step(spins, second);

		if (n < MAX_STEPS)
			took[n++] = t;
	}
	return n > 2 * SETTLE ? median(took + SETTLE, n - SETTLE) : 0;
}

static long ratios(long first, long n)
{
	long found = 0;

	for (long i = 1; i + 1 < n; i++) {
		double off = (window[i - 1] + window[i + 1]) / 2;

		if ((first + i) % 2 == 0 && window[i - 1] > 0 && window[i] > 0 && window[i + 1] > 0)
			ratio[found++] = window[i] / off;
	}
	return found;
}

int main(int argc, char **argv)
{
	size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 65536;
	long seconds = argc > 2 ? strtol(argv[2], NULL, 10) : 20;
	long spins = argc > 3 ? strtol(argv[3], NULL, 10) : 1000000;
	long second = 1, first, found;

	count = (int)(bytes / sizeof(float)) + 1;
	in = calloc((size_t)count, sizeof(float));
	out = calloc((size_t)count, sizeof(float));
	if (!in || !out || seconds < 3 || seconds > MAX_WINDOWS)
		return 2;
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	step(spins, &second);
	second_of_steps(spins, &second);
	first = second;
	for (long i = 0; i < seconds; i++)
		window[i] = second_of_steps(spins, &second);
	found = ratios(first, seconds);
	if (rank == 0 && found)
		printf("ratio %.5f step_ns %.0f\n", median(ratio, found),
		       median(window, seconds) * 1e9);
	MPI_Finalize();
	return 0;
}
