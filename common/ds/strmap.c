// SPDX-License-Identifier: BSD-3-Clause
#include "common/ds/strmap.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

#define CAP_MIN 8u
#define CAP_MAX (1u << 28)

static struct c4_strmap_entry *probe(const struct c4_strmap *m, uint64_t hash, const char *key)
{
	uint32_t i = (uint32_t)hash & (m->cap - 1);

	while (m->slots[i].key && (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static int grow(struct c4_strmap *m)
{
	struct c4_strmap bigger = {.cap = m->cap ? m->cap * 2 : CAP_MIN, .used = m->used};

	if (m->cap >= CAP_MAX)
		return -1;
	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return -1;
	for (uint32_t i = 0; i < m->cap; i++) {
		struct c4_strmap_entry *e = &m->slots[i];

		if (e->key)
			*probe(&bigger, e->hash, e->key) = *e;
	}
	free(m->slots);
	*m = bigger;
	return 0;
}

static uint64_t hash_of(const char *key)
{
	return c4_hash_bytes(0, key, strlen(key));
}

struct c4_strmap_entry *c4_strmap_find(const struct c4_strmap *m, const char *key)
{
	struct c4_strmap_entry *e;

	if (!m->used)
		return NULL;
	e = probe(m, hash_of(key), key);
	return e->key ? e : NULL;
}

struct c4_strmap_entry *c4_strmap_at(struct c4_strmap *m, const char *key)
{
	uint64_t hash = hash_of(key);
	struct c4_strmap_entry *e;
	char *copy;

	if (m->used >= m->cap / 4 * 3 && grow(m))
		return NULL;
	e = probe(m, hash, key);
	if (e->key)
		return e;
	copy = strdup(key);
	if (!copy)
		return NULL;
	*e = (struct c4_strmap_entry){.hash = hash, .key = copy};
	m->used++;
	return e;
}

const char *c4_strmap_intern(struct c4_strmap *m, const char *key)
{
	struct c4_strmap_entry *e = c4_strmap_at(m, key);

	return e ? e->key : NULL;
}

void c4_strmap_release(struct c4_strmap *m)
{
	for (uint32_t i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	*m = (struct c4_strmap){0};
}
