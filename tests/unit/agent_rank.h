/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * agent_rank.h - a process with a segment, as a hooked rank has: a child that made it and waits,
 * and the segment mapped here, so that the test writes what the rank "does". With several hooks it
 * has as many segments; rank_comm() and what follows write into `seg`, that of the first.
 */
#ifndef C4_TESTS_UNIT_AGENT_RANK_H
#define C4_TESTS_UNIT_AGENT_RANK_H

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c4/op.h"
#include "common/base/clock.h"
#include "common/base/segment.h"

#define RANK_HOOKS 3 /* segments of one process */

struct rank {
	pid_t pid;
	int hold; /* a byte into it lets the child exit with status 0 */
	struct c4_seg seg;
	struct c4_seg more[RANK_HOOKS - 1]; /* of the other hooks */
	int nmore;
};

static inline void rank_child(const char *dir, const struct c4_seg_want *wants, int n, int report,
			      int hold)
{
	struct c4_seg s;
	char byte;

	for (int i = 0; i < n; i++)
		if (c4_seg_create_for(&s, dir, &wants[i]) ||
		    write(report, s.path, sizeof s.path) != sizeof s.path)
			_exit(99);
	_exit(read(hold, &byte, 1) == 1 ? 0 : 98);
}

static inline void rank_map(struct c4_seg *s, int report)
{
	struct stat st;
	char *base;
	int fd;

	if (read(report, s->path, sizeof s->path) != sizeof s->path)
		abort();
	fd = open(s->path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		abort();
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		abort();
	close(fd);
	s->base = base;
	s->bytes = (size_t)st.st_size;
	s->hdr = (void *)base;
	s->threads = (void *)(base + s->hdr->thread_off);
	s->comms = (void *)(base + s->hdr->comm_off);
	s->runs = (void *)(base + s->hdr->run_off);
	s->ring = (void *)(base + s->hdr->ring_off);
	s->conns = s->hdr->conn_off ? (void *)(base + s->hdr->conn_off) : NULL;
}

static inline void rank_name(struct c4_seg *s, int world_rank, const char *node)
{
	s->hdr->world_rank = world_rank;
	s->hdr->world_size = 4;
	s->hdr->phase = C4_PHASE_RUN;
	snprintf(s->hdr->node, sizeof s->hdr->node, "%s", node);
	snprintf(s->hdr->job, sizeof s->hdr->job, "job");
}

/* A process with so many hooks. Not published yet: world rank, node and job are set. */
static inline void rank_start_hooks(struct rank *r, const char *dir, int world_rank,
				    const char *node, const struct c4_seg_want *wants, int n)
{
	int report[2], hold[2];

	memset(r, 0, sizeof *r);
	if (pipe(report) || pipe2(hold, O_CLOEXEC))
		abort();
	r->pid = fork();
	if (r->pid == 0) {
		close(hold[1]);
		rank_child(dir, wants, n, report[1], hold[0]);
	}
	close(report[1]);
	close(hold[0]);
	r->hold = hold[1];
	r->nmore = n - 1;
	for (int i = 0; i < n; i++) {
		struct c4_seg *s = i ? &r->more[i - 1] : &r->seg;

		rank_map(s, report[0]);
		rank_name(s, world_rank, node);
	}
	close(report[0]);
}

/* With the MPI hook alone, and one thread. */
static inline void rank_start(struct rank *r, const char *dir, int world_rank, const char *node)
{
	struct c4_seg_want mpi = {.hook = "mpi"};

	rank_start_hooks(r, dir, world_rank, node, &mpi, 1);
	r->seg.threads[0].tid = (uint32_t)r->pid;
}

/* A communicator of four, or, freed, none. */
static inline void rank_comm(struct rank *r, uint32_t slot, uint64_t id)
{
	struct c4_seg_comm *c = &r->seg.comms[slot];

	r->seg.runs[slot] = (struct c4_seg_run){0, 1, 4};
	*c = (struct c4_seg_comm){.gen = c->gen + 1};
	c->id = id;
	c->size = 4;
	c->run_first = slot;
	c->run_count = 1;
	snprintf(c->name, sizeof c->name, "comm%llu", (unsigned long long)id);
	c->state = C4_COMM_LIVE;
	c->gen++;
}

/* Enters an all-reduce now … */
static inline void rank_enter(struct rank *r, uint32_t slot)
{
	struct c4_seg_thread *t = &r->seg.threads[0];
	struct c4_seg_comm *c = &r->seg.comms[slot];

	c->kind = C4_OP_ALLREDUCE;
	c->bytes = 1000;
	c->root = -1;
	c->enter_ticks = t->enter_ticks = c4_ticks(r->seg.hdr->clock);
	t->comm = (uint16_t)slot;
	t->opno = c->entered;
	t->kind = C4_OP_ALLREDUCE;
	c->entered++;
}

/* … and leaves it. */
static inline void rank_leave(struct rank *r, uint32_t slot)
{
	struct c4_seg_thread *t = &r->seg.threads[0];
	struct c4_seg_comm *c = &r->seg.comms[slot];
	struct c4_event ev = {.comm = c->id,
			      .opno = c->finished,
			      .enter_ticks = c->enter_ticks,
			      .leave_ticks = c4_ticks(r->seg.hdr->clock),
			      .before_ticks = t->inside_ticks,
			      .bytes = c->bytes,
			      .kind = c->kind,
			      .slot = (uint16_t)slot,
			      .root = -1};

	c->leave_ticks = t->leave_ticks = ev.leave_ticks;
	c->finished++;
	t->inside_ticks += ev.leave_ticks - ev.enter_ticks;
	t->calls++;
	t->kind = C4_OP_NONE;
	c4_seg_push(&r->seg, &ev);
}

static inline void rank_op(struct rank *r, uint32_t slot)
{
	rank_enter(r, slot);
	rank_leave(r, slot);
}

/* signo 0: it exits by itself. The status is left for whoever looks, until rank_release(). */
static inline void rank_end(struct rank *r, int signo)
{
	if (signo)
		kill(r->pid, signo);
	else if (write(r->hold, "x", 1) != 1)
		abort();
}

static inline void rank_release(struct rank *r)
{
	rank_end(r, SIGKILL);
	waitpid(r->pid, NULL, 0);
	close(r->hold);
	c4_seg_unlink(&r->seg);
	c4_seg_close(&r->seg);
	for (int i = 0; i < r->nmore; i++) {
		c4_seg_unlink(&r->more[i]);
		c4_seg_close(&r->more[i]);
	}
}

#endif
