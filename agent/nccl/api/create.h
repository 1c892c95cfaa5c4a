/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * create.h - communicators: known from the moment their creation begins, so that a creation that
 * hangs shows who is in it and who is not.
 *
 * Identity: before a communicator exists, all its members have in common is the unique id they were
 * given: its hash is the communicator's id (not NCCL's commHash, under which the profiler plugin
 * reports it: the two are different accounts of one thing). A child's id is made of the parent's
 * and of how many children the parent had before, which all members count alike.
 *
 * Creation is operation 0 of the new communicator, kind COMM_CREATE; a split, whose outcome nobody
 * knows before, is the next operation of the parent. A group of creations begins when the group
 * ends, for that is when NCCL makes them. A nonblocking creation is over when
 * ncclCommGetAsyncError says so.
 *
 * Communicators of one member, and those that one call makes for all GPUs of a process, wait for no
 * other process: nothing is recorded of them. Nor of children whose split is part of a group or
 * goes on in the background.
 */
#ifndef C4_NCCL_API_CREATE_H
#define C4_NCCL_API_CREATE_H

#include "agent/hook/record.h"
#include "agent/nccl/api/group.h"
#include "agent/nccl/api/types.h"

struct c4_creation {
	struct c4_call call;
	uint32_t slot; /* of the new one, or what a look-up would say */
	bool grouped;
};

/* The _begin functions take a call that was opened, in the frame of the wrapper (record.h); the
 * _end functions one that may not be open. */

/* The communicator that ranks with these ids and this size make. ids: n of them. */
void c4_create_begin(struct c4_creation *c, const struct c4_nccl_id *ids, int nids, int size,
		     int rank);
/* … and of a parent by those who are not in the list of the gone. */
void c4_create_shrunk(struct c4_creation *c, struct c4_nccl_comm *parent, const int *gone,
		      int ngone);
void c4_create_end(struct c4_creation *c, struct c4_nccl_comm **made, int rc);

/* … of a parent, by colour. */
void c4_split_begin(struct c4_creation *c, struct c4_nccl_comm *parent);
void c4_split_end(struct c4_creation *c, int color, struct c4_nccl_comm **made, int rc);

/* n at once for the GPUs of this process. */
void c4_create_all_begin(struct c4_creation *c);
void c4_create_all_end(struct c4_creation *c, struct c4_nccl_comm **made, int n, int rc);

/* Creations that waited for the end of the thread's group g. */
void c4_created_group_begin(struct c4_call *call, const struct c4_group *g);
void c4_created_group_end(const struct c4_group *g, int rc);

/* What a question for the communicator's state was answered. */
void c4_comm_state(struct c4_nccl_comm *comm, int error);

void c4_comm_failed(struct c4_nccl_comm *comm, int rc); /* a call on it returned an error */
void c4_comm_revoked(struct c4_nccl_comm *comm);
/* It is about to go: destroyed or aborted. */
void c4_comm_ending(struct c4_nccl_comm *comm, bool aborted);

#endif
