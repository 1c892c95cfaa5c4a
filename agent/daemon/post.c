// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/post.h"

#include <stdlib.h>
#include <string.h>

#include "agent/daemon/msg_device.h"
#include "agent/daemon/msg_process.h"
#include "c4.pb-c.h"
#include "common/ds/arena.h"
#include "common/ds/vec.h"

#define ARENA_BYTES   ((size_t)64 << 20)
#define PROCESSES_MAX 65536u

struct c4_post_writer {
	struct c4_arena arena; /* everything the post points to */
	C4__V1__Process **processes;
	uint32_t n, cap;
	C4__V1__Gpu **gpus;
	C4__V1__Nic **nics;
	size_t ngpus, nnics;
	size_t bytes; /* packed, about */
};

struct c4_post_writer *c4_post_writer_new(void)
{
	struct c4_post_writer *w = calloc(1, sizeof *w);

	if (w)
		c4_arena_init(&w->arena, ARENA_BYTES);
	return w;
}

void c4_post_writer_free(struct c4_post_writer *w)
{
	if (!w)
		return;
	c4_arena_release(&w->arena);
	free(w->processes);
	free(w);
}

void c4_post_begin(struct c4_post_writer *w)
{
	c4_arena_reset(&w->arena);
	w->n = 0;
	w->ngpus = w->nnics = 0;
	w->bytes = 0;
}

static size_t conn_bytes(const C4__V1__Process *m)
{
	size_t bytes = 0;

	for (size_t i = 0; i < m->n_conns; i++)
		bytes += 3 + c4__v1__conn__get_packed_size(m->conns[i]); /* tag and length */
	return bytes;
}

/* m: the message of it, of so many bytes. */
static void mark_told(struct c4_target *t, const C4__V1__Process *m, size_t bytes, uint64_t now_ns)
{
	size_t conns = conn_bytes(m);

	t->introduced = !m->part;
	for (uint32_t i = 0; i < t->ncomms; i++) {
		if (!t->comms[i])
			continue;
		t->comms[i]->introduced = true;
		t->comms[i]->posted = t->comms[i]->now;
	}
	for (uint32_t i = 0; i < t->nfreed; i++)
		free(t->freed[i].runs);
	t->nfreed = 0;
	c4_fold_clear(t->fold);
	c4_conns_told(&t->conns, now_ns, conns, bytes - conns);
}

bool c4_post_add(struct c4_post_writer *w, struct c4_target *t, uint64_t now_ns)
{
	struct c4_msg d = {.arena = &w->arena, .t = t, .now_ns = now_ns};
	C4__V1__Process **grown, *m;
	size_t bytes;

	if (w->bytes > C4_POST_GOAL_BYTES)
		return false;
	grown = c4_vec_reserve(w->processes, &w->cap, w->n + 1, PROCESSES_MAX, sizeof *grown);
	if (!grown)
		return false;
	w->processes = grown;
	m = c4_msg_process(&d);
	if (!m)
		return false;
	w->processes[w->n++] = m;
	bytes = c4__v1__process__get_packed_size(m);
	w->bytes += bytes;
	mark_told(t, m, bytes, now_ns);
	return true;
}

void c4_post_add_devices(struct c4_post_writer *w, struct c4_devices *d, uint64_t now_ns)
{
	w->gpus = c4_msg_gpus(&w->arena, d, now_ns, &w->ngpus);
	w->nics = c4_msg_nics(&w->arena, d, now_ns, &w->nnics);
	if (w->gpus && w->nics)
		c4_devices_told(d, now_ns);
	else
		w->ngpus = w->nnics = 0;
}

void *c4_post_finish(struct c4_post_writer *w, const struct c4_post_head *head, size_t room,
		     size_t *ret_len)
{
	C4__V1__Post post = C4__V1__POST__INIT;
	uint8_t *data;
	size_t len;

	post.agent = (char *)head->agent;
	post.instance = head->instance;
	post.seq = head->seq;
	post.interval_ms = head->interval_ms;
	post.dropped_posts = head->dropped_posts;
	post.bad_segments = head->bad_segments;
	post.last = head->last;
	post.processes = w->processes;
	post.n_processes = w->n;
	post.gpus = w->gpus;
	post.n_gpus = w->ngpus;
	post.nics = w->nics;
	post.n_nics = w->nnics;
	len = c4__v1__post__get_packed_size(&post);
	data = malloc(len + room);
	if (!data)
		return NULL;
	c4__v1__post__pack(&post, data);
	*ret_len = len;
	return data;
}
