// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/oracle/path.h"

#include <errno.h>
#include <string.h>

bool c4_path_equal(const struct c4_path *a, const struct c4_path *b)
{
	return a->hops == b->hops && !memcmp(a->link, b->link, a->hops * sizeof *a->link);
}

void c4_path_of_route(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r,
		      struct c4_path *path)
{
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(f, c, r, hops);

	path->hops = n > 0 ? (uint32_t)n : 0;
	for (uint32_t i = 0; i < path->hops; i++)
		path->link[i] = hops[i].link;
}

void c4_path_directed(const struct c4_fabric *f, uint32_t leaf, const struct c4_path *path,
		      uint32_t to[C4_HOPS_MAX])
{
	uint32_t at = leaf;

	for (uint32_t i = 0; i < path->hops; i++) {
		const struct c4_link *l = &f->links[path->link[i]];

		to[i] = 2 * path->link[i] + (l->a != at);
		at = c4_link_peer(l, at);
	}
}

/* Walks link by link: the switches on the way into at[], or -EINVAL. */
static int walk(const struct c4_fabric *f, uint32_t from, const struct c4_path *path,
		uint32_t at[C4_HOPS_MAX + 1])
{
	at[0] = from;
	for (uint32_t i = 0; i < path->hops; i++) {
		const struct c4_link *l;

		if (path->link[i] >= f->n_links)
			return -EINVAL;
		l = &f->links[path->link[i]];
		if (l->a != at[i] && l->b != at[i])
			return -EINVAL;
		at[i + 1] = c4_link_peer(l, at[i]);
	}
	return 0;
}

/* Which of the parallel links from s to the same switch, or -EINVAL beyond `most`. */
static int parallel_of(const struct c4_fabric *f, uint32_t s, uint32_t to, uint32_t link, int most)
{
	int nth = 0;

	for (uint32_t i = f->link_at[s]; i < f->link_at[s + 1]; i++) {
		const struct c4_link *l = &f->links[f->link_of[i]];

		if (f->link_of[i] == link)
			return nth <= most ? nth : -EINVAL;
		nth += c4_link_peer(l, s) == to;
	}
	return -EINVAL;
}

static int set_spine(const struct c4_fabric *f, const struct c4_path *path, const uint32_t *at,
		     struct c4_route *r)
{
	int up = parallel_of(f, at[0], at[1], path->link[0], UINT8_MAX);
	int down = parallel_of(f, at[1], at[2], path->link[1], UINT8_MAX);

	if (up < 0 || down < 0 || f->switches[at[1]].tier != C4_SPINE)
		return -EINVAL;
	r->state = C4_ROUTE_SPINE;
	r->up = r->down = (uint16_t)at[1];
	r->core = 0;
	r->parallel_up = (uint8_t)up;
	r->parallel_down = (uint8_t)down;
	r->parallel_core = 0;
	return 0;
}

static int set_core(const struct c4_fabric *f, const struct c4_path *path, const uint32_t *at,
		    struct c4_route *r)
{
	int up = parallel_of(f, at[0], at[1], path->link[0], UINT8_MAX);
	int core_up = parallel_of(f, at[1], at[2], path->link[1], 0xF);
	int core_down = parallel_of(f, at[2], at[3], path->link[2], 0xF);
	int down = parallel_of(f, at[3], at[4], path->link[3], UINT8_MAX);

	if (up < 0 || core_up < 0 || core_down < 0 || down < 0 ||
	    f->switches[at[1]].tier != C4_SPINE || f->switches[at[2]].tier != C4_CORE ||
	    f->switches[at[3]].tier != C4_SPINE)
		return -EINVAL;
	r->state = C4_ROUTE_CORE;
	r->up = (uint16_t)at[1];
	r->core = (uint16_t)at[2];
	r->down = (uint16_t)at[3];
	r->parallel_up = (uint8_t)up;
	r->parallel_down = (uint8_t)down;
	r->parallel_core = (uint8_t)(core_up | core_down << 4);
	return 0;
}

int c4_path_to_route(const struct c4_fabric *f, uint32_t from_leaf, uint32_t to_leaf,
		     const struct c4_path *path, struct c4_route *r)
{
	uint32_t at[C4_HOPS_MAX + 1];

	if (path->hops > C4_HOPS_MAX || walk(f, from_leaf, path, at) || at[path->hops] != to_leaf)
		return -EINVAL;
	switch (path->hops) {
	case 0: r->state = C4_ROUTE_LOCAL; return 0;
	case 2: return set_spine(f, path, at, r);
	case 4: return set_core(f, path, at, r);
	default: return -EINVAL;
	}
}
