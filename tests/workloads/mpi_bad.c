/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mpi_bad.c - programs with a mistake, chosen by the first argument; each runs a second of
 * healthy steps first. An alarm ends a program that its mistake hangs for good.
 */
#include <mpi.h>

#include "faults.h"

#define HEALTHY_STEPS 50
#define STEP_MS	      20
#define LONG_SECONDS  30

static int rank, size;

static void step(MPI_Comm comm)
{
	double in = rank, out;

	faults_sleep(STEP_MS * 1e-3);
	MPI_Allreduce(&in, &out, 1, MPI_DOUBLE, MPI_SUM, comm);
}

static void steps(MPI_Comm comm, int n)
{
	while (n--)
		step(comm);
}

/* Two communicators with the same members, used A,B by some and B,A by others. */
static void bad_order(void)
{
	MPI_Comm a, b;

	MPI_Comm_dup(MPI_COMM_WORLD, &a);
	MPI_Comm_dup(MPI_COMM_WORLD, &b);
	steps(a, 5);
	steps(b, 5);
	MPI_Barrier(rank % 2 ? a : b);
	MPI_Barrier(rank % 2 ? b : a);
}

/* Rank 1 leaves out a broadcast, and those below it in the tree wait for good. */
static void bad_skip(void)
{
	int word = rank;

	for (int i = 0; i < 10 * HEALTHY_STEPS; i++) {
		if (i != 10 || rank != 1)
			MPI_Bcast(&word, 1, MPI_INT, 0, MPI_COMM_WORLD);
		step(MPI_COMM_WORLD);
	}
}

/* The last rank expects one number more than the root sends: no error, and not what was meant. */
static void bad_count(void)
{
	int words[4] = {0};

	for (int i = 0; i < 10 * HEALTHY_STEPS; i++) {
		MPI_Bcast(words, i == 10 && rank == size - 1 ? 4 : 3, MPI_INT, 0, MPI_COMM_WORLD);
		step(MPI_COMM_WORLD);
	}
}

static void bad_split(void)
{
	MPI_Comm half;

	if (rank == 1)
		faults_sleep(LONG_SECONDS);
	MPI_Comm_split(MPI_COMM_WORLD, rank % 2, rank, &half);
	step(half);
}

static void bad_abort(void)
{
	if (rank == 1)
		MPI_Abort(MPI_COMM_WORLD, 7);
	step(MPI_COMM_WORLD);
}

static void bad_exit(void)
{
	exit(0); /* without MPI_Finalize: every rank, so that the launcher has no one to wait for */
}

static void bad_segv(void)
{
	if (rank == 1)
		raise(SIGSEGV);
	step(MPI_COMM_WORLD);
}

static const struct {
	const char *name;
	void (*run)(void);
} mistakes[] = {
	{"order", bad_order}, {"skip", bad_skip}, {"count", bad_count}, {"split", bad_split},
	{"abort", bad_abort}, {"exit", bad_exit}, {"segv", bad_segv},
};

int main(int argc, char **argv)
{
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	alarm(LONG_SECONDS + 15);
	steps(MPI_COMM_WORLD, HEALTHY_STEPS);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		if (argc > 1 && !strcmp(argv[1], mistakes[i].name))
			mistakes[i].run();
	MPI_Finalize();
	return 0;
}
