// SPDX-License-Identifier: BSD-3-Clause
#include "agent/daemon/routes/hopmap.h"

#include <errno.h>
#include <stdlib.h>

#include "common/ds/vec.h"

#define NUMBER_BITS 16
#define NUMBERS_MAX 65535u

void c4_hopmap_release(struct c4_hopmap *m)
{
	c4_strmap_release(&m->names);
	c4_map_release(&m->addresses);
	free(m->epochs);
	*m = (struct c4_hopmap){0};
}

/* Its number, a new one if it is new; 0 if there is no room. */
static uintptr_t number_of(struct c4_hopmap *m, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_find(&m->names, name);
	uint64_t *grown;

	if (e)
		return (uintptr_t)e->value;
	grown = c4_vec_reserve(m->epochs, &m->cap, m->n + 1, NUMBERS_MAX, sizeof *grown);
	if (!grown)
		return 0;
	m->epochs = grown;
	e = c4_strmap_at(&m->names, name);
	if (!e)
		return 0;
	m->epochs[m->n++] = 0;
	e->value = (void *)(uintptr_t)m->n;
	return m->n;
}

int c4_hopmap_take(struct c4_hopmap *m, const struct c4_plan *p)
{
	c4_map_release(&m->addresses);
	for (uint32_t i = 0; i < p->nswitches; i++) {
		const struct c4_plan_switch *s = &p->switches[i];
		uintptr_t number = number_of(m, s->name);

		if (!number)
			return -ENOMEM;
		m->epochs[number - 1] = s->epoch;
		for (uint32_t k = 0; k < s->naddresses; k++)
			if (c4_map_put(&m->addresses, s->addresses[k], (void *)number))
				return -ENOMEM;
	}
	return 0;
}

uint16_t c4_hopmap_named(const struct c4_hopmap *m, const char *name)
{
	struct c4_strmap_entry *e = c4_strmap_find(&m->names, name);

	return e ? (uint16_t)(uintptr_t)e->value : 0;
}

uint16_t c4_hopmap_at(const struct c4_hopmap *m, uint32_t address)
{
	return (uint16_t)(uintptr_t)c4_map_get(&m->addresses, address);
}

uint64_t c4_path_pack(const uint16_t *numbers, uint32_t n)
{
	uint64_t path = 0;

	if (!n || n > C4_HOPS_CHOSEN_MAX)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!numbers[i])
			return 0;
		path |= (uint64_t)numbers[i] << (i * NUMBER_BITS);
	}
	return path;
}

uint64_t c4_path_reverse(uint64_t path)
{
	uint64_t reversed = 0;

	for (; path; path >>= NUMBER_BITS)
		reversed = reversed << NUMBER_BITS | (path & NUMBERS_MAX);
	return reversed;
}

static uint64_t epoch_of(const struct c4_hopmap *m, uint64_t number)
{
	return number && number <= m->n ? m->epochs[number - 1] : 0;
}

uint64_t c4_hopmap_stamp(const struct c4_hopmap *m, uint16_t near, uint64_t path, uint16_t far)
{
	uint64_t sum = epoch_of(m, near) + epoch_of(m, far);

	for (; path; path >>= NUMBER_BITS)
		sum += epoch_of(m, path & NUMBERS_MAX);
	return sum;
}
