/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.h - the c4run processes of one launch on one node, meeting in its runtime directory: one of
 * them becomes the keeper and starts the daemons, the others learn the collector's address.
 *
 *   run.members    shared lock held by every c4run; whoever gets it exclusively is alone
 *   run.keeper     exclusive lock held by the keeper
 *   run.collector  HOST:PORT, or an empty line when there is none; written by rename
 *   run.rank0      exists if world rank 0 runs on this node
 *
 * Locks are flock(2): the kernel drops them however a process ends. Nothing here blocks.
 */
#ifndef C4_RUN_NODE_H
#define C4_RUN_NODE_H

#include <stdbool.h>
#include <stddef.h>

struct c4_node {
	const char *dir; /* borrowed */
	int members_fd;
	int keeper_fd;
	bool keeper;
};

/* 0 and n->keeper says which role, or a negative errno. */
int c4_node_join(struct c4_node *n, const char *dir, bool rank0);

/* Keeper: tells the others; address NULL: there is no collector. 0 or a negative errno. */
int c4_node_publish(const struct c4_node *n, const char *address);

/* Others: 0 and the address (may be empty) in buf[size], or -EAGAIN while it is not known. */
int c4_node_lookup(const struct c4_node *n, char *buf, size_t size);

/* Keeper: whether all others of this node have ended. */
bool c4_node_alone(const struct c4_node *n);

bool c4_node_has_rank0(const struct c4_node *n);

/*
 * A keeper that forks a monitor: the parent resigns (the child's descriptor keeps the lock), the
 * child stands by: it no longer counts as a member. c4_node_stand_by() gives 0 or a negative errno.
 */
void c4_node_resign(struct c4_node *n);
int c4_node_stand_by(struct c4_node *n);

/* Drops what this process holds; the files stay for the others. Idempotent. */
void c4_node_leave(struct c4_node *n);

#endif
