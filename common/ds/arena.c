// SPDX-License-Identifier: BSD-3-Clause
#include "common/ds/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define CHUNK_BYTES (64u << 10)

struct c4_arena_chunk {
	struct c4_arena_chunk *older;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

void c4_arena_init(struct c4_arena *a, size_t limit)
{
	*a = (struct c4_arena){.limit = limit};
}

static struct c4_arena_chunk *add_chunk(struct c4_arena *a, size_t n)
{
	size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
	struct c4_arena_chunk *c;

	if (size > a->limit || a->held > a->limit - size)
		return NULL;
	c = malloc(sizeof *c + size);
	if (!c)
		return NULL;
	*c = (struct c4_arena_chunk){.older = a->chunks, .size = size};
	a->chunks = c;
	a->held += size;
	return c;
}

void *c4_arena_alloc(struct c4_arena *a, size_t n)
{
	const size_t align = alignof(max_align_t);
	struct c4_arena_chunk *c = a->chunks;
	void *p;

	if (n > a->limit)
		return NULL;
	n = (n + align - 1) & ~(align - 1);
	if (!c || c->size - c->used < n)
		c = add_chunk(a, n);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += n;
	return p;
}

void c4_arena_reset(struct c4_arena *a)
{
	struct c4_arena_chunk *c = a->chunks;

	while (c && c->older) {
		struct c4_arena_chunk *older = c->older;

		a->held -= c->size;
		free(c);
		c = older;
	}
	if (c)
		c->used = 0;
	a->chunks = c;
}

void c4_arena_release(struct c4_arena *a)
{
	c4_arena_reset(a);
	free(a->chunks);
	a->chunks = NULL;
	a->held = 0;
}
