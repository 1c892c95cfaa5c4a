// SPDX-License-Identifier: BSD-3-Clause
#include "common/ds/map.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/base/hash.h"

#define CAP_MIN 8u
#define CAP_MAX (1u << 30)

static uint32_t home(const struct c4_map *m, uint64_t key)
{
	return (uint32_t)c4_mix64(key) & (m->cap - 1);
}

/* The slot that holds key, or the free one where it would go. cap > used always. */
static uint32_t find(const struct c4_map *m, uint64_t key)
{
	uint32_t i = home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static int grow(struct c4_map *m)
{
	struct c4_map bigger = {.cap = m->cap ? m->cap * 2 : CAP_MIN, .used = m->used};

	if (m->cap >= CAP_MAX)
		return -ENOMEM;
	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			bigger.slots[find(&bigger, m->slots[i].key)] = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int c4_map_put(struct c4_map *m, uint64_t key, void *value)
{
	uint32_t i;

	if (m->used >= m->cap / 4 * 3) {
		int rc = grow(m);

		if (rc)
			return rc;
	}
	i = find(m, key);
	if (!m->slots[i].value)
		m->used++;
	m->slots[i] = (struct c4_map_entry){key, value};
	return 0;
}

void *c4_map_get(const struct c4_map *m, uint64_t key)
{
	return m->used ? m->slots[find(m, key)].value : NULL;
}

/* Closes the hole at i: later entries of the same probe run move up. */
static void shift_back(struct c4_map *m, uint32_t i)
{
	uint32_t mask = m->cap - 1, hole = i;

	for (uint32_t k = (i + 1) & mask; m->slots[k].value; k = (k + 1) & mask) {
		uint32_t want = home(m, m->slots[k].key);

		if (((k - want) & mask) < ((k - hole) & mask))
			continue;
		m->slots[hole] = m->slots[k];
		hole = k;
	}
	m->slots[hole].value = NULL;
}

void *c4_map_del(struct c4_map *m, uint64_t key)
{
	uint32_t i;
	void *value;

	if (!m->used)
		return NULL;
	i = find(m, key);
	value = m->slots[i].value;
	if (value) {
		shift_back(m, i);
		m->used--;
	}
	return value;
}

void c4_map_release(struct c4_map *m)
{
	free(m->slots);
	*m = (struct c4_map){0};
}

struct c4_map_entry *c4_map_next(const struct c4_map *m, struct c4_map_entry *e)
{
	uint32_t i = e ? (uint32_t)(e - m->slots) + 1 : 0;

	for (; i < m->cap; i++)
		if (m->slots[i].value)
			return &m->slots[i];
	return NULL;
}
