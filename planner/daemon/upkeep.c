// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/upkeep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct c4_upkeep {
	struct c4_replan *live;
	uint32_t *handle; /* per connection of the present demand */
	uint32_t n;
};

static bool any_placed(const struct c4_conn *c, const struct c4_plan *keep)
{
	for (uint32_t q = c->first; q < c->first + c->qps; q++)
		if (keep->routes[q].state != C4_ROUTE_NONE)
			return true;
	return false;
}

/* Its handle; C4_NONE: no memory. */
static uint32_t begin_conn(struct c4_replan *live, const struct c4_conn *c,
			   const struct c4_plan *keep)
{
	int64_t h = any_placed(c, keep)
			    ? c4_replan_adopt(live, c->src, c->dst, (double)c->weight, c->qps,
					      &keep->routes[c->first])
			    : c4_replan_add(live, c->src, c->dst, (double)c->weight, c->qps);

	return h < 0 ? C4_NONE : (uint32_t)h;
}

/* Those that have routes first: who comes must not take their place. */
static bool begin_conns(struct c4_replan *live, const struct c4_demand *d,
			const struct c4_plan *keep, uint32_t *handle)
{
	for (int placed = 1; placed >= 0; placed--)
		for (uint32_t i = 0; i < d->n_conns; i++) {
			if (handle[i] != C4_NONE || any_placed(&d->conns[i], keep) != placed)
				continue;
			handle[i] = begin_conn(live, &d->conns[i], keep);
			if (handle[i] == C4_NONE)
				return false;
		}
	return true;
}

static uint32_t *new_handles(uint32_t n)
{
	uint32_t *h = malloc(((size_t)n + 1) * sizeof *h);

	for (uint32_t i = 0; h && i < n; i++)
		h[i] = C4_NONE;
	return h;
}

int c4_upkeep_new(struct c4_upkeep **ret, struct c4_fabric *f, const struct c4_demand *d,
		  const struct c4_plan *keep, const struct c4_replan_opts *o,
		  struct c4_fault *fault)
{
	struct c4_upkeep *u = calloc(1, sizeof *u);
	int rc = -ENOMEM;

	c4_fault_set(fault, 0, "out of memory");
	if (!u)
		return rc;
	u->n = d->n_conns;
	u->handle = new_handles(d->n_conns);
	if (u->handle)
		rc = c4_replan_new(&u->live, f, o, fault);
	if (!rc && !begin_conns(u->live, d, keep, u->handle))
		rc = -ENOMEM;
	if (rc) {
		c4_upkeep_free(u);
		return rc;
	}
	c4_replan_clear_moves(u->live);
	*ret = u;
	return 0;
}

void c4_upkeep_free(struct c4_upkeep *u)
{
	if (!u)
		return;
	if (u->live)
		c4_replan_free(u->live);
	free(u->handle);
	free(u);
}

/* ---- demands --------------------------------------------------------------------------------- */

int c4_upkeep_follow(struct c4_upkeep *u, const struct c4_demand *d, const struct c4_carry *y)
{
	uint32_t *handle = new_handles(d->n_conns);

	if (!handle)
		return -ENOMEM;
	for (uint32_t i = 0; i < u->n; i++) {
		uint32_t next = y->next[i];

		if (next != C4_NONE && y->same[next])
			handle[next] = u->handle[i];
		else
			c4_replan_remove(u->live, u->handle[i]);
	}
	free(u->handle);
	u->handle = handle;
	u->n = d->n_conns;
	return begin_conns(u->live, d, &y->plan, handle) ? 0 : -ENOMEM;
}

/* ---- links ----------------------------------------------------------------------------------- */

int c4_upkeep_link(struct c4_upkeep *u, uint32_t link, double now_gbps, uint64_t now_ns)
{
	return c4_replan_link(u->live, link, now_gbps, now_ns);
}

bool c4_upkeep_tick(struct c4_upkeep *u, uint64_t now_ns)
{
	return c4_replan_tick(u->live, now_ns) > 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

void c4_upkeep_read(struct c4_upkeep *u, const struct c4_demand *d, struct c4_route *routes,
		    struct c4_route *backups)
{
	for (uint32_t i = 0; i < d->n_conns; i++)
		for (uint32_t q = 0; q < d->conns[i].qps; q++) {
			uint32_t at = d->conns[i].first + q;

			routes[at] = *c4_replan_route(u->live, u->handle[i], q);
			backups[at] = c4_replan_backup(u->live, u->handle[i], q);
		}
}

void c4_upkeep_set_ports(struct c4_upkeep *u, const struct c4_demand *d,
			 const struct c4_route *routes)
{
	for (uint32_t i = 0; i < d->n_conns; i++)
		for (uint32_t q = 0; q < d->conns[i].qps; q++)
			c4_replan_route(u->live, u->handle[i], q)->sport =
				routes[d->conns[i].first + q].sport;
}

int c4_upkeep_reasons(struct c4_upkeep *u, const struct c4_demand *d, uint8_t *why)
{
	uint32_t n, most = 0, *conn;
	const struct c4_move *moves = c4_replan_moves(u->live, &n);

	for (uint32_t i = 0; i < u->n; i++)
		most = u->handle[i] > most ? u->handle[i] : most;
	conn = new_handles(most + 1);
	if (!conn)
		return -ENOMEM;
	for (uint32_t i = 0; i < u->n; i++)
		conn[u->handle[i]] = i;
	while (n-- > 0) { /* of several moves of a QP the first says why it did not stay */
		const struct c4_move *m = &moves[n];
		uint32_t i = m->conn <= most ? conn[m->conn] : C4_NONE;

		if (i != C4_NONE && m->qp < d->conns[i].qps)
			why[d->conns[i].first + m->qp] = m->reason;
	}
	free(conn);
	c4_replan_clear_moves(u->live);
	return 0;
}
