/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * collector_post.h - posts as an agent would write them, for tests of what reads them. Everything
 * hangs on the Post and goes with post_free().
 */
#ifndef C4_TESTS_COLLECTOR_POST_H
#define C4_TESTS_COLLECTOR_POST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "c4.pb-c.h"
#include "c4/op.h"
#include "c4/segment.h"

/* Appends an item to a repeated field. */
static inline void post_append(void *list, size_t *n, void *item)
{
	void ***array = list;

	*array = reallocarray(*array, *n + 1, sizeof **array);
	(*array)[(*n)++] = item;
}

static inline void post_text(char **field, const char *s)
{
	*field = strdup(s); /* the default is a shared empty string */
}

static inline C4__V1__Post *post_new(uint64_t instance, uint64_t seq)
{
	C4__V1__Post *p = malloc(sizeof *p);

	c4__v1__post__init(p);
	post_text(&p->agent, "n0");
	p->instance = instance;
	p->seq = seq;
	p->interval_ms = 1000;
	return p;
}

static inline void post_free(C4__V1__Post *p)
{
	c4__v1__post__free_unpacked(p, NULL);
}

/* A running process with no news. */
static inline C4__V1__Process *post_process(C4__V1__Post *p, uint32_t handle)
{
	C4__V1__Process *x = malloc(sizeof *x);

	c4__v1__process__init(x);
	x->handle = handle;
	x->run = C4__V1__PROCESS__RUN__RUN_RUNNING;
	x->phase = C4_PHASE_RUN;
	x->cpu_permille = 900;
	x->alive_ns = 1000000000u;
	post_append(&p->processes, &p->n_processes, x);
	return x;
}

static inline C4__V1__Identity *post_identity(C4__V1__Process *x, const char *job, uint32_t rank,
					      uint32_t world)
{
	C4__V1__Identity *id = malloc(sizeof *id);
	char node[24];

	c4__v1__identity__init(id);
	snprintf(node, sizeof node, "n%u", rank / 2);
	post_text(&id->job, job);
	post_text(&id->node, node);
	post_text(&id->host, node);
	post_text(&id->program, "train");
	id->launch = 77;
	id->rank = rank;
	id->world_size = world;
	id->pid = 1000 + rank;
	x->identity = id;
	return id;
}

static inline C4__V1__Comm *post_comm(C4__V1__Process *x, uint64_t id, uint64_t entered,
				      uint64_t finished)
{
	C4__V1__Comm *c = malloc(sizeof *c);

	c4__v1__comm__init(c);
	c->id = id;
	c->entered = entered;
	c->finished = finished;
	c->kind = C4_OP_ALLREDUCE;
	c->root = -1;
	post_append(&x->comms, &x->n_comms, c);
	return c;
}

/* Members first, first+stride, …; the rank sits at my_rank. */
static inline C4__V1__CommIdentity *post_members(C4__V1__Comm *c, uint32_t size, uint32_t my_rank,
						 int32_t first, int32_t stride)
{
	C4__V1__CommIdentity *id = malloc(sizeof *id);
	C4__V1__Run *run = malloc(sizeof *run);

	c4__v1__comm_identity__init(id);
	c4__v1__run__init(run);
	id->size = size;
	id->my_rank = my_rank;
	run->first = first;
	run->stride = stride;
	run->count = size;
	post_append(&id->members, &id->n_members, run);
	c->identity = id;
	return id;
}

/* count operations of 10 ms, of which inside_ns each were spent in the all-reduce of 1 MiB. */
static inline C4__V1__Block *post_block(C4__V1__Process *x, uint64_t comm, uint64_t first,
					uint32_t count, uint64_t inside_ns)
{
	C4__V1__Block *b = malloc(sizeof *b);

	c4__v1__block__init(b);
	b->comm = comm;
	b->first = first;
	b->count = count;
	b->level = 31;
	b->sync_count = b->span_count = count;
	b->sync_min_ns = b->sync_max_ns = inside_ns;
	b->sync_sum_ns = b->inside_sum_ns = inside_ns * count;
	b->span_max_ns = 10000000;
	b->span_sum_ns = 10000000ull * count;
	b->own_max_ns = 10000000 - inside_ns;
	b->own_sum_ns = b->own_max_ns * count;
	b->bytes = (uint64_t)count << 20;
	b->bus_bytes = b->bytes;
	b->kind = C4_OP_ALLREDUCE;
	b->signature = 1;
	post_append(&x->blocks, &x->n_blocks, b);
	return b;
}

static inline C4__V1__Thread *post_thread(C4__V1__Process *x, uint64_t comm, uint64_t opno,
					  uint64_t inside_ns)
{
	C4__V1__Thread *t = malloc(sizeof *t);

	c4__v1__thread__init(t);
	t->tid = 1;
	t->kind = C4_OP_ALLREDUCE;
	t->comm = comm;
	t->opno = opno;
	t->inside_ns = inside_ns;
	post_append(&x->threads, &x->n_threads, t);
	return t;
}

/* ---- NCCL ------------------------------------------------------------------------------------ */

/* A communicator whose members are not told: this process is my_rank of size. */
static inline C4__V1__CommIdentity *post_reported(C4__V1__Comm *c, uint32_t size, uint32_t my_rank)
{
	C4__V1__CommIdentity *id = malloc(sizeof *id);

	c4__v1__comm_identity__init(id);
	id->size = size;
	id->my_rank = my_rank;
	id->flags = C4_COMM_REPORTED | C4_COMM_GPU;
	c->identity = id;
	return id;
}

/* One end of a connection that has carried so much, at 100 ns per KiB. */
static inline C4__V1__Conn *post_conn(C4__V1__Process *x, uint64_t comm, uint32_t rank,
				      uint32_t peer, bool sends, uint64_t mib)
{
	C4__V1__Conn *k = malloc(sizeof *k);

	c4__v1__conn__init(k);
	k->comm = comm;
	k->rank = rank;
	k->peer = peer;
	k->sends = sends;
	k->posted = k->transmitted = k->done = mib * 2;
	k->bytes = mib << 20;
	k->busy_ns = sends ? mib * 1024 * 100 : 0;
	k->peer_ns = sends ? 0 : mib * 1024 * 100;
	post_append(&x->conns, &x->n_conns, k);
	return k;
}

static inline C4__V1__Gpu *post_gpu(C4__V1__Post *p, uint32_t index, const char *bus)
{
	C4__V1__Gpu *g = malloc(sizeof *g);

	c4__v1__gpu__init(g);
	g->index = index;
	post_text(&g->bus, bus);
	post_text(&g->name, "H200");
	post_append(&p->gpus, &p->n_gpus, g);
	return g;
}

static inline C4__V1__Nic *post_nic(C4__V1__Post *p, const char *name)
{
	C4__V1__Nic *n = malloc(sizeof *n);

	c4__v1__nic__init(n);
	post_text(&n->name, name);
	n->up = true;
	post_append(&p->nics, &p->n_nics, n);
	return n;
}

/* Encodes it: malloc'ed, *n bytes. */
static inline uint8_t *post_pack(const C4__V1__Post *p, size_t *n)
{
	uint8_t *buf = malloc(c4__v1__post__get_packed_size(p) + 1);

	*n = c4__v1__post__pack(p, buf);
	return buf;
}

#endif
