/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * witness.h - tells whether a signal we got went to our whole process group, the job included.
 *
 * A kill(2) of a group looks to each member like a kill of it alone. Passing it on then hits the
 * job twice, and mpirun takes a second SIGTERM within five seconds as "give up cleaning and die".
 * timeout(1), mpirun and Slurm all signal groups.
 *
 * The witness is a child in our group that blocks every signal and sleeps: what pends there went
 * to the group. The kernel signals the younger members of a group first, so that the witness, who
 * is younger than we are, has it when we look. It dies with us. Main thread.
 */
#ifndef C4_RUN_WITNESS_H
#define C4_RUN_WITNESS_H

#include <stdbool.h>
#include <sys/types.h>

struct c4_witness {
	pid_t pid; /* 0: none; then no signal counts as the group's */
};

/* To be called before other threads and descriptors exist that it would keep. */
void c4_witness_start(struct c4_witness *w);

/* Whether the group got this signal, which must be blocked, since the last call that said so. */
bool c4_witness_saw(struct c4_witness *w, int number);

void c4_witness_stop(struct c4_witness *w);

#endif
