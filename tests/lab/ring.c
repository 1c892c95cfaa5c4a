/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - all-reduces of one size, timed and checked. A plain MPI program: sums of whole numbers,
 * so that the right result is known to the last bit whatever the order of the additions.
 *
 *   ring [--count N] [--steps N] [--seconds S] [--by-hand]
 *
 * --by-hand sends the ring's pieces itself (each rank to the next, 2(n-1) steps); otherwise it is
 * MPI_Allreduce, whose algorithm is the library's choice. Rank 0 prints one line of JSON; busbw
 * is the bytes each rank has to send in a ring, per second: 2(n-1)/n of the buffer per step.
 * The exit status is 1 if any element on any rank was ever wrong.
 */
#include <mpi.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 100000
#define WARMUP	  1

struct ring {
	int rank, size;
	int count;	/* elements of 8 bytes */
	long steps;	/* at most */
	double seconds; /* at most, 0: until the steps are done */
	bool by_hand;
	int64_t *mine, *sum, *inbox;
	double *took; /* rank 0's time per step */
	uint64_t checksum;
	long wrong;
};

/* What a rank contributes; differs by rank, place and step. */
static int64_t ring_value(int rank, int64_t i, long step)
{
	return (rank + 1) * (i % 1009 + 1) + (i ^ step) % 65537;
}

static int64_t ring_expected(const struct ring *r, int64_t i, long step)
{
	int64_t ranks = r->size;

	return ranks * (ranks + 1) / 2 * (i % 1009 + 1) + ranks * ((i ^ step) % 65537);
}

static void ring_fill(struct ring *r, long step)
{
	for (int i = 0; i < r->count; i++)
		r->mine[i] = ring_value(r->rank, i, step);
}

/* Compares with what must come out, and adds it to a checksum (FNV-1a) that equal runs share. */
static void ring_check(struct ring *r, long step)
{
	for (int i = 0; i < r->count; i++) {
		r->wrong += r->sum[i] != ring_expected(r, i, step);
		r->checksum = (r->checksum ^ (uint64_t)r->sum[i]) * 0x100000001B3ULL;
	}
}

static int piece_start(const struct ring *r, int piece)
{
	return (int)((int64_t)r->count * piece / r->size);
}

/* Sends one piece to the next rank while another comes from the one before; returns its length. */
static int ring_pass(struct ring *r, int out, int in)
{
	int next = (r->rank + 1) % r->size, previous = (r->rank + r->size - 1) % r->size;
	int length = piece_start(r, in + 1) - piece_start(r, in);

	MPI_Sendrecv(r->sum + piece_start(r, out), piece_start(r, out + 1) - piece_start(r, out),
		     MPI_INT64_T, next, 0, r->inbox, length, MPI_INT64_T, previous, 0,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	return length;
}

static void ring_by_hand(struct ring *r)
{
	memcpy(r->sum, r->mine, (size_t)r->count * sizeof(*r->sum));
	for (int k = 0; k < r->size - 1; k++) {
		int in = (r->rank + 2 * r->size - k - 1) % r->size;
		int length = ring_pass(r, (r->rank + r->size - k) % r->size, in);

		for (int i = 0; i < length; i++)
			r->sum[piece_start(r, in) + i] += r->inbox[i];
	}
	for (int k = 0; k < r->size - 1; k++) {
		int in = (r->rank + r->size - k) % r->size;
		int length = ring_pass(r, (r->rank + r->size - k + 1) % r->size, in);

		memcpy(r->sum + piece_start(r, in), r->inbox, (size_t)length * sizeof(*r->sum));
	}
}

static void ring_reduce(struct ring *r)
{
	if (r->by_hand)
		ring_by_hand(r);
	else
		MPI_Allreduce(r->mine, r->sum, r->count, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
}

/* Rank 0's clock decides for all. */
static bool ring_over(const struct ring *r, long step, double elapsed)
{
	int over = step >= r->steps || (r->seconds > 0 && elapsed >= r->seconds);

	MPI_Bcast(&over, 1, MPI_INT, 0, MPI_COMM_WORLD);
	return over;
}

/* Returns the number of steps; their times, without filling and checking, are in took. */
static long ring_run(struct ring *r)
{
	double began;
	long step;

	for (step = 0; step < WARMUP; step++) {
		ring_fill(r, step);
		ring_reduce(r);
	}
	began = MPI_Wtime();
	for (step = 0; !ring_over(r, step, MPI_Wtime() - began); step++) {
		ring_fill(r, step);
		MPI_Barrier(MPI_COMM_WORLD);
		r->took[step] = -MPI_Wtime();
		ring_reduce(r);
		r->took[step] += MPI_Wtime();
		ring_check(r, step);
	}
	return step;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void ring_report(struct ring *r, long steps)
{
	double bytes = 8.0 * r->count, all = 0, median;

	for (long i = 0; i < steps; i++)
		all += r->took[i];
	qsort(r->took, (size_t)steps, sizeof(*r->took), by_value);
	median = steps ? r->took[steps / 2] : 0;
	printf("{\"program\":\"ring\",\"ranks\":%d,\"bytes\":%.0f,\"steps\":%ld,\"seconds\":%.6f,"
	       "\"step_ms_median\":%.3f,\"step_ms_max\":%.3f,\"busbw_mbit\":%.3f,"
	       "\"checksum\":\"%016" PRIx64 "\",\"wrong\":%ld}\n",
	       r->size, bytes, steps, all, median * 1e3, steps ? r->took[steps - 1] * 1e3 : 0,
	       all > 0 ? 2.0 * (r->size - 1) / r->size * bytes * 8 * (double)steps / all / 1e6 : 0,
	       r->checksum, r->wrong);
}

/* All ranks must have seen the same sums: what differs counts as wrong. */
static void ring_agree(struct ring *r)
{
	uint64_t theirs = r->checksum;
	long differs;

	MPI_Bcast(&theirs, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
	differs = r->wrong + (theirs != r->checksum);
	MPI_Allreduce(&differs, &r->wrong, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
}

static int ring_options(struct ring *r, int argc, char **argv)
{
	static const struct option names[] = {
		{"count", required_argument, NULL, 'c'},
		{"steps", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 's'},
		{"by-hand", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'c')
			r->count = atoi(optarg);
		else if (c == 'n')
			r->steps = atol(optarg);
		else if (c == 's')
			r->seconds = atof(optarg);
		else if (c == 'h')
			r->by_hand = true;
		else
			return -1;
	}
	return r->count > 0 && r->steps > 0 && r->steps <= STEPS_MAX && optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct ring r = {.count = 65536,
			 .steps = STEPS_MAX,
			 .seconds = 5,
			 .checksum = 0xCBF29CE484222325ULL};
	long steps;

	if (ring_options(&r, argc, argv)) {
		fprintf(stderr,
			"ring: usage: ring [--count N] [--steps N] [--seconds S] [--by-hand]\n");
		return 2;
	}
	r.mine = calloc((size_t)r.count, sizeof(*r.mine));
	r.sum = calloc((size_t)r.count, sizeof(*r.sum));
	r.inbox = calloc((size_t)r.count, sizeof(*r.inbox));
	r.took = calloc((size_t)r.steps, sizeof(*r.took));
	if (!r.mine || !r.sum || !r.inbox || !r.took) {
		fprintf(stderr, "ring: no memory for %d elements\n", r.count);
		return 1;
	}
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &r.rank);
	MPI_Comm_size(MPI_COMM_WORLD, &r.size);
	steps = ring_run(&r);
	ring_agree(&r);
	if (r.rank == 0)
		ring_report(&r, steps);
	MPI_Finalize();
	free(r.mine);
	free(r.sum);
	free(r.inbox);
	free(r.took);
	return r.wrong != 0;
}
