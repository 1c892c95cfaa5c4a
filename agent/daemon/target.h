/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target.h - one segment of a process under watch: what was read from it last, its operations
 * being folded, and what the kernel says of the process. With several segments of one process
 * (kin.h) the kernel is asked for one of them.
 *
 *	open → { drain, look }* → end → (posted, settled) → close
 *
 * The segment is untrusted and may shrink or vanish at any time: then the target is `broken`, its
 * tables stay as they were last and only the process itself is still watched. Time is passed in.
 * One thread (the loop's). post.c reads these structs and marks what it has sent.
 */
#ifndef C4_AGENT_TARGET_H
#define C4_AGENT_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/daemon/conn.h"
#include "agent/daemon/fold.h"
#include "agent/daemon/kin.h"
#include "agent/daemon/proc.h"
#include "c4/segment.h"
#include "common/base/clock.h"
#include "common/base/segread.h"

#define C4_TARGET_THREADS 1024u /* slots a segment may have; both multiples of 64 */
#define C4_TARGET_COMMS	  C4_FOLD_SLOT_MAX

/* A communicator of the process. */
struct c4_target_comm {
	struct c4_seg_comm now;
	struct c4_seg_comm posted; /* as the collector knows it */
	struct c4_seg_run *runs;   /* members, NULL: not known */
	uint32_t nruns;
	bool introduced; /* its identity was posted */
	bool freed;
};

struct c4_target {
	uint32_t handle;       /* of the process: the same for all kin */
	struct c4_target *kin; /* the next segment of the process; never NULL */
	char path[PATH_MAX];
	struct c4_seg_reader seg;
	bool broken;
	struct c4_tick_rate rate;
	struct c4_fold *fold;

	struct c4_target_comm **comms; /* by slot, NULL: never used */
	uint32_t ncomms;
	struct c4_target_comm *freed; /* the last tenants of reused slots, for one more post */
	uint32_t nfreed, freed_cap;
	struct c4_seg_thread *threads; /* slots in use, as of the last look */
	uint32_t nthreads, thread_cap;
	uint64_t inside_ns, p2p_ns, calls; /* over all threads; never go back */
	struct c4_conns conns;

	struct c4_proc proc; /* latest sample, and the rates from the one before */
	bool sampled;
	uint64_t sampled_ns;
	uint32_t cpu_permille, queue_permille;
	uint64_t io_bytes;

	int pidfd; /* -1: none, ask /proc */
	bool gone;
	uint64_t gone_ns;
	bool status_known;
	bool ending; /* the user had told its job to end */
	int32_t wait_status;

	uint64_t drained_ns; /* last drain … */
	uint64_t period_ns;  /* … and how soon the next is wanted */

	uint64_t identity; /* hash: the library may know better than the environment did */
	bool introduced;   /* identity posted, as it is now */
	uint64_t end_seq;  /* the post that carries its end, 0: not yet */
};

/*
 * Opens the segment at path and looks for its process. 0 with *ret set; -EAGAIN, -EPROTO, -EBADMSG
 * as c4_seg_reader_open(); -ENOMEM; or a negative errno of open(2).
 */
int c4_target_open(const char *path, uint64_t now_ns, struct c4_target **ret);
void c4_target_close(struct c4_target *t);

/* Folds what was recorded since the last time and plans the next drain, slow_ns at the latest. */
void c4_target_drain(struct c4_target *t, uint64_t now_ns, uint64_t slow_ns);

/* Reads tables and process state anew. Without a pidfd this also finds out that it is gone. */
void c4_target_look(struct c4_target *t, uint64_t now_ns);

/* The process ended (seen at now_ns): keeps how and when, for all kin. Idempotent. */
void c4_target_end(struct c4_target *t, uint64_t now_ns);

/* Whether it knows its place in its world: without, nobody can tell who it is. */
bool c4_target_has_rank(const struct c4_target *t);

/*
 * Whether to tell of it. While it starts, its identity may still change (a spawned world has the
 * rank numbers of its parent's), so one that is quick to start is told of once it has.
 */
bool c4_target_presentable(const struct c4_target *t, uint64_t now_ns);

/* Once it is gone: reads and folds all that is left. */
void c4_target_conclude(struct c4_target *t, uint64_t now_ns);

/* Gives its file and the memory behind it back; what was read stays. */
void c4_target_drop_file(struct c4_target *t);

/* The collector knows nothing of it (any more): everything is news again. */
void c4_target_forget_posted(struct c4_target *t);

#endif
