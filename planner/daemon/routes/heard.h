/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heard.h - from what the collector says of pairs of hosts (planner/io/ratings.h) to links.
 *
 * The collector sees that h1→h5 is slow, not which way that goes. The connections that agents report
 * between the two, RDMA before TCP, have known ways; with those of pairs that are well they leave
 * few links (planner/model/sense/blame.h). One link is suspected by name. The two links of one way
 * cannot be told apart without others that use them: both are planned weak, none is named. More than
 * that is no reason to plan otherwise.
 *
 *	accuses ──► its links are planned weak, routes move ──► left ──► slow still: ends
 *	                                                          └───► well: forgotten
 *
 * A pair that is slow on another way too is slow by its ends: what only such pairs accused is
 * acquitted at once, and they accuse nobody any more until nothing was heard of them for
 * C4_HEARD_FORGET_NS. So a bad host cannot take one link after the other.
 * Loop's thread; at most C4_HEARD_MAX accused pairs are remembered, others accuse nobody.
 */
#ifndef C4_PLANNER_HEARD_H
#define C4_PLANNER_HEARD_H

#include "planner/daemon/edition.h"
#include "planner/daemon/routes/flows.h"
#include "planner/daemon/routes/suspects.h"
#include "planner/io/ratings.h"

#define C4_HEARD_MAX	   256u
#define C4_HEARD_LINKS	   2u		  /* that one pair has accused */
#define C4_HEARD_SETTLE_NS 20000000000ull /* what was measured before a move is over */
#define C4_HEARD_FORGET_NS 60000000000ull

/* What became of a pair's word: symbol, name in JSON. */
#define C4_HEARD_STATES(X)                                                                         \
	X(UNSEEN, "unseen")   /* no connection of known way between the two */                     \
	X(DOUBT, "doubt")     /* nothing, or too much, explains it */                              \
	X(ACCUSES, "accuses") /* links of its way */                                               \
	X(LEFT, "left")	      /* it takes another way by now */                                    \
	X(ENDS, "ends")	      /* it is slow whichever way it takes */

enum c4_heard_state {
#define C4_X(sym, name) C4_HEARD_##sym,
	C4_HEARD_STATES(C4_X)
#undef C4_X
};

struct c4_heard_pair {
	uint32_t src, dst, src_rail, dst_rail; /* as struct c4_rating */
	enum c4_heard_state state;
	float slow;
	uint32_t link[C4_HEARD_LINKS]; /* directed: accused */
	uint32_t n_links;
	uint64_t heard_ns; /* when it was last said to be slow */
	uint64_t left_ns;  /* since when it takes none of them; 0: it does */
};

struct c4_heard {
	struct c4_heard_pair v[C4_HEARD_MAX];
	uint32_t n;
	uint64_t lost; /* accused pairs there was no room for */
};

const char *c4_heard_state_name(enum c4_heard_state s);

/* Another fabric: numbers of hosts and links mean something else. */
void c4_heard_clear(struct c4_heard *h);

/*
 * The ratings of now, all of them, made on e's fabric; none: whatever was slow is well. 0 or
 * -ENOMEM: nothing was done.
 */
int c4_heard_take(struct c4_heard *h, struct c4_suspects *s, const struct c4_edition *e,
		  const struct c4_flows *flows, const struct c4_ratings *r, uint64_t now_ns);

#endif
