/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * judge.h - the judges, one per family of faults; private to diag. Each appends what it finds to
 * `out`; running out of memory is remembered there.
 */
#ifndef C4_COLLECTOR_DIAG_JUDGE_H
#define C4_COLLECTOR_DIAG_JUDGE_H

#include "collector/diag/diag.h"
#include "collector/diag/memory.h"
#include "collector/diag/waits.h"

struct c4_look { /* one call of c4_diagnose() */
	const struct c4_diag_job *job;
	struct c4_diag_memory *memory;
	struct c4_waits *waits;
	struct c4_verdicts *out;
};

/* crash: a process went without MPI_Finalize. Names the first to go, not those the launcher
 * killed afterwards. */
void c4_judge_crash(struct c4_look *l);

/* mismatch: members disagree on what their operation number k is, or some left for good. */
void c4_judge_mismatch(struct c4_look *l);

/* hang-comm on GPUs: the connection, or the GPU, that all others wait for. */
void c4_judge_transport(struct c4_look *l);

/* hang-rank: the ranks at the end of every chain of waiting. */
void c4_judge_hang(struct c4_look *l);

/* deadlock: chains of waiting that run in a circle; hang-comm: all inside, nobody gets out. */
void c4_judge_stall(struct c4_look *l);

/* hang-comm: a library reports that a communicator is broken. */
void c4_judge_broken(struct c4_look *l);

/* slow-tx, slow-rx, slow-link, congestion: more network time per byte than other connections. */
void c4_judge_matrix(struct c4_look *l);

/* Adds what GPUs and network interfaces of the culprits say to the verdicts of this look. */
void c4_judge_health(struct c4_look *l);

/* slow-rank, slow-node: more own work per operation than the peers, who wait for it. */
void c4_judge_slow(struct c4_look *l);

/* data-gap: what we cannot see. */
void c4_judge_gap(struct c4_look *l);

#endif
