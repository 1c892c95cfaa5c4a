/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * arena.h - memory that is given back all at once: for decoding one message after the other.
 *
 * Holds at most `limit` bytes; beyond it (and when malloc fails) allocation returns NULL. Reset
 * keeps the first chunk, so that a steady stream of messages allocates nothing. One thread.
 */
#ifndef C4_DS_ARENA_H
#define C4_DS_ARENA_H

#include <stddef.h>

struct c4_arena_chunk;

struct c4_arena {
	struct c4_arena_chunk *chunks; /* newest first */
	size_t held;		       /* bytes of all chunks */
	size_t limit;
};

void c4_arena_init(struct c4_arena *a, size_t limit);
void c4_arena_release(struct c4_arena *a);

/* n bytes, aligned for anything, not cleared. NULL at the limit. */
void *c4_arena_alloc(struct c4_arena *a, size_t n);

/* Everything allocated so far becomes invalid. */
void c4_arena_reset(struct c4_arena *a);

#endif
