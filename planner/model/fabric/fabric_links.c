// SPDX-License-Identifier: BSD-3-Clause
/* Finding links by their ends: those of a switch are sorted by the switch at the other end. */
#include "planner/model/fabric/fabric.h"

static uint32_t peer(const struct c4_fabric *f, uint32_t s, uint32_t at)
{
	return c4_link_peer(&f->links[f->link_of[at]], s);
}

/* In a regular fabric peers have consecutive numbers: the first link to b is b - first further. */
static bool guess(const struct c4_fabric *f, uint32_t a, uint32_t b, uint32_t *ret)
{
	uint32_t from = f->link_at[a], end = f->link_at[a + 1], first, at;

	if (from == end)
		return false;
	first = peer(f, a, from);
	if (b < first || b - first >= end - from)
		return false;
	at = from + (b - first);
	if (peer(f, a, at) != b || (at > from && peer(f, a, at - 1) == b))
		return false;
	*ret = at;
	return true;
}

uint32_t c4_fabric_links_between(const struct c4_fabric *f, uint32_t a, uint32_t b, uint32_t *ret_n)
{
	uint32_t from = f->link_at[a], to = f->link_at[a + 1], end = to;

	if (guess(f, a, b, &from))
		to = from;
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (peer(f, a, middle) < b)
			from = middle + 1;
		else
			to = middle;
	}
	for (to = from; to < end && peer(f, a, to) == b; to++)
		;
	*ret_n = to - from;
	return from;
}

uint32_t c4_fabric_link(const struct c4_fabric *f, uint32_t a, uint32_t b, uint32_t nth)
{
	uint32_t n, at = c4_fabric_links_between(f, a, b, &n);

	return nth < n ? f->link_of[at + nth] : C4_NONE;
}
