/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.h - what the collector knows: agents, jobs, ranks, communicators. No more than the limits
 * below; who would exceed them is refused and counted by the caller.
 *
 *	agent (instance) ── handle ──► rank ◄── job (id, launch) ──► communicators
 *	                                └── seats: (communicator, member index)
 *
 * A process is known by (agent instance, handle), its place in the model is (job, world rank). A
 * process that comes back under another agent instance (the agent restarted) keeps its place; a
 * new process for a rank whose earlier one is over takes the place from zero.
 *
 * Everything belongs to the model; pointers to jobs live until c4_model_tick() drops the job,
 * pointers to ranks as long as their job. `now_ns` is the collector's time (vclock.h), `wall_ns`
 * is for people. One thread.
 */
#ifndef C4_COLLECTOR_MODEL_H
#define C4_COLLECTOR_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "c4/segment.h"
#include "collector/comm.h"
#include "collector/diag/diag.h"
#include "collector/stats.h"
#include "common/ds/map.h"
#include "common/ds/strmap.h"

#define C4_MODEL_AGENTS	   65536u
#define C4_MODEL_JOBS	   256u
#define C4_MODEL_JOB_RANKS (1u << 20)
#define C4_MODEL_RANKS	   (2u << 20) /* over all jobs */
#define C4_MODEL_JOB_COMMS 65536u
#define C4_MODEL_MEMBERS   (4u << 20) /* of all communicators of all jobs */
#define C4_MODEL_CONNS	   (2u << 20) /* connections of all communicators of all jobs */
#define C4_MODEL_SEATS	   1024u      /* communicators of one process */
#define C4_MODEL_PROCESSES 4096u      /* of one agent */
#define C4_MODEL_STRINGS   4u	      /* distinct strings per rank of a job */

#define C4_JOB_NAME_BYTES (C4_NAME_BYTES + 8u) /* "JOB#2" */

/* States of a job and of a rank, as the API names them. */
#define C4_JOB_STATES(X)                                                                           \
	X(RUNNING, "running")                                                                      \
	X(SUSPENDED, "suspended")                                                                  \
	X(LOST, "lost")                                                                            \
	X(FINISHED, "finished")                                                                    \
	X(FAILED, "failed")

#define C4_RANK_STATES(X)                                                                          \
	X(RUNNING, "running")                                                                      \
	X(SLEEPING, "sleeping")                                                                    \
	X(DISK, "disk")                                                                            \
	X(STOPPED, "stopped")                                                                      \
	X(TRACED, "traced")                                                                        \
	X(GONE, "gone")                                                                            \
	X(FINISHED, "finished")                                                                    \
	X(SILENT, "silent")

#define C4_X(sym, name) C4_JOB_##sym,
enum c4_job_state { C4_JOB_STATES(C4_X) C4_JOB_STATE_MAX };
#undef C4_X
#define C4_X(sym, name) C4_RANK_##sym,
enum c4_rank_state { C4_RANK_STATES(C4_X) C4_RANK_STATE_MAX };
#undef C4_X

const char *c4_job_state_name(enum c4_job_state s);

struct c4_job;
struct c4_rank;

struct c4_agent {
	uint64_t instance;
	char node[C4_NAME_BYTES];
	uint64_t seq;	  /* of the last post taken */
	uint64_t seen_ns; /* when it came */
	uint32_t interval_ms;
	bool ended; /* said that it ends */
	uint64_t lost_posts, bad_segments;
	uint64_t told_posts, told_segments; /* the part already put on a job's account */
	struct c4_map ranks;		    /* handle → struct c4_rank, or c4_rank_refused */
	struct c4_health *health;	    /* of the node's GPUs and NICs, NULL: not told */
};

/* A rank's place in one communicator. comm NULL: refused, its data are ignored. */
struct c4_seat {
	uint64_t id;
	struct c4_comm *comm;
	uint32_t member;
};

/* Beside it, job->now[rank] holds what the diagnosis reads. Instants are collector's time. */
struct c4_rank {
	struct c4_job *job;
	struct c4_agent *agent; /* NULL: forgotten */
	uint32_t rank, handle, pid;
	uint32_t phase;				     /* enum c4_seg_phase */
	bool excused;				     /* windows do not wait for it any more */
	const char *host, *program, *library, *node; /* interned in the job */
	uint64_t sample_ns;			     /* when the last sample was taken */
	uint64_t active_ns;			     /* when it last showed CPU time or I/O */
	uint64_t call_ns;			     /* when it entered the call it is in */
	uint64_t outside_ns; /* when its main thread left the library, 0: inside */
	uint64_t gone_ns;    /* 0: lives */
	uint64_t inside_total_ns, alive_ns;
	uint64_t lost[C4_LOST_MAX], lost_events;
	uint64_t conns_seq;  /* post that conns_late is of */
	uint32_t conns_late; /* connections it could not tell of then */
	int32_t gpu_index;   /* CUDA device, -1: none or not known */
	char gpu_bus[24];    /* "": not known */
	struct c4_seat *seats;
	uint32_t nseats, seats_cap, seat_hint;
};

struct c4_losses {
	uint64_t events, posts, bad_segments;
	uint64_t hook[C4_LOST_MAX]; /* by enum c4_seg_loss */
};

struct c4_job {
	char id[C4_NAME_BYTES];
	char name[C4_JOB_NAME_BYTES]; /* id, or id#2 for another launch beside it */
	uint64_t launch;
	uint64_t uid; /* never reused; what incidents refer to while the collector runs */
	enum c4_job_state state;
	uint32_t nranks, seen;
	struct c4_rank *ranks;		 /* by world rank */
	struct c4_diag_rank *now;	 /* by world rank */
	struct c4_comm **comms;		 /* by slot; NULL: free */
	struct c4_diag_comm *diag_comms; /* by slot */
	uint32_t ncomms, comms_cap, comms_live;
	struct c4_map comm_by_id;
	struct c4_strmap comm_names; /* value: how often a name was given */
	struct c4_strmap strings;
	struct c4_strmap nodes;
	struct c4_diag_memory *memory; /* NULL: the job is over */
	struct c4_losses losses;       /* of earlier processes and of agents */
	uint32_t by_state[C4_RANK_STATE_MAX];
	uint32_t interval_ms; /* longest posting interval of its agents */
	uint64_t started_wall_ns, seen_wall_ns;
	uint64_t changed_ns; /* last post */
	bool ending;	     /* the user told it to end */
	uint64_t detail_ns;  /* when transport steps were last worth the price, 0: never */
	uint64_t suspect_ns; /* since when they have been without a break, 0: not now */
	uint64_t judged_ns, judge_cost_ns;
	uint64_t over_ns; /* since when all its processes are over, 0: not */
};

struct c4_model {
	struct c4_map agents; /* instance → struct c4_agent */
	struct c4_job *jobs[C4_MODEL_JOBS];
	uint32_t njobs; /* oldest first */
	uint64_t next_uid;
	uint64_t ranks, members, conns; /* taken of the budgets */
	struct c4_stats *stats;
};

void c4_model_init(struct c4_model *m, struct c4_stats *stats);
void c4_model_release(struct c4_model *m);

/* ---- agents ---------------------------------------------------------------------------------- */

/* The agent of this instance, made if it is new. NULL: limit or memory. */
struct c4_agent *c4_model_agent(struct c4_model *m, uint64_t instance, uint64_t now_ns);

/* True when it has missed several of its posts. An agent that ended in good order is not silent. */
bool c4_agent_silent(const struct c4_agent *a, uint64_t now_ns);

/* What handle stands for: NULL unknown, c4_rank_refused, or a rank. */
struct c4_rank *c4_agent_rank(const struct c4_agent *a, uint32_t handle);
extern struct c4_rank c4_rank_refused;

/* Remembers that this handle was refused; 0 or -ENOMEM. */
int c4_agent_refuse(struct c4_agent *a, uint32_t handle);

/* ---- jobs and ranks -------------------------------------------------------------------------- */

struct c4_process_identity {
	const char *job, *node, *host, *program, *library; /* clean text */
	uint64_t launch;
	uint32_t rank, world_size, pid, handle;
};

/*
 * The place of this process, ready to take its samples. On refusal NULL with the reason in
 * *ret_why.
 */
struct c4_rank *c4_model_seat(struct c4_model *m, struct c4_agent *a,
			      const struct c4_process_identity *who, uint64_t now_ns,
			      uint64_t wall_ns, enum c4_part_refusal *ret_why);

struct c4_job *c4_model_job_by_name(const struct c4_model *m, const char *name);

/* ---- time ------------------------------------------------------------------------------------ */

/*
 * Forgets what is over: communicators that all members freed, jobs whose end is keep_ns ago,
 * agents that ended or have been silent for long.
 */
void c4_model_tick(struct c4_model *m, uint64_t now_ns, uint64_t keep_ns);

#endif
