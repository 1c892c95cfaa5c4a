// SPDX-License-Identifier: BSD-3-Clause
#include "planner/daemon/diff.h"

struct diff {
	const struct c4_planned *was, *is;
	const struct c4_carry *y;
	const uint8_t *why;
	struct c4_delta *out;
};

static bool same_way(const struct diff *d, const struct c4_conn *c, const struct c4_route *a,
		     const struct c4_route *b)
{
	struct c4_way x = c4_way_of(d->is->side.fabric, c, a);
	struct c4_way y = c4_way_of(d->is->side.fabric, c, b);

	return c4_way_equal(&x, &y) && a->parallel_up == b->parallel_up &&
	       a->parallel_down == b->parallel_down && a->parallel_core == b->parallel_core;
}

static enum c4_shift_reason why_moved(const struct diff *d, uint32_t qp)
{
	if (d->was->side.fabric != d->is->side.fabric)
		return C4_SHIFT_FABRIC;
	return d->why[qp] < C4_SHIFT_MAX ? (enum c4_shift_reason)d->why[qp] : C4_SHIFT_REBALANCE;
}

static void tell_move(const struct diff *d, const struct c4_conn *c, const struct c4_conn *old,
		      uint32_t q)
{
	const struct c4_fabric *f = d->is->side.fabric;
	struct c4_shift m = {
		.id = c->id,
		.qp = q,
		.host = f->nics[c->src].host,
		.from = c4_way_of(d->was->side.fabric, old, &d->was->plan->routes[old->first + q]),
		.to = c4_way_of(f, c, &d->is->plan->routes[c->first + q]),
		.why = (uint8_t)why_moved(d, c->first + q),
	};

	c4_delta_move(d->out, &m);
}

static bool same_backup(const struct diff *d, const struct c4_conn *c, uint32_t qp)
{
	const struct c4_route *before = &d->y->backups[qp];

	return before->state == C4_ROUTE_NONE || same_way(d, c, before, &d->is->backups[qp]);
}

/* True if the QP's route is another than before. */
static bool look_at_qp(const struct diff *d, const struct c4_conn *c, const struct c4_conn *old,
		       uint32_t q)
{
	uint32_t qp = c->first + q;
	const struct c4_route *before = &d->y->plan.routes[qp], *now = &d->is->plan->routes[qp];

	if (!old || q >= old->qps)
		return true; /* it arrived */
	if (!same_way(d, c, before, now)) {
		tell_move(d, c, old, q);
		return true;
	}
	return before->state != now->state || before->sport != now->sport ||
	       before->share != now->share || !same_backup(d, c, qp);
}

static void tell_gone(const struct diff *d)
{
	const struct c4_demand *was = d->was->side.demand, *is = d->is->side.demand;

	for (uint32_t i = 0; i < was->n_conns; i++) {
		const struct c4_conn *c = &was->conns[i];
		uint32_t next = d->y->next[i], left = next == C4_NONE ? 0 : is->conns[next].qps;
		struct c4_gone g = {.id = c->id, .first = left};

		if (left >= c->qps)
			continue;
		g.n = c->qps - left;
		g.host = d->was->side.fabric->nics[c->src].host;
		c4_delta_gone(d->out, &g);
	}
}

uint64_t c4_diff(const struct c4_planned *was, const struct c4_carry *y,
		 const struct c4_planned *is, const uint8_t *why, uint64_t *changed,
		 struct c4_delta *out)
{
	const struct diff d = {was, is, y, why, out};
	uint64_t n = 0;

	for (uint32_t i = 0; i < is->side.demand->n_conns; i++) {
		const struct c4_conn *c = &is->side.demand->conns[i], *old = NULL;

		if (y->old[i] != C4_NONE)
			old = &was->side.demand->conns[y->old[i]];
		for (uint32_t q = 0; q < c->qps; q++) {
			bool differs = look_at_qp(&d, c, old, q);

			changed[c->first + q] =
				differs ? out->version : was->changed[old->first + q];
			n += differs;
		}
	}
	tell_gone(&d);
	return n;
}
