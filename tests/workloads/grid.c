/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grid.c - a program with three layers of communicators, as tensor- and data-parallel training
 * has: per step all-gather in pairs {0,1}{2,3}…, all-reduce in the odd and in the even ranks,
 * all-reduce in the world. A slow rank delays its pair, the pair delays its groups: whoever
 * blames the latest rank of one communicator blames the victim.
 */
#include <mpi.h>

#include "faults.h"

#define PART  256
#define GROUP 1024

struct grid {
	struct faults faults;
	int rank, size;
	MPI_Comm pair, group;
	double part[PART];
	double *gathered; /* PART of each member of the pair */
	double group_in[GROUP], group_out[GROUP];
	double world_out[2]; /* sum, and how many want to end */
};

static void grid_init(struct grid *g)
{
	int members;

	MPI_Comm_rank(MPI_COMM_WORLD, &g->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &g->size);
	MPI_Comm_split(MPI_COMM_WORLD, g->rank / 2, g->rank, &g->pair);
	MPI_Comm_split(MPI_COMM_WORLD, g->rank % 2, g->rank, &g->group);
	MPI_Comm_set_name(g->pair, "pair");
	MPI_Comm_set_name(g->group, "group");
	MPI_Comm_size(g->pair, &members);
	g->gathered = calloc((size_t)members * PART, sizeof(*g->gathered));
	if (!g->gathered)
		MPI_Abort(MPI_COMM_WORLD, 1);
	for (int i = 0; i < PART; i++)
		g->part[i] = g->rank + 1;
	if (g->rank == 0) {
		printf("grid: %d ranks\n", g->size);
		fflush(stdout);
	}
	faults_start(&g->faults, g->rank);
}

static void grid_release(struct grid *g)
{
	MPI_Comm_free(&g->pair);
	MPI_Comm_free(&g->group);
	free(g->gathered);
}

static void grid_communicate(struct grid *g, bool ending)
{
	double in[2] = {g->group_out[0], ending};
	int count = GROUP;

	MPI_Allgather(g->part, PART, MPI_DOUBLE, g->gathered, PART, MPI_DOUBLE, g->pair);
	for (int i = 0; i < GROUP; i++)
		g->group_in[i] = g->gathered[i % PART];
	if (faults_miscounts(&g->faults))
		count--;
	if (!faults_skips(&g->faults))
		MPI_Allreduce(g->group_in, g->group_out, count, MPI_DOUBLE, MPI_SUM, g->group);
	MPI_Allreduce(in, g->world_out, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

/* False when rank 0 says it is time to end. */
static bool grid_step(struct grid *g, long step)
{
	double began = faults_now(&g->faults);

	faults_strike(&g->faults);
	faults_compute(&g->faults, began, g->faults.compute_ms);
	grid_communicate(g, g->rank == 0 && faults_over(&g->faults, step + 1));
	return g->world_out[1] == 0;
}

int main(int argc, char **argv)
{
	static struct grid g;
	long step = 0;

	faults_parse(&g.faults, argc, argv);
	MPI_Init(&argc, &argv);
	grid_init(&g);
	while (grid_step(&g, step))
		step++;
	if (g.rank == 0)
		printf("grid: %ld steps in %.1f s\n", step + 1, faults_now(&g.faults));
	grid_release(&g);
	MPI_Finalize();
	return 0;
}
