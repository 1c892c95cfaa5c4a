/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * join.h - pieces of finished operations, told by each member of a communicator → windows that
 * cover the same operations on all of them. Needs no clock of any node.
 *
 *   member 0   |--------|--------|---:----|          | block boundary (multiple of 2^level)
 *   member 1   |--------|------:-|--------|          : cut by time
 *   member 2   |----------------|--------|
 *   common     ^                ^        ^           windows may end only here
 *
 * All agents cut at multiples of powers of two, so members that tell blocks of different levels or
 * partial ones still share boundaries. A window runs from one common boundary to a later one: the
 * first that makes it as long as C4_JOIN_SPAN_NS by the members' own measure, or, in a slow job,
 * the newest one after C4_JOIN_PATIENCE_NS, so that verdicts are not delayed.
 *
 * Bounded: a member's queue holds C4_JOIN_QUEUE pieces; when it is full two neighbours become one,
 * giving up the least round boundary (all members keep the roundest ones, so they still meet).
 * Nothing is lost by it but resolution. Boundaries that nobody else shares are dropped likewise.
 *
 * Pure but for memory: `now_ns` is passed in. One thread. The windows belong to the join.
 */
#ifndef C4_COLLECTOR_JOIN_H
#define C4_COLLECTOR_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/diag/diag.h"

#define C4_JOIN_QUEUE	    16u
#define C4_JOIN_MARKS	    64u
#define C4_JOIN_SPAN_NS	    500000000u
#define C4_JOIN_PATIENCE_NS 1000000000u

/* What a member did in operations [first, first+count). part.missing of them went unseen. */
struct c4_piece {
	uint64_t first;
	uint32_t count;
	uint32_t kind; /* of the last operation */
	uint64_t bytes, alg_bytes, bus_bytes;
	struct c4_diag_part part; /* .present is ignored */
};

/* One window, as told when it closes; valid during the call only. */
struct c4_joined {
	const struct c4_diag_window *window;
	uint32_t kind;			      /* of the last operation */
	uint64_t bytes, alg_bytes, bus_bytes; /* the largest over members */
	bool complete;			      /* every member is there, none misses an operation */
};

struct c4_join;

/* closed: called once for each window, oldest first. NULL: out of memory. */
struct c4_join *c4_join_new(uint32_t size, void (*closed)(void *arg, const struct c4_joined *),
			    void *arg);
void c4_join_free(struct c4_join *j);

/*
 * Adds a piece of member < size; may close windows. Pieces of a member come in order; gaps count as
 * missing. 0; -EEXIST: (partly) told before, ignored; -ENOMEM: ignored, will count as missing.
 */
int c4_join_add(struct c4_join *j, uint32_t member, const struct c4_piece *p, uint64_t now_ns);

/* Windows no longer wait for this member (its agent is silent, it is gone, it never came): what it
 * told of the open window is dropped. It is expected again from its next piece on. */
void c4_join_excuse(struct c4_join *j, uint32_t member);

/* As excuse, and it may begin again from operation 0: another process took its place. */
void c4_join_restart(struct c4_join *j, uint32_t member);

/* Closes what patience (or force: the report wants everything now) allows. */
void c4_join_poll(struct c4_join *j, uint64_t now_ns, bool force);

/* True when poll could do something. */
bool c4_join_pending(const struct c4_join *j);

/* The last complete windows, oldest first, at most C4_DIAG_WINDOWS; parts stay valid until the
 * next add, excuse or poll. Returns their number. */
uint32_t c4_join_windows(const struct c4_join *j, struct c4_diag_window *windows);

/* Windows ever closed: changes when c4_join_windows() would answer anew. */
uint64_t c4_join_serial(const struct c4_join *j);

#endif
