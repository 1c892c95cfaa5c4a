/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker.h - the threads of a replayed process: application, proxy, host callback, by name.
 *
 * One thread (the player's) hands out jobs; each worker carries out its own in order.
 */
#ifndef C4_TESTS_NCCL_WORKER_H
#define C4_TESTS_NCCL_WORKER_H

typedef void worker_job(void *arg);

struct worker;

/* The worker of this name, started if there was none. */
struct worker *worker_get(const char *name);

/* Hands a job over. */
void worker_post(struct worker *w, worker_job *job, void *arg);

/* Until all jobs of all workers are done. */
void worker_wait(void);

#endif
