/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * diag.h - from joined tables to verdicts. Pure: no clock, socket, store, log or global; the same
 * input gives the same verdicts, so any of them can be replayed from a bundle.
 *
 * The collector fills a struct c4_diag_job (what every rank says now, and windows of finished
 * operations joined per communicator), calls the judges, and feeds their verdicts to the incident
 * life cycle (collector/incident.h). State that a verdict needs over time (learned pauses) is in
 * struct c4_diag_memory, owned by the caller, changed only by c4_diag_learn().
 *
 * All times are nanoseconds. Ages count from the moment the rank's agent looked, corrected by the
 * caller to "now". Ranks are world ranks unless called member (index into c4_diag_comm.members).
 */
#ifndef C4_COLLECTOR_DIAG_DIAG_H
#define C4_COLLECTOR_DIAG_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "c4/incident.h"
#include "c4/op.h"

/* ---- input ---------------------------------------------------------------------------------- */

enum c4_diag_run { /* what the operating system says of a process */
		   C4_RUN_UNKNOWN,
		   C4_RUN_RUNNING,
		   C4_RUN_SLEEPING,
		   C4_RUN_DISK,
		   C4_RUN_STOPPED,
		   C4_RUN_TRACED,
		   C4_RUN_GONE, /* or zombie */
};

#define C4_DIAG_PEERS 8

/* The call a rank's thread is blocked in, if any. */
struct c4_diag_call {
	uint32_t kind; /* enum c4_op; NONE: outside */
	uint32_t comm; /* index into c4_diag_job.comms, C4_DIAG_NONE if none */
	uint64_t opno; /* collectives */
	uint64_t for_ns;
	bool polling;
	uint32_t npeers; /* point to point: who it waits for; may exceed C4_DIAG_PEERS */
	int32_t peers[C4_DIAG_PEERS];
};
#define C4_DIAG_NONE 0xffffffffu

/* What a GPU says of itself (NVML). Errors are those of the last minute. */
struct c4_diag_gpu {
	uint32_t index;
	char bus[24];
	char name[48];
	uint32_t sm_mhz, sm_max_mhz, celsius, watts;
	uint64_t throttle; /* reasons, as NVML's bit mask */
	uint64_t ecc, nvlink_errors, xids;
	uint32_t last_xid; /* 0: none */
	uint64_t last_xid_age_ns;
};

/* What a network interface says; counts and bytes are those of the last minute. */
struct c4_diag_nic {
	char name[32];
	bool rdma, up;
	uint32_t mbps; /* 0: not known */
	uint64_t tx_bytes, rx_bytes;
	uint64_t errors, drops, retries, cnps, pauses, downs;
	double over_s; /* how long that minute really is; 0: first report, nothing counted yet */
};

/* Of a rank's node. Owned by the caller; valid during the look. */
struct c4_diag_health {
	const struct c4_diag_gpu *gpus;
	const struct c4_diag_nic *nics;
	uint32_t ngpus, nnics;
};

struct c4_diag_rank {
	bool seen;   /* some agent reported it */
	bool silent; /* its agent has not posted for several intervals: what we know is old */
	enum c4_diag_run run;
	bool finalized; /* reached MPI_Finalize's end: may go */
	bool finalizing;
	bool aborted; /* called MPI_Abort itself */
	int32_t abort_code;
	bool status_known;
	int32_t wait_status;  /* as from wait(2) */
	uint64_t gone_for_ns; /* valid if GONE */
	const char *node;
	double cpu;	      /* cores in use over the last samples */
	double runqueue;      /* share of time its main thread was ready but had no core */
	double p2p_share;     /* share of its life spent in point-to-point calls */
	uint64_t io_bytes;    /* moved since the previous sample */
	uint64_t outside_ns;  /* main thread outside the library; 0 inside */
	uint64_t idle_for_ns; /* how long it has shown neither CPU time nor I/O, 0 if active now */
	struct c4_diag_call call;      /* of the thread that has been inside longest */
	bool mpi;		       /* leaves through MPI_Finalize, if it leaves in good order */
	bool gpu_p2p;		       /* has run point-to-point operations on its GPU */
	uint32_t gpu_device;	       /* CUDA device + 1, 0: none or not known */
	const struct c4_diag_gpu *gpu; /* its health; NULL: not known */
	const struct c4_diag_health *health; /* of its node; NULL: not known */
};

#define C4_DIAG_RECENT 8

/* A member's progress and its part of the last complete window. */
struct c4_diag_member {
	bool known; /* reported this communicator */
	uint64_t entered, finished;
	uint32_t kind; /* of the operation it is in or was in last */
	uint32_t dtype, redop;
	uint64_t bytes;
	int32_t root;
	uint64_t inside_ns; /* since it entered, 0 if outside */
	/* c4_op_brief of operation n at n % C4_DIAG_RECENT, for those up to entered; 0: not known
	 */
	uint32_t recent[C4_DIAG_RECENT];
	/* c4_diag_comm.gpu: entered = handed to a stream, finished = kernel ended */
	uint64_t api_calls, gpu_started;
	uint64_t gpu_inside_ns; /* since the last kernel began, 0 if it has ended */
	bool p2p_open;		/* point-to-point kernels have begun and not ended */
	uint64_t async_error;
	bool aborted; /* its program gave the communicator up */
};

/* What one end says of a connection. Cumulative, and (in win_*) over the last window of time. */
struct c4_diag_end {
	bool known;
	uint32_t phase;	 /* enum c4_conn_phase */
	uint32_t active; /* proxy operations in flight */
	uint64_t opno;
	uint64_t still_ns; /* since its last progress */
	uint64_t posted, transmitted, done;
	uint64_t win_bytes, win_steps, win_busy_ns, win_gpu_ns, win_peer_ns;
};

/* One directed connection of a communicator, joined from both ends. */
struct c4_diag_conn {
	uint32_t src, dst; /* members */
	uint32_t channel;
	struct c4_diag_end send, recv;
};

/* Sums over one window [first, first+count) of operations, one per member. */
struct c4_diag_part {
	bool present;
	uint32_t sync_count;
	uint64_t sync_sum_ns, sync_min_ns, sync_max_ns;
	uint32_t span_count;
	uint64_t span_sum_ns, span_max_ns;
	uint64_t own_sum_ns, own_max_ns;
	uint64_t elsewhere_sum_ns;
	uint64_t signature;
	uint32_t missing;
};

struct c4_diag_window {
	uint64_t first;
	uint32_t count;
	uint32_t kind;		    /* of a SYNC operation in it, if there is one */
	uint64_t serial;	    /* grows by one per window of this communicator, from 1 */
	struct c4_diag_part *parts; /* one per member */
};

/* The library reports an error of the communicator (7: ncclInProgress is none). */
static inline bool c4_diag_broken(const struct c4_diag_member *m)
{
	return m->known && m->async_error && m->async_error != 7;
}

#define C4_DIAG_WINDOWS 8

struct c4_diag_comm {
	uint64_t id;
	const char *name;
	uint32_t size;
	const int32_t *members; /* world ranks; NULL: not known, not judged */
	bool judged;		/* false: foreign or truncated */
	struct c4_diag_member *state;
	bool gpu;	 /* operations run on GPUs (NCCL) */
	uint32_t nconns; /* through proxies; 0: transport is not seen */
	struct c4_diag_conn *conns;
	uint64_t conn_serial;	 /* grows by one per window of time, 0: none closed yet */
	uint64_t conn_window_ns; /* length of the last one, which win_* are of */
	uint32_t nwindows;	 /* complete ones, newest last, at most C4_DIAG_WINDOWS */
	struct c4_diag_window windows[C4_DIAG_WINDOWS];
};

struct c4_diag_job {
	const char *job;
	uint64_t now_ns; /* caller's monotonic time, only for differences */
	uint32_t nranks;
	struct c4_diag_rank *ranks; /* by world rank */
	uint32_t ncomms;
	struct c4_diag_comm *comms;
	uint64_t slack_ns; /* how stale the input may be (posting interval) */
	bool ending;	   /* the user told the launcher to end it: deaths are no crash */
};

/* ---- output --------------------------------------------------------------------------------- */

#define C4_DIAG_SUMMARY	 256
#define C4_DIAG_LINK	 96
#define C4_DIAG_EVIDENCE 12

struct c4_evidence {
	char metric[32];
	double value;
	double peers_median; /* NAN: no such thing for this metric */
	uint32_t blocks;     /* windows that support it, 0: not from windows */
	char detail[96];     /* words, may be empty */
};

struct c4_verdict {
	enum c4_incident_kind kind;
	uint64_t key;	/* equal for the same fault seen again: kind, communicator and culprits */
	bool confirmed; /* false: suspect only */
	double confidence;
	uint32_t nranks;  /* culprits; 0: nobody named */
	int32_t *ranks;	  /* owned by the verdict */
	const char *node; /* the culprits' node if they share one, points into the input; or NULL */
	char link[C4_DIAG_LINK]; /* "n1→n2 (rank 3 → rank 6)"; empty: no connection is to blame */
	char gpu[C4_DIAG_LINK]; /* "n1/gpu3"; empty: no GPU is to blame */
	char nic[C4_DIAG_LINK]; /* "n1/eth0" or "n1 sending"; empty: none */
	uint32_t nwaiting;	/* ranks that wait because of it */
	uint64_t since_ns;	/* how long ago the first operation that shows it began */
	char summary[C4_DIAG_SUMMARY];
	uint32_t nevidence;
	struct c4_evidence evidence[C4_DIAG_EVIDENCE];
};

struct c4_verdicts {
	uint32_t n, cap;
	struct c4_verdict *v;
	bool failed; /* out of memory somewhere: the list is incomplete */
};

/* ---- memory over time ----------------------------------------------------------------------- */

struct c4_diag_memory; /* learned pauses, slow windows' persistence, warm-up */

struct c4_diag_memory *c4_diag_memory_new(void); /* NULL: out of memory */
void c4_diag_memory_free(struct c4_diag_memory *m);

/* How far the slowest connection of a communicator was beyond the usual in the newest window: 1 =
 * twice the usual time. 0: nothing known. hint: its index in c4_diag_job.comms. */
double c4_diag_worst_excess(const struct c4_diag_memory *m, uint64_t comm, uint32_t hint);

/* ---- judging -------------------------------------------------------------------------------- */

/*
 * Judges the job: appends verdicts (crash, hang-rank, hang-comm, mismatch, deadlock, slow-rank,
 * slow-node, slow-tx, slow-rx, slow-link, congestion, data-gap) and updates what the memory learns
 * from this look (it must be called with every tick, in order). 0, or -ENOMEM: *out holds what
 * could be said; release it.
 */
int c4_diagnose(const struct c4_diag_job *job, struct c4_diag_memory *memory,
		struct c4_verdicts *out);

void c4_verdicts_release(struct c4_verdicts *v);

#endif
