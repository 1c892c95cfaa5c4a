/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * comm.h - communicators: which handle is which slot of the segment, who its members are, and how
 * far its operations got.
 *
 *   handle ──(set-associative table, lock-free look-up)──► slot number ──► segment slot (public)
 *                                                                     └──► c4_comms[] (private)
 *
 * Identity: hash of (launch, members as world ranks in communicator order, how many communicators
 * of exactly these members this process has seen before). Creation is collective, so all members
 * count alike and no communication is needed. Or the library says what it is (NCCL), and knows no
 * members: then each member reports its own rank, and the reader joins them.
 *
 * Changes (adding, naming, retiring) happen under c4_comm_lock(); look-ups and progress take no
 * lock. A retired slot keeps its contents, for late readers, until the table is full.
 * Nothing allocates.
 */
#ifndef C4_HOOK_COMM_H
#define C4_HOOK_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/hook.h"

/* Not slots, but what a look-up may say instead. */
#define C4_COMM_LOST	C4_SEG_NO_COMM /* known, but there was no room for it */
#define C4_COMM_ALONE	0xfffeu	       /* one member: never waits for anybody */
#define C4_COMM_UNKNOWN 0xfffdu

#define C4_COMM_KEYS 1024u /* handles known at a time, 16 to a bucket */
#define C4_COMM_WAYS 16u
#define C4_OPEN_OPS  1024u /* operations of one communicator that may be open at a time */

/* The private half of a slot. */
struct c4_comm {
	uint32_t peers;	     /* ranks in calls count 0 … peers-1 */
	uint32_t peer_first; /* … and rank 0 is this member (intercommunicators: the other group) */
	uint32_t sources;    /* topological neighbours, 0 if there is no topology */
	uint32_t targets;
	/* finished before an older one: at opno % C4_OPEN_OPS, the low bits of opno + 1 */
	uint32_t done[C4_OPEN_OPS];
};

extern struct c4_comm c4_comms[C4_SEG_COMMS] __attribute__((visibility("hidden")));
extern uint64_t c4_comm_map[C4_COMM_KEYS] __attribute__((visibility("hidden")));

/* Handles are addresses or small numbers: the upper 16 bits of a map word hold the slot. */
#define C4_COMM_KEY_MASK 0xffffffffffffULL

static inline uint32_t c4_comm_bucket(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 58) * C4_COMM_WAYS;
}

static inline uint32_t c4_comm_find(uint64_t key)
{
	const uint64_t *way = &c4_comm_map[c4_comm_bucket(key)];

	for (uint32_t i = 0; i < C4_COMM_WAYS; i++) {
		uint64_t word = __atomic_load_n(&way[i], __ATOMIC_ACQUIRE);

		if ((word & C4_COMM_KEY_MASK) == key)
			return (uint32_t)(word >> 48);
	}
	return C4_COMM_UNKNOWN;
}

/* One group's members while a communicator is being registered. */
struct c4_members {
	uint64_t hash;
	uint32_t count;
	int nruns; /* -1: more than fit */
	bool foreign;
	struct c4_seg_run runs[C4_SEG_RUNS];
};

struct c4_comm_desc {
	const struct c4_members *group; /* our own */
	const struct c4_members *other; /* the remote group, NULL for an intracommunicator */
	uint32_t my_rank;		/* in our own group */
	uint32_t sources, targets;
	const char *name; /* NULL: none */
};

/* Bounded: false when it could not be had soon, then leave the change out. */
bool c4_comm_lock(void);
void c4_comm_unlock(void);

void c4_members_init(struct c4_members *m);
void c4_members_add(struct c4_members *m, int32_t world_rank);

/* -ENOSPC: no room in the key's bucket. Binding a known key rebinds it. Needs the lock. */
int c4_comm_bind(uint64_t key, uint32_t slot);
void c4_comm_unbind(uint64_t key); /* needs no lock: the caller is about to free the handle */

/*
 * Registers a communicator: its slot, or C4_COMM_LOST (counted). Counts it among those of the same
 * members in any case. Needs the lock.
 */
uint32_t c4_comm_add(const struct c4_comm_desc *d);

/* A communicator whose library names it, but not its members. */
struct c4_comm_given {
	uint64_t id; /* equal on all members, not 0 */
	uint32_t size;
	int32_t my_rank;
	uint32_t flags;	  /* C4_COMM_*, besides C4_COMM_REPORTED */
	const char *name; /* NULL: none */
};

/* Registers it: its slot, or C4_COMM_LOST (counted). Needs the lock. */
uint32_t c4_comm_add_given(const struct c4_comm_given *g);

void c4_comm_name(uint32_t slot, const char *name, size_t n); /* needs the lock */
void c4_comm_retire(uint32_t slot);			      /* needs the lock */

/* World rank of the peer a call names, C4_FOREIGN_PEER, or C4_ANY_PEER where unknown. */
int32_t c4_comm_world_rank(uint32_t slot, int peer);

/*
 * The number of the next operation is `entered`; the caller fills in what it is and then stores
 * entered + 1. The standard forbids two threads to start collectives on one communicator at the
 * same time. Afterwards makes room for one more, if need be: an operation we lost sight of must not
 * hold up the count for ever.
 */
void c4_comm_make_room(uint32_t slot);

/*
 * Marks operation opno as finished. `finished` of the segment is the number of operations below
 * which all are finished: an operation that overtakes an older nonblocking one is noted and counted
 * when the older ones are. Several threads may finish operations at the same time.
 */
void c4_comm_finish_late(uint32_t slot, uint64_t opno);

static inline void c4_comm_finish_op(struct c4_seg_comm *c, uint32_t slot, uint64_t opno)
{
	if (__builtin_expect(__atomic_load_n(&c->finished, __ATOMIC_RELAXED) != opno, 0)) {
		c4_comm_finish_late(slot, opno);
		return;
	}
	/*
	 * Nothing older is open, so nobody else can move the count. Either we see below that a
	 * younger one was entered, or the thread that finishes that one sees our step: both write
	 * before they look, in one total order.
	 */
	__atomic_exchange_n(&c->finished, opno + 1, __ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&c->entered, __ATOMIC_SEQ_CST) != opno + 1, 0))
		c4_comm_finish_late(slot, opno);
}

#endif
