/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kin.h - the segments of one process. A process with several hooks (MPI and NCCL) leaves several
 * segments; to the collector it is one process with one handle.
 *
 *	the process   who it is, whether it lives, its threads and CPU time: of one segment,
 *	              the first that knows its rank, in the order mpi, nccl, nccl-api, others
 *	parts         communicators, blocks and connections of the rest
 *
 * Which segment is the process is asked anew each time, so it does not matter which appears first
 * or goes away. Targets that are kin form a ring through `kin`; a target alone is a ring of one.
 * Nothing is owned. One thread.
 */
#ifndef C4_AGENT_KIN_H
#define C4_AGENT_KIN_H

#include <stdbool.h>
#include <stdint.h>

struct c4_target;

/* Whether both tell of the same process, through different hooks. */
bool c4_kin_same_process(const struct c4_target *a, const struct c4_target *b);

/* t, a ring of one, joins other's ring and takes its handle. */
void c4_kin_join(struct c4_target *t, struct c4_target *other);

/* t is a ring of one again. Idempotent. */
void c4_kin_leave(struct c4_target *t);

/* The one that is the process; perhaps t itself. */
const struct c4_target *c4_kin_process(const struct c4_target *t);
bool c4_kin_is_part(const struct c4_target *t);

/* The one that knows the GPU; t itself if none does. */
const struct c4_target *c4_kin_with_gpu(const struct c4_target *t);

#define c4_kin_for_each(one, t)                                                                    \
	for ((one) = (t); (one); (one) = (one)->kin == (t) ? NULL : (one)->kin)

#endif
