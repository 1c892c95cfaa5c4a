// SPDX-License-Identifier: BSD-3-Clause
/*
 * exchange.c - an MPI program that knows what it must receive.
 *
 *	exchange SECONDS [COUNT]
 *
 * All ranks: rounds of a ring exchange and an all-reduce of COUNT 64-bit numbers until the seconds
 * are over, every number checked. Rank 0 says in a line of JSON how it went. Exit status 0 if
 * nothing was wrong.
 */
#include <inttypes.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_USUAL 8192

static uint64_t number(uint64_t rank, uint64_t round, uint64_t k)
{
	return (rank << 48 ^ round << 24 ^ k) * 0x9E3779B97F4A7C15ull >> 8;
}

static uint64_t ring_round(uint64_t *out, uint64_t *in, int count, uint64_t round, int rank,
			   int ranks)
{
	int to = (rank + 1) % ranks, from = (rank + ranks - 1) % ranks;
	uint64_t wrong = 0;

	for (int k = 0; k < count; k++)
		out[k] = number((uint64_t)rank, round, (uint64_t)k);
	MPI_Sendrecv(out, count, MPI_UINT64_T, to, 1, in, count, MPI_UINT64_T, from, 1,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	for (int k = 0; k < count; k++)
		wrong += in[k] != number((uint64_t)from, round, (uint64_t)k);
	return wrong;
}

/* After the ring round: `out` still holds this rank's numbers. */
static uint64_t sum_round(const uint64_t *out, uint64_t *in, int count, uint64_t round, int ranks)
{
	uint64_t wrong = 0;

	MPI_Allreduce(out, in, count, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
	for (int k = 0; k < count; k++) {
		uint64_t sum = 0;

		for (int r = 0; r < ranks; r++)
			sum += number((uint64_t)r, round, (uint64_t)k);
		wrong += in[k] != sum;
	}
	return wrong;
}

int main(int argc, char **argv)
{
	int rank, ranks, go = 1, count = argc > 2 ? atoi(argv[2]) : COUNT_USUAL;
	double seconds = argc > 1 ? atof(argv[1]) : 1, end;
	uint64_t round = 0, wrong = 0, all = 0;
	uint64_t *out, *in;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	out = calloc((size_t)count, sizeof(*out));
	in = calloc((size_t)count, sizeof(*in));
	if (count <= 0 || !out || !in)
		MPI_Abort(MPI_COMM_WORLD, 2);
	for (end = MPI_Wtime() + seconds; go; round++) {
		wrong += ring_round(out, in, count, round, rank, ranks);
		wrong += sum_round(out, in, count, round, ranks);
		go = MPI_Wtime() < end;
		MPI_Bcast(&go, 1, MPI_INT, 0, MPI_COMM_WORLD);
	}
	MPI_Allreduce(&wrong, &all, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
	if (rank == 0)
		printf("{\"ranks\":%d,\"rounds\":%" PRIu64 ",\"wrong\":%" PRIu64 "}\n", ranks,
		       round, all);
	MPI_Finalize();
	free(out);
	free(in);
	return all != 0;
}
