/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * strmap.h - hash map from string to pointer, with its own copies of the keys.
 * `struct c4_strmap m = {0}` is a valid empty one. Keys stay where they are until release, so
 * the map is also a table of interned strings. Nothing is ever removed singly. One thread.
 */
#ifndef C4_DS_STRMAP_H
#define C4_DS_STRMAP_H

#include <stdint.h>

struct c4_strmap_entry {
	uint64_t hash;
	char *key; /* NULL: free slot */
	void *value;
};

struct c4_strmap {
	struct c4_strmap_entry *slots;
	uint32_t cap;
	uint32_t used;
};

/* The entry of key, made with value NULL if absent. Valid until the next call that may add.
 * NULL: out of memory (map untouched). */
struct c4_strmap_entry *c4_strmap_at(struct c4_strmap *m, const char *key);

/* The entry of key or NULL. */
struct c4_strmap_entry *c4_strmap_find(const struct c4_strmap *m, const char *key);

/* The map's own copy of key, the same pointer for equal strings. NULL: out of memory. */
const char *c4_strmap_intern(struct c4_strmap *m, const char *key);

/* Frees table and keys, not the values. */
void c4_strmap_release(struct c4_strmap *m);

#endif
