/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nonblocking.c - all-reduces overlapped with computing, as gradient buckets are: each bucket is
 * started as soon as it is ready and waited for at the end of the step. Only a Wait that really
 * blocks tells anything about who was late.
 */
#include <mpi.h>

#include "faults.h"

#define BUCKETS 4
#define COUNT	2048

struct overlap {
	struct faults faults;
	int rank;
	double in[BUCKETS][COUNT], out[BUCKETS][COUNT];
};

static bool overlap_step(struct overlap *o, long step)
{
	MPI_Request pending[BUCKETS];
	double end;

	faults_strike(&o->faults);
	for (int b = 0; b < BUCKETS; b++) {
		faults_compute(&o->faults, faults_now(&o->faults), o->faults.compute_ms / BUCKETS);
		o->in[b][0] = b == 0 && o->rank == 0 && faults_over(&o->faults, step + 1);
		MPI_Iallreduce(o->in[b], o->out[b], COUNT, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD,
			       &pending[b]);
	}
	MPI_Waitall(BUCKETS, pending, MPI_STATUSES_IGNORE);
	end = o->out[0][0];
	return end == 0;
}

int main(int argc, char **argv)
{
	static struct overlap o;
	long step = 0;

	faults_parse(&o.faults, argc, argv);
	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &o.rank);
	faults_start(&o.faults, o.rank);
	while (overlap_step(&o, step))
		step++;
	if (o.rank == 0)
		printf("nonblocking: %ld steps in %.1f s\n", step + 1, faults_now(&o.faults));
	MPI_Finalize();
	return 0;
}
