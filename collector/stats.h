/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stats.h - what the collector counts about itself. The lists are written once: counters, labels
 * of /metrics and HTTP answers come from them.
 */
#ifndef C4_COLLECTOR_STATS_H
#define C4_COLLECTOR_STATS_H

#include <stdint.h>

/* Posts refused as a whole: constant, label, HTTP status. */
#define C4_POST_REFUSALS(X)                                                                        \
	X(TOO_LARGE, "too-large", 413)                                                             \
	X(TYPE, "wrong-type", 415)                                                                 \
	X(VERSION, "unknown-version", 404)                                                         \
	X(DECODE, "undecodable", 400)                                                              \
	X(AGENT, "bad-agent", 400)                                                                 \
	X(AGENTS_FULL, "too-many-agents", 503)                                                     \
	X(BUSY, "out-of-buffers", 503)                                                             \
	X(DUPLICATE, "duplicate", 200)

/* Parts of an accepted post that were left out: constant, label. */
#define C4_PART_REFUSALS(X)                                                                        \
	X(PROCESS, "bad-process")                                                                  \
	X(PROCESSES_FULL, "too-many-processes")                                                    \
	X(UNKNOWN_PROCESS, "unknown-process")                                                      \
	X(CONFLICT, "rank-conflict")                                                               \
	X(JOBS_FULL, "too-many-jobs")                                                              \
	X(RANKS_FULL, "too-many-ranks")                                                            \
	X(COMM, "bad-communicator")                                                                \
	X(COMMS_FULL, "too-many-communicators")                                                    \
	X(UNKNOWN_COMM, "unknown-communicator")                                                    \
	X(MEMBER, "member-conflict")                                                               \
	X(CONN, "bad-connection")                                                                  \
	X(CONNS_FULL, "too-many-connections")                                                      \
	X(DEVICE, "bad-device")                                                                    \
	X(DEVICES_FULL, "too-many-devices")                                                        \
	X(BLOCK, "bad-block")                                                                      \
	X(STALE_BLOCK, "stale-block")                                                              \
	X(THREAD, "bad-thread")                                                                    \
	X(MEMORY, "out-of-memory")

enum c4_post_refusal {
	C4_POST_OK,
#define C4_X(sym, label, status) C4_POST_##sym,
	C4_POST_REFUSALS(C4_X)
#undef C4_X
		C4_POST_REFUSAL_MAX
};

enum c4_part_refusal {
	C4_PART_OK,
#define C4_X(sym, label) C4_PART_##sym,
	C4_PART_REFUSALS(C4_X)
#undef C4_X
		C4_PART_REFUSAL_MAX
};

struct c4_stats {
	uint64_t posts, post_bytes;
	uint64_t posts_refused[C4_POST_REFUSAL_MAX];
	uint64_t parts_refused[C4_PART_REFUSAL_MAX];
	uint64_t windows, windows_incomplete;
	uint64_t comms_evicted, jobs_evicted;
	uint64_t ticks, tick_ns, judgements, judge_ns;
	uint64_t verdicts_failed; /* judgements without memory */
};

#endif
