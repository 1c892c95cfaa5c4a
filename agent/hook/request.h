/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request.h - nonblocking and persistent operations between their start and their completion.
 *
 * A bounded set-associative table from request handle to what was started: a handle lives in one
 * bucket of 16 or nowhere, so every look-up is bounded and there is nothing to clean up. No room:
 * the operation is not followed, and counted.
 *
 * Threads: any number add and take at the same time. An entry belongs to the thread that owns the
 * request (the library forbids two to complete one). Taking hides it, so that a handle the library
 * reuses the moment it completes gets an entry of its own; whoever took it puts it back or drops
 * it.
 */
#ifndef C4_HOOK_REQUEST_H
#define C4_HOOK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#define C4_REQ_CELLS 16384u
#define C4_REQ_WAYS  16u

/* A request of the Fortran interface is a small number: made odd, it is no address. */
#define C4_REQ_FORTRAN(fint) ((uint64_t)(uint32_t)(fint) << 1 | 1)

struct c4_request {
	uint64_t comm_id; /* tells whether the slot is still this communicator's */
	uint64_t opno;
	uint64_t bytes;
	void *newcomm; /* where the handle of a duplicate will be, NULL for others */
	int32_t peer;  /* collectives: root */
	uint16_t slot; /* communicator slot or C4_SEG_NO_COMM */
	uint8_t kind;  /* enum c4_op */
	uint8_t flags; /* C4_REQ_* */
	uint8_t dtype, redop;
};

#define C4_REQ_P2P	  0x01u
#define C4_REQ_PERSISTENT 0x02u /* survives its completion */
#define C4_REQ_ACTIVE	  0x04u /* started and not known to be complete */
#define C4_REQ_F_NEWCOMM  0x08u /* newcomm is a Fortran handle */

/*
 * Adds a request; one with the same handle must be a leftover (completed where we did not see it)
 * and is replaced: then *stale holds it and *was_stale is true. False: no room.
 */
bool c4_request_add(uint64_t key, const struct c4_request *r, struct c4_request *stale,
		    bool *was_stale);

/* Cell of a request, or -1. The entry may be read while the caller owns the request. */
int32_t c4_request_find(uint64_t key);

/* The same, hidden from look-ups until put back or dropped. */
int32_t c4_request_take(uint64_t key);
void c4_request_put(int32_t cell, uint64_t key);
void c4_request_drop(int32_t cell);

struct c4_request *c4_request_at(int32_t cell);

#endif
