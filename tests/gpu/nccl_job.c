// SPDX-License-Identifier: BSD-3-Clause
/*
 * nccl_job - one rank of a training on real NCCL, for tests/gpu/run.py: every step waits as a
 * computation would, then all-reduces, and perhaps sends something to everybody.
 *
 *   RANK, WORLD_SIZE; nccl_job MEETING [--seconds S] [--bytes N] [--compute-ms MS] [--pairs 1]
 *                     [--steps N] [--late R:AT:MS] [--sleep R:AT:S] [--mismatch R:AT]
 *
 * MEETING is a directory: rank 0 leaves the unique id there, and each rank its pid and, at the end,
 * what its steps took. AT is seconds since the first step. It ends after S seconds or N steps. All
 * ranks may share one GPU if each has a NCCL_HOSTID of its own. Exit status 77: no GPU.
 */
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 200000
#define WARM_UP	  5

struct fault {
	int rank; /* -1: none */
	double at, how_much;
};

struct job {
	int rank, size;
	const char *meeting;
	double seconds, compute_ms;
	int steps_max;
	size_t bytes;
	int pairs;
	struct fault late, sleep, mismatch;
	ncclComm_t comm;
	cudaStream_t stream;
	void *send, *recv;
	double took_ms[STEPS_MAX];
	int steps;
};

#define CUDA(call)                                                                                 \
	do {                                                                                       \
		cudaError_t e_ = (call);                                                           \
		if (e_ != cudaSuccess)                                                             \
			die(#call, cudaGetErrorString(e_));                                        \
	} while (0)
#define NCCL(call)                                                                                 \
	do {                                                                                       \
		ncclResult_t r_ = (call);                                                          \
		if (r_ != ncclSuccess)                                                             \
			die(#call, ncclGetErrorString(r_));                                        \
	} while (0)

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "nccl_job: %s: %s\n", what, why);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pause_for(double seconds)
{
	struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (seconds > 0 && nanosleep(&t, &t))
		;
}

static struct fault fault(const char *text)
{
	struct fault f = {-1, 0, 0};

	sscanf(text, "%d:%lf:%lf", &f.rank, &f.at, &f.how_much);
	return f;
}

static void set(struct job *j, const char *name, const char *value)
{
	if (!strcmp(name, "--seconds"))
		j->seconds = atof(value);
	else if (!strcmp(name, "--steps"))
		j->steps_max = atoi(value);
	else if (!strcmp(name, "--bytes"))
		j->bytes = strtoull(value, NULL, 0);
	else if (!strcmp(name, "--compute-ms"))
		j->compute_ms = atof(value);
	else if (!strcmp(name, "--pairs"))
		j->pairs = atoi(value);
	else if (!strcmp(name, "--late"))
		j->late = fault(value);
	else if (!strcmp(name, "--sleep"))
		j->sleep = fault(value);
	else if (!strcmp(name, "--mismatch"))
		j->mismatch = fault(value);
	else
		die(name, "unknown option");
}

static int number(const char *name)
{
	const char *text = getenv(name);

	if (!text)
		die(name, "not set");
	return atoi(text);
}

static void parse(struct job *j, int argc, char **argv)
{
	if (argc < 2 || argc % 2)
		die("usage", "nccl_job MEETING [--OPTION VALUE]…");
	j->rank = number("RANK");
	j->size = number("WORLD_SIZE");
	j->meeting = argv[1];
	j->seconds = 10;
	j->steps_max = STEPS_MAX;
	j->compute_ms = 20;
	j->bytes = 8 << 20;
	j->late.rank = j->sleep.rank = j->mismatch.rank = -1;
	for (int i = 2; i < argc; i += 2)
		set(j, argv[i], argv[i + 1]);
}

/* ---- the meeting --------------------------------------------------------------------------------
 */

/* Appears whole: under another name first. */
static void leave(const struct job *j, const char *name, const void *data, size_t n)
{
	char path[4096], tmp[4200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", j->meeting, name);
	snprintf(tmp, sizeof tmp, "%s.%d", path, (int)getpid());
	f = fopen(tmp, "we");
	if (!f || fwrite(data, 1, n, f) != n || fclose(f) || rename(tmp, path))
		die(path, "cannot be written");
}

static void unique_id(const struct job *j, ncclUniqueId *id)
{
	char path[4096];
	size_t got = 0;
	double deadline = now() + 60;

	if (j->rank == 0) {
		NCCL(ncclGetUniqueId(id));
		leave(j, "id", id, sizeof *id);
		return;
	}
	snprintf(path, sizeof path, "%s/id", j->meeting);
	while (got != sizeof *id) {
		FILE *f = fopen(path, "re");

		if (f) {
			got = fread(id, 1, sizeof *id, f);
			fclose(f);
		} else if (now() > deadline)
			die(path, "rank 0 has left no id");
		else
			pause_for(0.01);
	}
}

static void leave_pid(const struct job *j)
{
	char name[32], text[32];

	snprintf(name, sizeof name, "pid-%d", j->rank);
	snprintf(text, sizeof text, "%d\n", (int)getpid());
	leave(j, name, text, strlen(text));
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void leave_times(struct job *j)
{
	int n = j->steps - WARM_UP, version = 0;
	double *t = j->took_ms + WARM_UP, sum = 0;
	char name[32], text[256];

	if (n <= 0)
		return;
	for (int i = 0; i < n; i++)
		sum += t[i];
	qsort(t, (size_t)n, sizeof *t, ascending);
	NCCL(ncclGetVersion(&version));
	snprintf(name, sizeof name, "times-%d.json", j->rank);
	snprintf(text, sizeof text,
		 "{\"nccl\": %d, \"steps\": %d, \"mean_ms\": %.6f, \"median_ms\": %.6f, "
		 "\"p95_ms\": %.6f}\n",
		 version, n, sum / n, t[n / 2], t[n - 1 - n / 20]);
	leave(j, name, text, strlen(text));
}

/* ---- the training -------------------------------------------------------------------------------
 */

static void setup(struct job *j)
{
	ncclUniqueId id;
	int devices = 0;

	if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
		fprintf(stderr, "nccl_job: no GPU\n");
		exit(77);
	}
	CUDA(cudaSetDevice(0));
	CUDA(cudaStreamCreateWithFlags(&j->stream, cudaStreamNonBlocking));
	CUDA(cudaMalloc(&j->send, j->bytes * (size_t)(j->pairs ? j->size : 1)));
	CUDA(cudaMalloc(&j->recv, j->bytes * (size_t)(j->pairs ? j->size : 1)));
	CUDA(cudaMemset(j->send, 0, j->bytes));
	unique_id(j, &id);
	NCCL(ncclCommInitRank(&j->comm, j->size, id, j->rank));
	leave_pid(j);
}

static void exchange(struct job *j)
{
	NCCL(ncclGroupStart());
	for (int d = 1; d < j->size; d++) {
		int to = (j->rank + d) % j->size, from = (j->rank - d + j->size) % j->size;

		NCCL(ncclSend((char *)j->send + j->bytes * (size_t)to, j->bytes, ncclInt8, to,
			      j->comm, j->stream));
		NCCL(ncclRecv((char *)j->recv + j->bytes * (size_t)from, j->bytes, ncclInt8, from,
			      j->comm, j->stream));
	}
	NCCL(ncclGroupEnd());
}

static int due(struct job *j, const struct fault *f, double t)
{
	return f->rank == j->rank && t >= f->at;
}

static void step(struct job *j, double t)
{
	size_t count = j->bytes / sizeof(float);
	double began;

	pause_for(j->compute_ms * 1e-3);
	if (due(j, &j->late, t))
		pause_for(j->late.how_much * 1e-3);
	if (due(j, &j->sleep, t)) {
		pause_for(j->sleep.how_much);
		j->sleep.rank = -1;
	}
	if (due(j, &j->mismatch, t))
		count /= 2;
	began = now();
	if (j->pairs)
		exchange(j);
	NCCL(ncclAllReduce(j->send, j->recv, count, ncclFloat, ncclSum, j->comm, j->stream));
	CUDA(cudaStreamSynchronize(j->stream));
	j->took_ms[j->steps++] = (now() - began) * 1e3;
}

/* All ranks take the same number of steps: the first one to run out of time tells the others. */
static int go_on(struct job *j, double t)
{
	float over = t >= j->seconds, sum = 0;

	CUDA(cudaMemcpyAsync(j->send, &over, sizeof over, cudaMemcpyHostToDevice, j->stream));
	NCCL(ncclAllReduce(j->send, j->recv, 1, ncclFloat, ncclSum, j->comm, j->stream));
	CUDA(cudaMemcpyAsync(&sum, j->recv, sizeof sum, cudaMemcpyDeviceToHost, j->stream));
	CUDA(cudaStreamSynchronize(j->stream));
	return sum == 0 && j->steps < j->steps_max && j->steps < STEPS_MAX - 10;
}

int main(int argc, char **argv)
{
	static struct job j;
	double t0;

	parse(&j, argc, argv);
	setup(&j);
	t0 = now();
	do
		step(&j, now() - t0);
	while (j.steps % 10 || go_on(&j, now() - t0));
	leave_times(&j);
	NCCL(ncclCommDestroy(j.comm));
	return 0;
}
