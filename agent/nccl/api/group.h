/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * group.h - what a thread has put into a NCCL group that it has not ended yet: NCCL makes the
 * communicators and launches the operations when the outermost group ends.
 *
 * A thread borrows its list from a bounded stock while a group is open (a library that may be
 * loaded late has little thread-local storage). Without one its operations are timed on the host,
 * its creations not followed.
 */
#ifndef C4_NCCL_API_GROUP_H
#define C4_NCCL_API_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/hook/record.h"
#include "agent/nccl/api/types.h"

#define C4_GROUPS	   64u /* open at a time */
#define C4_GROUP_CREATIONS 64u
#define C4_GROUP_OPS	   256u

struct c4_group {
	uint32_t ncreations;
	uint32_t nops;
	struct {
		uint32_t slot; /* or what a look-up would say */
		struct c4_nccl_comm **made;
	} creations[C4_GROUP_CREATIONS];
	struct {
		uint32_t slot, ticket; /* timing.h */
		void *stream;
	} ops[C4_GROUP_OPS];
};

/* The calling thread's. */
struct c4_my_group {
	uint32_t depth;	       /* groups within groups */
	struct c4_group *list; /* NULL: no group is open, or there was none left */
};

extern _Thread_local struct c4_my_group c4_my_group __attribute__((visibility("hidden")));

/* A group was opened. */
void c4_group_open(void);

/* … was ended: returns true for the outermost one, whose list is given back with
 * c4_group_close(). */
bool c4_group_end(void);
void c4_group_close(void);

static inline bool c4_group_is_open(void)
{
	return c4_my_group.depth > 0;
}

/* Whether ending one more ends the outermost, with something in it. */
static inline bool c4_group_pending(void)
{
	return c4_my_group.depth == 1 && c4_my_group.list &&
	       c4_my_group.list->ncreations + c4_my_group.list->nops > 0;
}

/* False: no room. */
bool c4_group_add_creation(uint32_t slot, struct c4_nccl_comm **made);
bool c4_group_add_op(uint32_t slot, uint32_t ticket, void *stream);

/* Shows the thread inside operation opno of call->slot; c4_other_leave() hides it. */
void c4_api_show(struct c4_call *call, uint8_t kind, uint64_t opno);

#endif
