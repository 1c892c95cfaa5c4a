// SPDX-License-Identifier: BSD-3-Clause
#include "tests/nccl/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 16
#define QUEUE_MAX   1024

struct worker {
	char name[32];
	pthread_t thread;
	struct {
		worker_job *job;
		void *arg;
	} queue[QUEUE_MAX];
	unsigned int first, count; /* of queue; the running job stays until it is done */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct worker *workers[WORKERS_MAX];
static int nworkers;

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&lock);
	for (;;) {
		unsigned int at = w->first % QUEUE_MAX;

		if (!w->count) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		w->queue[at].job(w->queue[at].arg);
		pthread_mutex_lock(&lock);
		w->first++;
		w->count--;
		pthread_cond_broadcast(&changed);
	}
	return NULL;
}

static struct worker *start(const char *name)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w || nworkers == WORKERS_MAX) {
		fprintf(stderr, "more than %d threads\n", WORKERS_MAX);
		exit(2);
	}
	snprintf(w->name, sizeof w->name, "%s", name);
	if (pthread_create(&w->thread, NULL, work, w))
		abort();
	pthread_setname_np(w->thread, w->name);
	return workers[nworkers++] = w;
}

struct worker *worker_get(const char *name)
{
	for (int i = 0; i < nworkers; i++)
		if (!strcmp(workers[i]->name, name))
			return workers[i];
	return start(name);
}

void worker_post(struct worker *w, worker_job *job, void *arg)
{
	pthread_mutex_lock(&lock);
	while (w->count == QUEUE_MAX)
		pthread_cond_wait(&changed, &lock);
	w->queue[(w->first + w->count) % QUEUE_MAX].job = job;
	w->queue[(w->first + w->count) % QUEUE_MAX].arg = arg;
	w->count++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void worker_wait(void)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < nworkers;) {
		if (workers[i]->count) {
			pthread_cond_wait(&changed, &lock);
			i = 0;
		} else
			i++;
	}
	pthread_mutex_unlock(&lock);
}
