/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conntab.h - the connections of one communicator, joined from what both ends tell of them.
 *
 * A connection is (source member, destination member, channel). Agents tell cumulative counters;
 * the table keeps them for the diagnosis and cuts their growth into windows of time:
 *
 *	|---- at least C4_CONN_WINDOW_NS, as soon as most of those that carried something in the
 *	      window before (in the first one: of all that were heard of) have carried
 *	      C4_CONN_WINDOW_BYTES again (steps may be seen only now and then: the hook's duty
 *	      cycle), C4_CONN_PATIENCE_NS at most ----|
 *
 * Counters that go back, or that another process tells, begin anew: nothing is counted between.
 * A window in which nobody carried anything is none.
 *
 * An end's age grows on between posts only while its process has told everything it knows
 * (c4_conntab_age()): what an agent had to leave out for want of room is what moves.
 *
 * A connection takes about 430 bytes with its place in the index; their number over all
 * communicators is limited by the caller (model.h). All zero is a valid empty table. One thread.
 */
#ifndef C4_COLLECTOR_CONNTAB_H
#define C4_COLLECTOR_CONNTAB_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/diag/diag.h"
#include "common/ds/map.h"

#define C4_CONN_WINDOW_NS    2000000000u
#define C4_CONN_PATIENCE_NS  10000000000u
#define C4_CONN_WINDOW_BYTES (1u << 20)

struct c4_conn_key {
	uint32_t src, dst; /* members, below 2^24 */
	uint32_t channel;  /* below 2^16 */
};

/* What one end says at one moment. */
struct c4_conn_report {
	uint32_t teller; /* world rank of the process that says so */
	uint32_t phase, active;
	uint64_t opno;
	uint64_t posted, transmitted, done, bytes;
	uint64_t busy_ns, gpu_ns, peer_ns;
	uint64_t told_ns;     /* collector's time of the sample … */
	uint64_t progress_ns; /* … and of its last progress before it */
};

/* Beside each struct c4_diag_end, what only the collector needs. */
struct c4_conn_track {
	uint32_t teller;
	uint64_t bytes, busy_ns, gpu_ns, peer_ns; /* as told last */
	uint64_t told_ns, progress_ns;
	uint64_t sum_bytes, sum_steps, sum_busy_ns, sum_gpu_ns, sum_peer_ns; /* open window */
};

struct c4_conntab {
	struct c4_diag_conn *conns;
	struct c4_conn_track (*tracks)[2]; /* [0] of the sending end */
	uint32_t n, cap, tracks_cap;
	struct c4_map index; /* key → place + 1 */
	uint32_t hint;	     /* where the next report's connection is, likely */
	uint64_t opened_ns;  /* of the open window, 0: none yet */
	uint32_t filled, expected;
	uint64_t serial;    /* windows closed */
	uint64_t window_ns; /* length of the last one */
};

void c4_conntab_release(struct c4_conntab *t);

/* The place of a connection, -1 if it is not there. */
int64_t c4_conntab_find(struct c4_conntab *t, const struct c4_conn_key *key);

/* Adds one; its place, or -1: out of memory. */
int64_t c4_conntab_add(struct c4_conntab *t, const struct c4_conn_key *key, uint64_t now_ns);

/* Takes what the sending (or receiving) end of the connection at this place says. */
void c4_conntab_tell(struct c4_conntab *t, uint32_t at, bool sends, const struct c4_conn_report *r);

/* This process is gone or another one has its place: what it told is not known any more. */
void c4_conntab_forget(struct c4_conntab *t, uint32_t teller);

/* Brings ages up to now. until(arg, teller): the moment up to which silence of this process means
 * that nothing happened, 0: up to its last report only. */
void c4_conntab_age(struct c4_conntab *t, uint64_t (*until)(void *arg, uint32_t teller), void *arg);

/* Closes the window if it is time; true if it did. */
bool c4_conntab_poll(struct c4_conntab *t, uint64_t now_ns);

#endif
