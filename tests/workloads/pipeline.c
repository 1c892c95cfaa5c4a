/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipeline.c - pipeline-parallel training with two data-parallel replicas, by point-to-point.
 * Rank r is stage r/2 of replica r%2. A step sends MICRO micro-batches forward through the
 * stages, then back, then all-reduces the gradients of each stage over its replicas and the
 * loss over the world. Stages wait for each other by design (bubbles), and the last one is
 * heavier on both replicas: none of that is a fault; one stage slower than its twin is.
 */
#include <mpi.h>

#include "faults.h"

#define REPLICAS 2
#define MICRO	 4
#define WIDTH	 512 /* doubles passed between stages */
#define GRADS	 4096
#define TAG_FORW 1
#define TAG_BACK 2

struct pipeline {
	struct faults faults;
	int rank, stage, stages;
	int before, after; /* neighbours in this replica, MPI_PROC_NULL at the ends */
	MPI_Comm twins;	   /* the same stage of all replicas */
	double work_ms;	   /* of one micro-batch, one direction */
	double data[WIDTH], grads[GRADS], reduced[GRADS];
};

static void pipeline_init(struct pipeline *p)
{
	int size;

	MPI_Comm_rank(MPI_COMM_WORLD, &p->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &size);
	if (size % REPLICAS || size < 2 * REPLICAS)
		MPI_Abort(MPI_COMM_WORLD, 2);
	p->stage = p->rank / REPLICAS;
	p->stages = size / REPLICAS;
	p->before = p->stage > 0 ? p->rank - REPLICAS : MPI_PROC_NULL;
	p->after = p->stage < p->stages - 1 ? p->rank + REPLICAS : MPI_PROC_NULL;
	p->work_ms = p->faults.compute_ms / (2 * MICRO);
	if (p->after == MPI_PROC_NULL)
		p->work_ms *= 1.4;
	MPI_Comm_split(MPI_COMM_WORLD, p->stage, p->rank, &p->twins);
	MPI_Comm_set_name(p->twins, "twins");
	faults_start(&p->faults, p->rank);
}

static void pipeline_work(struct pipeline *p)
{
	faults_compute(&p->faults, faults_now(&p->faults), p->work_ms);
	p->data[0] += 1;
}

static void pipeline_pass(struct pipeline *p, int from, int to, int tag)
{
	MPI_Recv(p->data, WIDTH, MPI_DOUBLE, from, tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	pipeline_work(p);
	MPI_Send(p->data, WIDTH, MPI_DOUBLE, to, tag, MPI_COMM_WORLD);
}

static bool pipeline_step(struct pipeline *p, long step)
{
	double mine[2] = {p->data[0], p->rank == 0 && faults_over(&p->faults, step + 1)}, all[2];

	faults_strike(&p->faults);
	for (int i = 0; i < MICRO; i++)
		pipeline_pass(p, p->before, p->after, TAG_FORW);
	for (int i = 0; i < MICRO; i++)
		pipeline_pass(p, p->after, p->before, TAG_BACK);
	MPI_Allreduce(p->grads, p->reduced, GRADS, MPI_DOUBLE, MPI_SUM, p->twins);
	MPI_Allreduce(mine, all, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
	return all[1] == 0;
}

int main(int argc, char **argv)
{
	static struct pipeline p;
	long step = 0;

	faults_parse(&p.faults, argc, argv);
	MPI_Init(&argc, &argv);
	pipeline_init(&p);
	while (pipeline_step(&p, step))
		step++;
	if (p.rank == 0)
		printf("pipeline: %ld steps in %.1f s\n", step + 1, faults_now(&p.faults));
	MPI_Comm_free(&p.twins);
	MPI_Finalize();
	return 0;
}
