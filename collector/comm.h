/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * comm.h - one communicator of a job: who its members are, how far each is, and what they did.
 *
 * `state` is the array the diagnosis reads (one item per member, ages brought up to date before
 * each judgement); `members` beside it holds what only the collector needs. Both are as long as
 * the communicator. Owned by its job (model.h). One thread.
 */
#ifndef C4_COLLECTOR_COMM_H
#define C4_COLLECTOR_COMM_H

#include <stdbool.h>
#include <stdint.h>

#include "c4/segment.h"
#include "collector/conntab.h"
#include "collector/diag/diag.h"
#include "collector/join.h"

struct c4_stats;

#define C4_COMM_NAME_BYTES 72u

struct c4_member {
	uint64_t enter_ns; /* collector's time at which it entered its operation, 0: outside */
	uint64_t begun_ns; /* … at which its last kernel began, 0: that one has ended */
	uint64_t bytes;	   /* Σ of its blocks, as are: */
	uint64_t inside_ns;
	uint64_t own_ns, span_ns; /* of closed windows, as are: */
	uint64_t late_ns, late_ops;
	uint64_t sends, send_bytes, p2p_wait_ns, errors; /* as last told */
	bool freed;
};

struct c4_comm {
	uint64_t id;
	uint32_t slot; /* index in the job's tables */
	uint32_t size;
	uint32_t flags;	       /* C4_COMM_* of segment.h */
	uint32_t known, freed; /* members that reported it, that freed it */
	uint64_t created_ns;
	uint64_t freed_ns; /* when the last member freed it, 0: alive */
	bool waited;	   /* unknown members have been excused */
	uint64_t runs_hash;
	char name[C4_COMM_NAME_BYTES];
	int32_t *ranks; /* world ranks by member; NULL: not told (truncated). C4_COMM_REPORTED:
			 * -1 until the member says who it is */
	struct c4_diag_member *state;
	struct c4_member *members;
	struct c4_join *join;
	struct c4_conntab conns;
	uint64_t joined_serial; /* of the windows last copied for the diagnosis */
	struct c4_stats *stats;

	/* over closed windows */
	uint64_t inside_ns; /* Σ over members, of all blocks */
	double busy_ns;	    /* Σ of the time of the last to arrive */
	double alg_bytes;   /* moved within busy_ns, counted as nccl-tests does: S … */
	double bus_bytes;   /* … and what crosses the busiest link */
	double step_ns;	    /* mean time from one operation to the next in the newest window */
};

/* What identifies a communicator, validated. runs may be empty (truncated). */
struct c4_comm_identity {
	uint64_t id;
	uint32_t size, flags;
	const char *name; /* clean text, "" if the program gave none */
	const struct c4_seg_run *runs;
	uint32_t nruns;
};

/* NULL: out of memory. The name is the program's or made from the members. */
struct c4_comm *c4_comm_new(const struct c4_comm_identity *who, uint64_t now_ns,
			    struct c4_stats *stats);
void c4_comm_free(struct c4_comm *c);

/* Appends the members to the name: "pair{4,5}", "comm{0-6:2,9…}". */
void c4_comm_name_members(struct c4_comm *c);

/* True when who is what c was made from. */
bool c4_comm_same(const struct c4_comm *c, const struct c4_comm_identity *who);

/* Member index of a world rank that says it is member `hint`; -1: it is no member. */
int64_t c4_comm_member_of(const struct c4_comm *c, uint32_t rank, uint32_t hint);

/*
 * C4_COMM_REPORTED, as large as the world, and those who have come sit where they do in the world:
 * then so will the rest, for whom a creation that hangs waits. Fills their ranks in, until they
 * come, and returns true; else takes such guesses back.
 */
bool c4_comm_presume(struct c4_comm *c, uint32_t world_size);

/* C4_COMM_REPORTED: gives the member its world rank; false if another one has it. */
bool c4_comm_claim(struct c4_comm *c, uint32_t member, uint32_t rank);

/* True when every member's world rank is known. */
bool c4_comm_complete(const struct c4_comm *c);

/* Takes one piece of finished operations; 0 or what c4_join_add() says. */
int c4_comm_piece(struct c4_comm *c, uint32_t member, const struct c4_piece *p, uint64_t inside_ns,
		  uint64_t now_ns);

/* Stops waiting for members that never reported, C4_COMM_GRACE_NS after creation. */
void c4_comm_excuse_unknown(struct c4_comm *c, uint64_t now_ns);
#define C4_COMM_GRACE_NS 5000000000u

/* Numbers for people. */
uint64_t c4_comm_ops(const struct c4_comm *c);
uint64_t c4_comm_bytes(const struct c4_comm *c);
double c4_comm_algbw_gbps(const struct c4_comm *c); /* 0: not known */
double c4_comm_busbw_gbps(const struct c4_comm *c);
double c4_member_lateness_ms(const struct c4_member *m);

/* The members with the largest lateness, worst first: their indices into out[n]; returns how many.
 */
uint32_t c4_comm_latest(const struct c4_comm *c, uint32_t *out, uint32_t n);

#endif
