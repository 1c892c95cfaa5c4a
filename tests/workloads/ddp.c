/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ddp.c - data-parallel training as the frameworks do it, small: every rank has the whole model
 * and its own part of the data; a step is forward, backward, an all-reduce of the gradients in
 * buckets, and one step of SGD. The network learns a random teacher of the same shape, so the
 * loss really falls. Per step on the world:
 *
 *   Broadcast     the buffers of rank 0 (DDP does so with batch-norm statistics)
 *   AllReduce …   one per bucket of gradients
 *   AllReduce     loss, and rank 0's word on checkpointing and ending
 *   (Barrier      after a checkpoint that rank 0 alone writes)
 */
#include <mpi.h>

#include "faults.h"

#define IN	24
#define HIDDEN	48
#define BATCH	16
#define BUFFERS 64
#define BUCKET	1024 /* floats */
#define RATE	0.03f

/* y = W2·relu(W1·x + b1) + b2 */
struct net {
	float w1[HIDDEN][IN];
	float b1[HIDDEN];
	float w2[HIDDEN];
	float b2;
};
#define PARAMS ((int)(sizeof(struct net) / sizeof(float)))

struct ddp {
	struct faults faults;
	int rank, size;
	uint64_t seed;
	struct net teacher, model, gradient, reduced;
	float hidden[HIDDEN]; /* activations of the sample at hand */
	float buffers[BUFFERS];
	double loss; /* mean over the ranks' last step */
};

/* What the ranks tell each other at the end of a step, summed. */
struct word {
	double loss, pause, end;
};

/* Uniform in [-1, 1); xorshift64*, so that runs repeat. */
static float ddp_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (float)((*seed * 0x2545F4914F6CDD1DULL) >> 40) / (float)(1 << 23) - 1.0f;
}

static void net_randomise(struct net *n, uint64_t seed)
{
	float *p = (float *)n;

	for (int i = 0; i < PARAMS; i++)
		p[i] = ddp_random(&seed) * (i < HIDDEN * IN ? 0.35f : 0.25f);
}

static float net_forward(const struct net *n, const float *x, float *hidden)
{
	float y = n->b2;

	for (int h = 0; h < HIDDEN; h++) {
		float sum = n->b1[h];

		for (int i = 0; i < IN; i++)
			sum += n->w1[h][i] * x[i];
		hidden[h] = sum > 0 ? sum : 0;
		y += n->w2[h] * hidden[h];
	}
	return y;
}

/* Adds the gradient of one sample, given the derivative of the loss by the output. */
static void net_backward(const struct net *n, const float *x, const float *hidden, float dy,
			 struct net *gradient)
{
	gradient->b2 += dy;
	for (int h = 0; h < HIDDEN; h++) {
		float dh = hidden[h] > 0 ? dy * n->w2[h] : 0;

		gradient->w2[h] += dy * hidden[h];
		gradient->b1[h] += dh;
		for (int i = 0; i < IN; i++)
			gradient->w1[h][i] += dh * x[i];
	}
}

/* Forward and backward over this rank's next batch; returns its mean squared error. */
static double ddp_compute(struct ddp *d)
{
	float x[IN];
	double loss = 0;

	memset(&d->gradient, 0, sizeof(d->gradient));
	for (int b = 0; b < BATCH; b++) {
		float want, error;

		for (int i = 0; i < IN; i++)
			x[i] = ddp_random(&d->seed);
		want = net_forward(&d->teacher, x, d->hidden);
		error = net_forward(&d->model, x, d->hidden) - want;
		loss += (double)(error * error) / BATCH;
		net_backward(&d->model, x, d->hidden, 2 * error / BATCH, &d->gradient);
	}
	return loss;
}

/* The averaged gradient of all ranks, bucket by bucket. */
static void ddp_reduce(struct ddp *d)
{
	float *in = (float *)&d->gradient, *out = (float *)&d->reduced;

	for (int at = 0; at < PARAMS; at += BUCKET) {
		int n = PARAMS - at < BUCKET ? PARAMS - at : BUCKET;

		if (at == 0 && faults_miscounts(&d->faults))
			n--;
		if (at == 0 && faults_skips(&d->faults))
			continue;
		MPI_Allreduce(in + at, out + at, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
	}
}

static void ddp_update(struct ddp *d)
{
	float *p = (float *)&d->model, *g = (float *)&d->reduced;

	for (int i = 0; i < PARAMS; i++)
		p[i] -= RATE * g[i] / (float)d->size;
}

static void ddp_report(const struct ddp *d, long step)
{
	if (d->rank != 0 || step % 100)
		return;
	printf("step %4ld  %5.1f s  loss %.5f\n", step, faults_now(&d->faults), d->loss);
	fflush(stdout);
}

/* False when rank 0 says it is time to end. */
static bool ddp_step(struct ddp *d, long step)
{
	double began = faults_now(&d->faults);
	struct word mine = {0}, all;

	faults_strike(&d->faults);
	MPI_Bcast(d->buffers, BUFFERS, MPI_FLOAT, 0, MPI_COMM_WORLD);
	began = fmax(began, faults_now(&d->faults));
	mine.loss = ddp_compute(d);
	faults_compute(&d->faults, began, d->faults.compute_ms);
	ddp_reduce(d);
	ddp_update(d);
	mine.pause = faults_pause_due(&d->faults);
	mine.end = d->rank == 0 && faults_over(&d->faults, step + 1);
	MPI_Allreduce(&mine, &all, 3, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
	d->loss = all.loss / d->size;
	if (all.pause > 0) {
		faults_pause(&d->faults);
		MPI_Barrier(MPI_COMM_WORLD);
	}
	return all.end == 0;
}

static void ddp_init(struct ddp *d)
{
	MPI_Comm_rank(MPI_COMM_WORLD, &d->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &d->size);
	net_randomise(&d->teacher, 11);
	net_randomise(&d->model, 12);
	d->seed = 1000 + (uint64_t)d->rank;
	faults_start(&d->faults, d->rank);
}

int main(int argc, char **argv)
{
	static struct ddp d;
	double first = 0;
	long step = 0;
	bool go = true;

	faults_parse(&d.faults, argc, argv);
	MPI_Init(&argc, &argv);
	ddp_init(&d);
	while (go) {
		go = ddp_step(&d, step);
		if (step == 0)
			first = d.loss;
		ddp_report(&d, step++);
	}
	if (d.rank == 0)
		printf("trained %ld steps in %.1f s: loss %.5f -> %.5f\n", step,
		       faults_now(&d.faults), first, d.loss);
	MPI_Finalize();
	return 0;
}
