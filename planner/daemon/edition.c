// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/edition.h"

#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

#define TEXT_MAX (64u << 20) /* bytes of ids in one delta */

const char *c4_shift_reason_name(enum c4_shift_reason why)
{
	static const char *const names[] = {
#define C4_X(sym, name) name,
		C4_SHIFT_REASONS(C4_X)
#undef C4_X
	};

	return names[why];
}

/* ---- ways ------------------------------------------------------------------------------------ */

static bool is_tier(const struct c4_fabric *f, uint32_t s, enum c4_tier tier)
{
	return s < f->n_switches && f->switches[s].tier == tier;
}

/* Its switches are of the right kind and links join them. */
static bool way_fits(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r)
{
	struct c4_hop hops[C4_HOPS_MAX];
	int n;

	if (!is_tier(f, r->up, C4_SPINE))
		return false;
	if (r->state == C4_ROUTE_CORE &&
	    (!is_tier(f, r->core, C4_CORE) || !is_tier(f, r->down, C4_SPINE)))
		return false;
	n = c4_route_hops(f, c, r, hops);
	while (n > 0 && hops[n - 1].link != C4_NONE)
		n--;
	return !n;
}

bool c4_route_fits(const struct c4_fabric *f, const struct c4_conn *c, const struct c4_route *r)
{
	switch (r->state) {
	case C4_ROUTE_LOCAL: return f->nics[c->src].leaf == f->nics[c->dst].leaf;
	case C4_ROUTE_SPINE:
	case C4_ROUTE_CORE: return way_fits(f, c, r);
	default: return r->state <= C4_ROUTE_TWO_PLANES;
	}
}

/* ---- deltas ---------------------------------------------------------------------------------- */

struct c4_delta *c4_delta_new(uint64_t version, uint64_t follows, struct c4_held_fabric *was,
			      struct c4_held_fabric *is)
{
	struct c4_delta *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->holders = 1;
	d->version = version;
	d->follows = follows;
	d->was = c4_held_fabric_hold(was);
	d->is = c4_held_fabric_hold(is);
	c4_arena_init(&d->text, TEXT_MAX);
	return d;
}

struct c4_delta *c4_delta_hold(struct c4_delta *d)
{
	__atomic_fetch_add(&d->holders, 1, __ATOMIC_RELAXED);
	return d;
}

void c4_delta_drop(struct c4_delta *d)
{
	if (!d || __atomic_sub_fetch(&d->holders, 1, __ATOMIC_ACQ_REL))
		return;
	c4_held_fabric_drop(d->was);
	c4_held_fabric_drop(d->is);
	c4_arena_release(&d->text);
	free(d->moves);
	free(d->gone);
	free(d);
}

static const char *copy_text(struct c4_delta *d, const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = c4_arena_alloc(&d->text, n);

	return copy ? memcpy(copy, text, n) : NULL;
}

void c4_delta_move(struct c4_delta *d, const struct c4_shift *m)
{
	struct c4_shift *grown = c4_vec_reserve(d->moves, &d->cap_moves, d->n_moves + 1,
						C4_DELTA_MAX, sizeof *grown);
	const char *id = grown ? copy_text(d, m->id) : NULL;

	d->by_reason[m->why]++;
	if (grown)
		d->moves = grown;
	if (!id) {
		d->moves_untold++;
		return;
	}
	d->moves[d->n_moves] = *m;
	d->moves[d->n_moves++].id = id;
}

void c4_delta_gone(struct c4_delta *d, const struct c4_gone *g)
{
	struct c4_gone *grown =
		c4_vec_reserve(d->gone, &d->cap_gone, d->n_gone + 1, C4_DELTA_MAX, sizeof *grown);
	const char *id = grown ? copy_text(d, g->id) : NULL;

	if (grown)
		d->gone = grown;
	if (!id) {
		d->partial = true;
		return;
	}
	d->gone[d->n_gone] = *g;
	d->gone[d->n_gone++].id = id;
}

/* ---- editions -------------------------------------------------------------------------------- */

static uint32_t host_of(const struct c4_edition *e, uint32_t conn, bool into)
{
	const struct c4_conn *c = &e->demand->demand.conns[conn];

	return e->fabric->fabric.nics[into ? c->dst : c->src].host;
}

/* Counting sort of the connections by source host, or by destination host. */
static bool index_hosts(struct c4_edition *e, bool into, uint32_t **ret_at, uint32_t **ret_by)
{
	uint32_t n_hosts = e->fabric->fabric.n_hosts, n = e->demand->demand.n_conns, *at, *by;

	at = *ret_at = calloc((size_t)n_hosts + 2, sizeof *at);
	by = *ret_by = calloc((size_t)n + 1, sizeof *by);
	if (!at || !by)
		return false;
	for (uint32_t i = 0; i < n; i++)
		at[host_of(e, i, into) + 2]++;
	for (uint32_t h = 2; h <= n_hosts + 1; h++)
		at[h] += at[h - 1];
	for (uint32_t i = 0; i < n; i++)
		by[at[host_of(e, i, into) + 1]++] = i;
	return true;
}

/* What the worker goes on changing. */
static bool copy_network(struct c4_edition *e)
{
	const struct c4_fabric *f = &e->fabric->fabric;

	e->epochs = calloc((size_t)f->n_switches + 1, sizeof *e->epochs);
	e->rates = calloc((size_t)f->n_links + 1, sizeof *e->rates);
	if (!e->epochs || !e->rates)
		return false;
	for (uint32_t i = 0; i < f->n_switches; i++)
		e->epochs[i] = f->switches[i].epoch;
	for (uint32_t i = 0; i < f->n_links; i++)
		e->rates[i] = f->links[i].now_gbps;
	return true;
}

/* NULL: no memory. */
static void *copy_of(const void *from, size_t n, size_t item)
{
	void *copy = malloc((n + 1) * item);

	return copy && n ? memcpy(copy, from, n * item) : copy;
}

static bool copy_plan(struct c4_edition *e, const struct c4_plan *plan,
		      const struct c4_route *backups, const uint64_t *changed)
{
	e->plan = *plan;
	e->plan.routes = copy_of(plan->routes, plan->n_routes, sizeof *plan->routes);
	e->backups = copy_of(backups, plan->n_routes, sizeof *backups);
	e->changed = copy_of(changed, plan->n_routes, sizeof *changed);
	return e->plan.routes && e->backups && e->changed;
}

struct c4_edition *c4_edition_new(struct c4_held_fabric *fabric, struct c4_held_demand *demand,
				  const struct c4_plan *plan, const struct c4_route *backups,
				  const uint64_t *changed, const struct c4_links *links,
				  struct c4_delta *delta)
{
	struct c4_edition *e = calloc(1, sizeof *e);

	if (!e) {
		c4_delta_drop(delta);
		return NULL;
	}
	e->holders = 1;
	e->version = delta->version;
	e->delta = delta;
	e->fabric = c4_held_fabric_hold(fabric);
	e->demand = c4_held_demand_hold(demand);
	if (c4_links_copy(&e->links, links) || (fabric && !copy_network(e)) ||
	    (demand && (!index_hosts(e, false, &e->host_at, &e->by_host) ||
			!index_hosts(e, true, &e->into_at, &e->by_into))) ||
	    !copy_plan(e, plan, backups, changed)) {
		c4_edition_drop(e);
		return NULL;
	}
	return e;
}

struct c4_edition *c4_edition_hold(struct c4_edition *e)
{
	__atomic_fetch_add(&e->holders, 1, __ATOMIC_RELAXED);
	return e;
}

void c4_edition_drop(struct c4_edition *e)
{
	if (!e || __atomic_sub_fetch(&e->holders, 1, __ATOMIC_ACQ_REL))
		return;
	free(e->plan.routes);
	free(e->backups);
	free(e->changed);
	free(e->host_at);
	free(e->by_host);
	free(e->into_at);
	free(e->by_into);
	free(e->epochs);
	free(e->rates);
	c4_links_release(&e->links);
	c4_delta_drop(e->delta);
	c4_held_fabric_drop(e->fabric);
	c4_held_demand_drop(e->demand);
	free(e);
}
