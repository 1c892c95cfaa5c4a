/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * halo.c - a one-dimensional stencil on a ring of ranks: edges are exchanged with Irecv, Send
 * and Wait, and only every tenth step ends in a collective. Between collectives a late rank is
 * seen only through its neighbours' waiting.
 */
#include <mpi.h>

#include "faults.h"

#define CELLS	  2048
#define RESIDUALS 10 /* steps between two all-reduces */

struct halo {
	struct faults faults;
	int rank, left, right;
	double cell[CELLS + 2], next[CELLS + 2];
};

static void halo_init(struct halo *h)
{
	int size;

	MPI_Comm_rank(MPI_COMM_WORLD, &h->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	h->left = (h->rank + size - 1) % size;
	h->right = (h->rank + 1) % size;
	for (int i = 1; i <= CELLS; i++)
		h->cell[i] = sin(h->rank * CELLS + i);
	faults_start(&h->faults, h->rank);
}

static void halo_exchange(struct halo *h)
{
	MPI_Request in[2];
	double *c = h->cell;

	MPI_Irecv(&c[0], 1, MPI_DOUBLE, h->left, 0, MPI_COMM_WORLD, &in[0]);
	MPI_Irecv(&c[CELLS + 1], 1, MPI_DOUBLE, h->right, 1, MPI_COMM_WORLD, &in[1]);
	MPI_Send(&c[CELLS], 1, MPI_DOUBLE, h->right, 0, MPI_COMM_WORLD);
	MPI_Send(&c[1], 1, MPI_DOUBLE, h->left, 1, MPI_COMM_WORLD);
	MPI_Wait(&in[0], MPI_STATUS_IGNORE);
	MPI_Wait(&in[1], MPI_STATUS_IGNORE);
}

/* One step of diffusion; returns how much the field still moves. */
static double halo_relax(struct halo *h)
{
	double moved = 0;

	for (int i = 1; i <= CELLS; i++) {
		h->next[i] = 0.25 * h->cell[i - 1] + 0.5 * h->cell[i] + 0.25 * h->cell[i + 1];
		moved += fabs(h->next[i] - h->cell[i]);
	}
	memcpy(&h->cell[1], &h->next[1], CELLS * sizeof(h->cell[1]));
	return moved;
}

static bool halo_step(struct halo *h, long step)
{
	double began = faults_now(&h->faults), in[2] = {0}, out[2] = {0};

	faults_strike(&h->faults);
	in[0] = halo_relax(h);
	faults_compute(&h->faults, began, h->faults.compute_ms);
	halo_exchange(h);
	if ((step + 1) % RESIDUALS)
		return true;
	in[1] = h->rank == 0 && faults_over(&h->faults, step + 1);
	MPI_Allreduce(in, out, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
	return out[1] == 0;
}

int main(int argc, char **argv)
{
	static struct halo h;
	long step = 0;

	faults_parse(&h.faults, argc, argv);
	MPI_Init(&argc, &argv);
	halo_init(&h);
	while (halo_step(&h, step))
		step++;
	if (h.rank == 0)
		printf("halo: %ld steps in %.1f s\n", step + 1, faults_now(&h.faults));
	MPI_Finalize();
	return 0;
}
