/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - what diagnosis remembers between looks; private to diag.
 *
 *  - when the whole job was last seen suspended (waiting before that does not count),
 *  - pauses: waits of a second or more for one rank in one communicator that ended by themselves.
 *    After two of them such a wait is known behaviour (rank-0-only checkpoint, evaluation) up to
 *    1.5 times the longest of the last four,
 *  - per communicator: when its windows last moved, each member's usual excess of own work, and
 *    the excess averaged over the last ten seconds or so; what was hot in the last windows of its
 *    connections.
 *
 * Everything is bounded; the least recently used pause gives way.
 */
#ifndef C4_COLLECTOR_DIAG_MEMORY_H
#define C4_COLLECTOR_DIAG_MEMORY_H

#include "collector/diag/diag.h"
#include "collector/diag/hot.h"

#define C4_PAUSES	 256 /* (communicator, rank) pairs remembered */
#define C4_PAUSE_SAMPLES 4

struct c4_pause {
	uint64_t comm;
	int32_t rank;
	bool ongoing;
	bool learnable; /* the culprit could be doing this on purpose: not stopped by a signal */
	uint64_t ongoing_ns; /* longest wait seen of the ongoing one */
	uint64_t seen_ns;    /* job.now_ns of the last look at it */
	uint32_t n;	     /* finished ones */
	uint64_t recent_ns[C4_PAUSE_SAMPLES];
};

/* Something hot in the matrix of a communicator's connections, over its last windows. */
struct c4_hot_memory {
	struct c4_hot hot; /* as last seen */
	uint64_t key;
	uint8_t seen;	       /* bit 0: in the newest window, bit 1: in the one before, … */
	uint64_t first_ns;     /* job.now_ns of the window it was first in */
	bool sure;	       /* other connections of both ends were asked */
	uint64_t always, ever; /* c4_hot.where: in all of its windows, in any */
};

#define C4_HOT_KEPT 16u

/* How far beyond the usual something was that came and went; fades. */
struct c4_path_noise {
	int32_t src, dst; /* where it was worst */
	double level;
};

struct c4_path_memory {
	uint64_t serial;	       /* newest window of time seen */
	uint64_t changed_ns;	       /* job.now_ns when it changed */
	uint32_t windows;	       /* judged */
	double worst;		       /* c4_matrix_worst() of the newest */
	struct c4_path_noise noise[2]; /* the two worst, at different places */
	bool block_is_usual;	       /* hot since the first window: how this network is built */
	uint32_t n;
	struct c4_hot_memory *hot; /* C4_HOT_KEPT, made when first needed */
};

struct c4_comm_memory {
	uint64_t comm;
	uint64_t serial;     /* newest window seen */
	uint64_t changed_ns; /* job.now_ns when it changed */
	uint32_t nmembers;
	uint32_t nlearned;    /* windows that went into usual[] */
	double *usual;	      /* per member: smoothed excess of own work as share of the span */
	double *smooth;	      /* per member: the same, following changes within seconds */
	uint64_t smoothed_ns; /* length of what went into smooth[] */
	struct c4_path_memory path;
};

struct c4_diag_memory {
	uint64_t resumed_ns; /* job.now_ns when the job was last seen suspended, 0 never */
	uint64_t started_ns; /* job.now_ns of the first look */
	struct c4_pause pauses[C4_PAUSES];
	uint32_t ncomms;
	uint32_t cap;
	struct c4_comm_memory *comms;
};

/* Notes that somebody waits for `rank` in `comm` since wait_ns. */
void c4_memory_waiting(struct c4_diag_memory *m, uint64_t comm, int32_t rank, uint64_t wait_ns,
		       bool learnable, uint64_t now_ns);

/* Once per look, after all c4_memory_waiting(): pauses not seen any more have ended. */
void c4_memory_close_waits(struct c4_diag_memory *m, uint64_t now_ns);

/* How long a wait for this rank in this communicator is known to be harmless; 0: nothing known. */
uint64_t c4_memory_pause_ns(const struct c4_diag_memory *m, uint64_t comm, int32_t rank);

/* The record of a communicator, made on demand; NULL: no memory. hint: index where it likely is. */
struct c4_comm_memory *c4_memory_comm(struct c4_diag_memory *m, uint64_t comm, uint32_t nmembers,
				      uint32_t hint);

#endif
