/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn.h - the connections of one segment: what was read of them last, and which to tell next.
 *
 * A process may have thousands that all move in every step, so not every change is told: a budget
 * of bytes refills at a steady rate, which depends on what else the process has to tell (with many
 * busy communicators little is left), but never dries up. Told first are those that are stuck
 * (in an operation, without progress for a while), then those at rest, then, from what is left
 * above a reserve for the former two, those that move, the one not heard of for the longest time
 * first. What is told is the state at that moment, counters are cumulative: nothing is lost by
 * telling later. A connection that is taken down is told once more. While the collector asks for
 * detail it pays for it: the rate is C4_CONNS_RATE_ASKED, so that windows of all connections close
 * within seconds.
 *
 * Bounded: C4_CONNS_MAX slots, C4_CONNS_READ of them read at a look (then the next ones), as many
 * retired ones waiting as there are slots; further ones are counted in `lost`. One thread.
 */
#ifndef C4_AGENT_CONN_H
#define C4_AGENT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "c4/segment.h"
#include "common/base/clock.h"
#include "common/base/segread.h"

#define C4_CONNS_MAX  4096u /* slots a segment may have; a multiple of 64 */
#define C4_CONNS_READ 256u
#define C4_CONNS_POST 256u /* told in one post */

/* Bytes a second: of the connections at least and at most, and of a process in all. */
#define C4_CONNS_RATE_MIN 160u
#define C4_CONNS_RATE_MAX 640u
#define C4_PROCESS_RATE	  1740u

#define C4_CONNS_RATE_ASKED 2560u /* of the connections, while detail is asked for */

/* What changes while a connection lives. */
struct c4_conn_state {
	uint64_t change_ticks;
	uint64_t posted, transmitted, done;
	uint32_t phase, active;
};

struct c4_conn {
	struct c4_seg_conn now;
	struct c4_conn_state told; /* as the collector knows it; all 0: not at all */
	uint64_t told_ns;
	uint64_t busy_ns, gpu_ns, peer_ns; /* of `now`, when it was picked; never go back */
};

struct c4_conns {
	struct c4_conn **slots; /* NULL: not in use */
	uint32_t cap;
	uint32_t at;		  /* slot the next look begins with */
	struct c4_conn **retired; /* taken down, and still to be told of */
	uint32_t nretired, retired_cap;
	uint64_t lost; /* retired ones that did not fit there */

	struct c4_conn **due; /* picked, most urgent first */
	uint32_t ndue, due_cap;
	uint32_t late; /* have changed as well, but have to wait */

	int64_t budget;	    /* bytes; negative: overdrawn */
	uint64_t filled_ns; /* when it was refilled last; 0: never, it is full */
	uint64_t other;	    /* bytes that went for other things since then */
	uint64_t asked_ns;  /* detail is asked for until then */
};

/* All zero is a valid empty one. 0 or -ENOMEM. */
int c4_conns_init(struct c4_conns *s, uint32_t cap);
void c4_conns_release(struct c4_conns *s);

/* Reads the table anew, or the next part of it; all of it once the owner is gone. */
void c4_conns_look(struct c4_conns *s, struct c4_seg_reader *seg);

/*
 * Picks those to tell now: due[0…ndue) and late, valid until the next look. last: there will be no
 * other chance, so the budget does not matter.
 */
void c4_conns_pick(struct c4_conns *s, const struct c4_tick_rate *rate, uint64_t now_ns, bool last);

/* Detail of them is asked for until then. */
void c4_conns_ask(struct c4_conns *s, uint64_t until_ns);

/* Those that were picked are in a post, with so many bytes; so many others of the process, too. */
void c4_conns_told(struct c4_conns *s, uint64_t now_ns, size_t bytes, size_t other);

/* The collector knows nothing of them (any more). */
void c4_conns_forget_told(struct c4_conns *s);

#endif
