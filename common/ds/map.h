/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.h - hash map from uint64_t to pointer. `struct c4_map m = {0}` is a valid empty one.
 *
 * Open addressing with linear probing and backward-shift deletion: no tombstones, so the cost
 * does not grow with churn. Values are never NULL and never owned. One thread.
 */
#ifndef C4_DS_MAP_H
#define C4_DS_MAP_H

#include <stdint.h>

struct c4_map_entry {
	uint64_t key;
	void *value; /* NULL: free slot */
};

struct c4_map {
	struct c4_map_entry *slots;
	uint32_t cap; /* 0 or a power of two */
	uint32_t used;
};

/* Inserts or replaces; value must not be NULL. 0 or -ENOMEM (map untouched). */
int c4_map_put(struct c4_map *m, uint64_t key, void *value);

/* NULL if absent. */
void *c4_map_get(const struct c4_map *m, uint64_t key);

/* Returns what was removed, NULL if nothing. */
void *c4_map_del(struct c4_map *m, uint64_t key);

/* Frees the table, not the values; the map is empty again. */
void c4_map_release(struct c4_map *m);

/* The entry after e, the first for NULL; NULL at the end. */
struct c4_map_entry *c4_map_next(const struct c4_map *m, struct c4_map_entry *e);

/* In no particular order; the map must not change meanwhile. */
#define c4_map_for_each(e, m) for ((e) = c4_map_next((m), NULL); (e); (e) = c4_map_next((m), (e)))

#endif
