/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * segment.h - what a hooked process leaves in shared memory: one file per process.
 *
 *   offset 0          struct c4_seg_header       who, where, clock, table of contents
 *   thread_off        struct c4_seg_thread[]     where each thread is now
 *   comm_off          struct c4_seg_comm[]       how far each communicator is
 *   run_off           struct c4_seg_run[]        members, as runs of world ranks
 *   ring_off          struct c4_event[]          finished operations, newest overwrite oldest
 *   conn_off          struct c4_seg_conn[]       transport progress of each connection (NCCL)
 *
 * A process with two hooks (MPI and NCCL) has two files; pid and start time tell that they belong
 * together.
 *
 * Rules
 *  - The process writes, the agent only reads (with pread: a truncated file cannot kill it), but
 *    for one word, detail_until, which the agent writes (with pwrite) and the process reads.
 *    The file outlives the process; whoever drained it last removes it.
 *  - One writer per word: a thread slot belongs to its thread, a communicator's live words to
 *    the thread inside an operation on it (MPI forbids two), counters to atomic adds.
 *  - `magic` is written last when the segment is ready.
 *  - The reader trusts nothing: table bounds against the file size, `gen` before and after a
 *    slot's copy, `stamp` and `head` before and after a record's copy.
 *  - Times are raw ticks of `clock` (the time stamp counter where the kernel itself trusts it:
 *    10 ns a read instead of 23). (ticks0, mono0_ns) ties them to CLOCK_MONOTONIC; the agent
 *    takes a second pair on the same host, which gives the rate.
 */
#ifndef C4_SEGMENT_H
#define C4_SEGMENT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define C4_SEG_MAGIC   0x31474553344321ffULL /* ff '!' "C4SEG1", read as little endian */
#define C4_SEG_VERSION 1u

#define C4_SEG_THREADS 64u   /* threads that call MPI at a time; more are counted as lost */
#define C4_SEG_COMMS   256u  /* live communicators; more are counted as lost */
#define C4_SEG_RUNS    4096u /* member runs of all communicators together */
#define C4_SEG_EVENTS  8192u /* power of two */
#define C4_SEG_RECENT  8u    /* operations a communicator remembers; power of two */
#define C4_SEG_PEERS   8u    /* peers a waiting thread can name */
#define C4_SEG_CONNS   2048u /* connections: (communicator, channel, peer, direction); NCCL only */

#define C4_NAME_BYTES 64u /* job, node, host, program: NUL-terminated, cut if longer */

enum c4_seg_clock { C4_CLOCK_MONO_NS, C4_CLOCK_TSC, C4_CLOCK_CNTVCT };

enum c4_seg_phase {
	C4_PHASE_INIT, /* inside MPI_Init */
	C4_PHASE_RUN,
	C4_PHASE_FINALIZING, /* inside MPI_Finalize */
	C4_PHASE_FINALIZED,  /* may exit whenever it likes: not a crash */
	C4_PHASE_ABORTED,    /* called MPI_Abort itself */
};

/* What the hook had to leave out; each is a counter the reader shows. */
#define C4_SEG_LOSSES(X)                                                                           \
	X(COMMS, "communicators beyond the table")                                                 \
	X(RUNS, "communicators whose members did not fit")                                         \
	X(THREADS, "threads beyond the table")                                                     \
	X(REQUESTS, "nonblocking operations not followed")                                         \
	X(EVENTS, "records dropped because another thread was writing in their place")             \
	X(CONNS, "connections beyond the table")                                                   \
	X(OPS, "operations in flight beyond the table")

enum c4_seg_loss {
#define C4_SEG_LOSS_ENUM(sym, help) C4_LOST_##sym,
	C4_SEG_LOSSES(C4_SEG_LOSS_ENUM)
#undef C4_SEG_LOSS_ENUM
		C4_LOST_MAX
};
#define C4_SEG_LOSS_SLOTS 8u /* room for newer counters without a new layout */

struct c4_seg_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint64_t total_bytes;
	uint32_t thread_off, thread_cap, thread_bytes;
	uint32_t comm_off, comm_cap, comm_bytes;
	uint32_t run_off, run_cap, run_bytes;
	uint32_t ring_off, ring_cap, event_bytes;

	uint32_t pid;
	uint32_t clock;		/* enum c4_seg_clock */
	uint64_t start_jiffies; /* /proc/PID/stat field 22: tells a reused pid */
	uint64_t ticks0;	/* the same instant … */
	uint64_t mono0_ns;	/* … on CLOCK_MONOTONIC */
	uint64_t launch;	/* one launch of one job: equal on its ranks, differs on restart */
	uint32_t world_size;
	int32_t world_rank;
	char job[C4_NAME_BYTES];
	char node[C4_NAME_BYTES];
	char host[C4_NAME_BYTES];
	char program[C4_NAME_BYTES];
	char hook[16];	  /* "mpi", "nccl", "nccl-api" */
	char library[48]; /* e.g. "Open MPI 4.1.4" */

	uint32_t phase;	    /* enum c4_seg_phase */
	int32_t abort_code; /* valid in C4_PHASE_ABORTED */
	uint64_t lost[C4_SEG_LOSS_SLOTS];

	uint64_t head __attribute__((aligned(64))); /* events ever begun; atomic add */
	uint32_t conn_off, conn_cap, conn_bytes;    /* all 0: this hook has no such table */
	int32_t gpu;				    /* CUDA device, -1: none or not known yet */
	char gpu_bus[16];			    /* its PCI bus id, "" unknown */
	uint64_t detail_until; /* written by the agent: transport steps are wanted until then, in
				* ticks; 0: not. Runs out by itself when the agent is gone */
	uint64_t detail_now;   /* event mask that is set, for the reader */
};

/* Where a thread is. kind NONE: outside the library. */
struct c4_seg_thread {
	uint32_t tid; /* 0: slot unused */
	uint8_t kind; /* enum c4_op, written last on entry and first on exit */
	uint8_t flags;
	uint16_t comm;		     /* slot in the communicator table, C4_SEG_NO_COMM if none */
	uint64_t enter_ticks;	     /* of the call it is in */
	uint64_t leave_ticks;	     /* of its last call */
	uint64_t opno;		     /* of the collective it is in or waits for, else 0 */
	uint64_t inside_ticks;	     /* Σ time inside calls that can wait, all kinds */
	uint64_t p2p_ticks;	     /* the part of it spent in point-to-point calls */
	uint64_t calls;		     /* … and their number */
	uint32_t npeers;	     /* peers waited for; may exceed C4_SEG_PEERS */
	int32_t peers[C4_SEG_PEERS]; /* world ranks; C4_ANY_PEER for MPI_ANY_SOURCE */
	uint32_t pad[9];
};
#define C4_SEG_NO_COMM	0xffffu
#define C4_ANY_PEER	(-1) /* any member of the communicator */
#define C4_FOREIGN_PEER (-2) /* a process of another world */

/* flags of a thread slot */
#define C4_THREAD_POLLING                                                                          \
	0x01u /* kind WAIT by repeated Test/Iprobe calls; leave_ticks = last poll */
#define C4_THREAD_SENDING 0x02u /* the peers are receivers it waits for */

/* A communicator: 4 lines of 64 bytes, so that the hot words share one line. */
struct c4_seg_comm {
	/* who: written at registration; odd gen = being written */
	uint32_t gen;
	uint32_t state; /* enum c4_seg_comm_state */
	uint64_t id;	/* equal on all members; 0 never */
	uint32_t size;
	int32_t my_rank;    /* rank inside this communicator */
	uint32_t run_first; /* members, in communicator rank order */
	uint32_t run_count;
	uint32_t flags;
	char name[28]; /* empty: the program gave none */

	/* now: kind…root describe operation number entered - 1 */
	uint64_t entered __attribute__((aligned(64))); /* operations entered, written last */
	uint64_t enter_ticks;
	uint64_t bytes;
	uint64_t finished;
	uint64_t leave_ticks;
	int32_t root; /* communicator rank, -1 if none */
	uint8_t kind; /* enum c4_op */
	uint8_t dtype;
	uint8_t redop;
	uint8_t pad0;
	uint64_t created_ticks;
	uint64_t pad1;

	/* sums since creation; atomic adds where threads share */
	uint64_t p2p_sends __attribute__((aligned(64)));
	uint64_t p2p_send_bytes;
	uint64_t p2p_recvs;
	uint64_t p2p_recv_bytes; /* posted size: the received one may be smaller */
	uint64_t p2p_wait_ticks;
	uint64_t errors;		/* operations that returned an error */
	uint32_t recent[C4_SEG_RECENT]; /* c4_op_brief of operation n at n % C4_SEG_RECENT */

	/* C4_COMM_GPU: how far operations got on their way to the GPU. `entered` counts those
	 * handed to a stream, `finished` those whose kernel ended; p2p operations are counted here
	 * only */
	uint64_t api_calls;	  /* collectives the program has called */
	uint64_t gpu_started;	  /* operations whose kernel has begun */
	uint64_t gpu_start_ticks; /* when the last of these began */
	uint64_t p2p_started, p2p_finished;
	uint64_t async_error; /* ncclResult_t of the communicator, 0: none */
};

enum c4_seg_comm_state { C4_COMM_FREE, C4_COMM_LIVE, C4_COMM_DEAD };

/* flags of a communicator */
#define C4_COMM_INTER	  0x01u /* intercommunicator: members = both groups, lower hash first */
#define C4_COMM_TRUNCATED 0x02u /* member runs did not fit */
#define C4_COMM_FOREIGN	  0x04u /* has members of another world: recorded, never judged */
#define C4_COMM_REPORTED  0x08u /* no runs: each member tells my_rank, the reader joins them by id \
				 */
#define C4_COMM_GPU 0x10u /* inside = kernel start to kernel end; see the counters at the end */
#define C4_COMM_ABORTED 0x20u /* the program gave it up (ncclCommAbort, ncclCommRevoke) */

/* Members count·world ranks: first, first+stride, … */
struct c4_seg_run {
	int32_t first;
	int32_t stride;
	uint32_t count;
};

/*
 * One direction of a connection through a proxy (NET transport): counters, no event per step.
 * Steps run posted → transmitted → done; a step's time is split by what it waited for.
 * Written by the proxy's thread that owns the connection's current operation; sums are atomic adds.
 */
struct c4_seg_conn {
	/* who: written at registration; odd gen = being written */
	uint32_t gen;
	uint32_t state; /* enum c4_seg_comm_state */
	uint64_t comm;	/* communicator id */
	int32_t rank;	/* own rank in it (PXN: the originating rank's) */
	int32_t peer;
	uint16_t channel;
	uint8_t sends; /* 1: sending side, 0: receiving side */
	uint8_t flags; /* C4_CONN_* */
	uint32_t pad0;
	uint64_t opno;	       /* of the communicator's operation it last worked for */
	uint64_t change_ticks; /* of the last progress or change of phase */
	uint32_t phase;	       /* enum c4_conn_phase, of the oldest step that is not done */
	uint32_t active;       /* proxy operations begun and not ended */

	/* sums since registration */
	uint64_t posted
		__attribute__((aligned(64))); /* sender: handed over; receiver: buffers posted */
	uint64_t transmitted; /* sender: completed by the network; receiver: arrived */
	uint64_t done;	      /* … and consumed */
	uint64_t bytes;	      /* transmitted */
	uint32_t max_us;      /* longest transmission of a step, in microseconds */
	uint32_t pad1;
	uint64_t busy_ticks; /* from posting to completion, queueing behind the previous step left
				out */
	uint64_t gpu_ticks;  /* waiting for the own GPU to produce or consume */
	uint64_t peer_ticks; /* waiting for the peer to be ready (sender) or to send (receiver) */
};

enum c4_conn_phase {
	C4_CONN_IDLE,
	C4_CONN_GPU_WAIT,  /* own GPU has not produced (sender), not consumed (receiver) */
	C4_CONN_PEER_WAIT, /* sender: the peer has not posted its buffer */
	C4_CONN_SENDING,   /* posted, not completed */
	C4_CONN_RECEIVING, /* posted, nothing has arrived */
	C4_CONN_FLUSHING,  /* arrived, being made visible to the GPU */
};

#define C4_CONN_FOREIGN 0x01u /* run on behalf of another process of the node (PXN) */

/* One finished operation on a communicator. */
struct c4_event {
	uint64_t stamp;	      /* index + 1, written last; 0: never used, or C4_STAMP_BUSY */
	uint64_t comm;	      /* communicator id */
	uint64_t opno;	      /* 0-based position in the communicator's order of operations */
	uint64_t enter_ticks; /* nonblocking: when its wait began to block */
	uint64_t leave_ticks;
	/* the thread's inside_ticks before this one; of a GPU operation: Σ kernel time of the
	 * process's operations on other communicators so far */
	uint64_t before_ticks;
	uint64_t bytes;
	uint8_t kind;  /* enum c4_op */
	uint8_t flags; /* C4_EV_* */
	uint16_t slot; /* communicator slot */
	int32_t root;
};

#define C4_STAMP_BUSY UINT64_MAX /* a thread is writing here */

#define C4_EV_NONBLOCKING 0x01u
#define C4_EV_BLOCKED	  0x02u /* nonblocking, and its wait really waited */
#define C4_EV_ERROR	  0x04u /* the library returned an error */
#define C4_EV_GPU	  0x08u /* enter and leave are kernel start and end, mapped to host ticks */
#define C4_EV_HOST	  0x10u /* of a GPU operation, timed on the host: no kernel times came */

static_assert(sizeof(struct c4_event) == 64, "one cache line");
static_assert(sizeof(struct c4_seg_thread) == 128, "two cache lines");
static_assert(sizeof(struct c4_seg_comm) == 256, "four cache lines");
static_assert(sizeof(struct c4_seg_conn) == 128, "two cache lines");
static_assert(sizeof(struct c4_seg_run) == 12, "packed by nature");
static_assert(offsetof(struct c4_seg_header, thread_off) == 24, "wire");
static_assert(offsetof(struct c4_seg_header, pid) == 72, "wire");
static_assert(offsetof(struct c4_seg_header, job) == 120, "wire");
static_assert(offsetof(struct c4_seg_header, phase) == 440, "wire");
static_assert(offsetof(struct c4_seg_header, head) == 512, "wire");
static_assert(offsetof(struct c4_seg_header, detail_until) == 552, "wire");
static_assert(sizeof(struct c4_seg_header) == 576, "wire");
static_assert(offsetof(struct c4_seg_comm, entered) == 64, "hot line");
static_assert(offsetof(struct c4_seg_comm, p2p_sends) == 128, "sums line");
static_assert(offsetof(struct c4_seg_conn, posted) == 64, "sums line");

#endif
