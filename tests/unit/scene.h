/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scene.h - small jobs for the diagnosis tests: a struct c4_diag_job with its own storage, in which
 * everybody is healthy until the test says otherwise.
 */
#ifndef C4_TESTS_SCENE_H
#define C4_TESTS_SCENE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "c4/segment.h"
#include "collector/diag/diag.h"

#define SCENE_RANKS 16
#define SCENE_COMMS 8
#define SCENE_CONNS 256

#define MS(x) ((uint64_t)((x)*1e6))
#define S(x)  ((uint64_t)((x)*1e9))

struct scene {
	struct c4_diag_job job;
	struct c4_diag_memory *memory;
	struct c4_verdicts out;
	struct c4_diag_rank ranks[SCENE_RANKS];
	struct c4_diag_comm comms[SCENE_COMMS];
	int32_t members[SCENE_COMMS][SCENE_RANKS];
	struct c4_diag_member state[SCENE_COMMS][SCENE_RANKS];
	struct c4_diag_part parts[SCENE_COMMS][C4_DIAG_WINDOWS][SCENE_RANKS];
	struct c4_diag_conn conns[SCENE_COMMS][SCENE_CONNS];
};

static const char *const scene_nodes[] = {"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"};

/* n ranks, two to a node, all alive and outside the library. */
static inline struct scene *scene_new(uint32_t n)
{
	struct scene *s = calloc(1, sizeof *s);

	s->memory = c4_diag_memory_new();
	s->job = (struct c4_diag_job){.job = "test",
				      .now_ns = S(1000),
				      .nranks = n,
				      .ranks = s->ranks,
				      .comms = s->comms,
				      .slack_ns = MS(500)};
	for (uint32_t r = 0; r < n; r++)
		s->ranks[r] = (struct c4_diag_rank){.seen = true,
						    .run = C4_RUN_SLEEPING,
						    .node = scene_nodes[r / 2],
						    .mpi = true,
						    .cpu = 0.9};
	return s;
}

static inline void scene_free(struct scene *s)
{
	c4_verdicts_release(&s->out);
	c4_diag_memory_free(s->memory);
	free(s);
}

/* Adds a communicator with the given world ranks (-1 ends); all members have finished `done`. */
static inline uint32_t scene_comm(struct scene *s, const char *name, uint64_t done, ...)
{
	uint32_t i = s->job.ncomms++;
	struct c4_diag_comm *c = &s->comms[i];
	va_list ap;
	int r;

	va_start(ap, done);
	while ((r = va_arg(ap, int)) >= 0)
		s->members[i][c->size++] = r;
	va_end(ap);
	c->id = 0x1000 + i;
	c->name = name;
	c->judged = true;
	c->members = s->members[i];
	c->state = s->state[i];
	for (uint32_t m = 0; m < c->size; m++)
		s->state[i][m] = (struct c4_diag_member){.known = true,
							 .entered = done,
							 .finished = done,
							 .kind = C4_OP_ALLREDUCE,
							 .bytes = 4096,
							 .root = -1};
	return i;
}

/* Writes down what a member did in its last operation. */
static inline void scene_did(struct scene *s, uint32_t comm, uint32_t m, uint32_t kind,
			     uint64_t bytes, int32_t root)
{
	struct c4_diag_member *state = &s->state[comm][m];

	state->kind = kind;
	state->bytes = bytes;
	state->root = root;
	if (state->entered)
		state->recent[(state->entered - 1) % C4_DIAG_RECENT] =
			c4_op_brief((uint8_t)kind, bytes, root);
}

/* Puts a rank into the next operation of a communicator, since for_ns. */
static inline void scene_enter(struct scene *s, uint32_t comm, int32_t rank, uint32_t kind,
			       uint64_t for_ns)
{
	struct c4_diag_comm *c = &s->comms[comm];

	for (uint32_t m = 0; m < c->size; m++) {
		if (c->members[m] != rank)
			continue;
		c->state[m].entered = c->state[m].finished + 1;
		scene_did(s, comm, m, kind, 4096, -1);
		c->state[m].inside_ns = for_ns;
		s->ranks[rank].call = (struct c4_diag_call){
			.kind = kind, .comm = comm, .opno = c->state[m].finished, .for_ns = for_ns};
	}
}

/* Makes a rank wait for a point-to-point peer. */
static inline void scene_recv(struct scene *s, int32_t rank, int32_t peer, uint64_t for_ns)
{
	s->ranks[rank].call = (struct c4_diag_call){.kind = C4_OP_RECV,
						    .comm = C4_DIAG_NONE,
						    .for_ns = for_ns,
						    .npeers = 1,
						    .peers = {peer}};
}

/* ---- operations on GPUs ---------------------------------------------------------------------- */

/* The communicator is NCCL's: its members spin, whatever happens, and hand operations over early.
 */
static inline void scene_gpu(struct scene *s, uint32_t comm)
{
	struct c4_diag_comm *c = &s->comms[comm];

	c->gpu = true;
	c->conns = s->conns[comm];
	for (uint32_t m = 0; m < c->size; m++) {
		c->state[m].gpu_started = c->state[m].finished;
		s->ranks[c->members[m]].run = C4_RUN_RUNNING;
		s->ranks[c->members[m]].mpi = false;
	}
}

/* Member m hands its next operation over; its kernel begins if `begun`. */
static inline void scene_launch(struct scene *s, uint32_t comm, uint32_t m, uint64_t for_ns,
				bool begun)
{
	struct c4_diag_member *state = &s->comms[comm].state[m];

	state->entered = state->finished + 1;
	state->inside_ns = for_ns;
	state->gpu_started = state->finished + begun;
	state->gpu_inside_ns = begun ? for_ns : 0;
	scene_did(s, comm, m, C4_OP_ALLREDUCE, 4096, -1);
}

/* A connection of which both ends are known and idle. */
static inline struct c4_diag_conn *scene_conn(struct scene *s, uint32_t comm, uint32_t src,
					      uint32_t dst, uint32_t channel)
{
	struct c4_diag_comm *c = &s->comms[comm];
	struct c4_diag_conn *k;

	if (c->nconns == SCENE_CONNS)
		abort();
	k = &c->conns[c->nconns++];
	*k = (struct c4_diag_conn){.src = src, .dst = dst, .channel = channel};
	k->send.known = k->recv.known = true;
	k->send.posted = k->send.transmitted = k->send.done = 500;
	k->recv.posted = k->recv.transmitted = k->recv.done = 500;
	return k;
}

static inline struct c4_diag_conn *scene_find(struct scene *s, uint32_t comm, uint32_t src,
					      uint32_t dst)
{
	for (uint32_t i = 0; i < s->comms[comm].nconns; i++)
		if (s->conns[comm][i].src == src && s->conns[comm][i].dst == dst)
			return &s->conns[comm][i];
	abort();
}

/* An end that works for operation opno and has not moved for still_ns. */
static inline void scene_end(struct c4_diag_end *e, uint64_t opno, uint32_t phase,
			     uint64_t still_ns)
{
	e->active = 1;
	e->opno = opno;
	e->phase = phase;
	e->still_ns = still_ns;
}

/* Time goes by: everybody's wait and everything else ages. */
static inline void scene_pass(struct scene *s, uint64_t ns)
{
	s->job.now_ns += ns;
	for (uint32_t r = 0; r < s->job.nranks; r++) {
		struct c4_diag_rank *rank = &s->ranks[r];

		if (rank->call.kind != C4_OP_NONE)
			rank->call.for_ns += ns;
		if (rank->run == C4_RUN_GONE)
			rank->gone_for_ns += ns;
	}
	for (uint32_t i = 0; i < s->job.ncomms; i++) {
		struct c4_diag_comm *c = &s->comms[i];

		for (uint32_t m = 0; m < c->size; m++)
			c->state[m].gpu_inside_ns += c->state[m].gpu_inside_ns ? ns : 0;
		for (uint32_t k = 0; k < c->nconns; k++) {
			c->conns[k].send.still_ns += ns;
			c->conns[k].recv.still_ns += ns;
		}
	}
}

/* One look; the verdicts replace the last look's. */
static inline void scene_look(struct scene *s)
{
	c4_verdicts_release(&s->out);
	if (c4_diagnose(&s->job, s->memory, &s->out))
		abort();
}

/* The confirmed verdict of this kind, or NULL. */
static inline const struct c4_verdict *scene_verdict(const struct scene *s,
						     enum c4_incident_kind kind)
{
	for (uint32_t i = 0; i < s->out.n; i++)
		if (s->out.v[i].kind == kind && s->out.v[i].confirmed)
			return &s->out.v[i];
	return NULL;
}

/* Confirmed verdicts in all. */
static inline uint32_t scene_confirmed(const struct scene *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->out.n; i++)
		n += s->out.v[i].confirmed;
	return n;
}

#endif
