/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replan_case.h - a living plan with a witness: the witness knows the connections and every route
 * it was told of. After each event it follows the moves one by one and must arrive at the routes of
 * now; live_check() recomputes loads, backups and limits from the routes alone (plan_check.h).
 *
 * Include after cmocka.h, or after fail() and print_error() are defined otherwise. One thread.
 */
#ifndef C4_TESTS_REPLAN_CASE_H
#define C4_TESTS_REPLAN_CASE_H

#include "planner/model/replan/replan_live.h"
#include "tests/unit/plan_case.h"
#include "tests/unit/plan_check.h"

#define LIVE_QPS 16u
#define LIVE_S	 1000000000ull

struct live_conn {
	bool used;
	uint32_t src, dst, qps;
	double weight;
	struct c4_route was[LIVE_QPS];
};

struct live {
	char name[96];
	struct c4_fabric f;
	struct c4_replan *r;
	struct c4_replan_opts opts; /* with the defaults filled in */
	struct live_conn *conns;    /* by handle */
	uint32_t n_conns, n_used;
	uint64_t now_ns;
	double limit;			 /* the most that counting asked for since live_reset() */
	uint32_t moved[C4_MOVE_REASONS]; /* in the last event */
	uint32_t own;			 /* of these, QPs of the link itself */
	uint32_t by_backup;		 /* of these, to where the backup was */
};

#define live_fail(l, ...)                                                                          \
	do {                                                                                       \
		print_error("%s: ", (l)->name);                                                    \
		print_error(__VA_ARGS__);                                                          \
		print_error("\n");                                                                 \
		fail();                                                                            \
	} while (0)

/* ---- life ------------------------------------------------------------------------------------ */

/* On l->f, which is the caller's work until here. */
static inline void live_begin(struct live *l, const struct c4_replan_opts *o)
{
	struct c4_fault fault;

	l->opts = o ? *o : (struct c4_replan_opts){0};
	if (c4_replan_new(&l->r, &l->f, &l->opts, &fault))
		live_fail(l, "%s", fault.what);
	l->opts = l->r->o;
	l->now_ns = 1000 * LIVE_S;
	l->limit = l->opts.full;
}

static inline void live_fabric(struct live *l, struct c4_clos shape)
{
	struct c4_fault fault;

	*l = (struct live){0};
	c4_fabric_init(&l->f);
	shape.gbps = shape.gbps > 0 ? shape.gbps : 400;
	shape.rails = shape.rails ? shape.rails : 1;
	shape.planes = shape.planes ? shape.planes : 1;
	snprintf(l->name, sizeof l->name, "L%u S%u H%u P%u pods %u cores %u", shape.leaves,
		 shape.spines, shape.hosts_per_leaf, shape.planes, shape.pods, shape.cores);
	if (c4_clos_make(&l->f, &shape, &fault))
		live_fail(l, "%s", fault.what);
}

/* A second link beside every `each`th one. Before live_begin(). */
static inline void live_double_links(struct live *l, uint32_t each)
{
	uint32_t n = l->f.n_links;
	struct c4_fault fault;

	for (uint32_t i = 0; i < n; i += each)
		if (c4_fabric_join(&l->f, l->f.links[i].a, l->f.links[i].b, 400, 400, &fault) < 0)
			live_fail(l, "%s", fault.what);
	if (c4_fabric_finish(&l->f, &fault))
		live_fail(l, "%s", fault.what);
}

static inline void live_open(struct live *l, struct c4_clos shape, const struct c4_replan_opts *o)
{
	live_fabric(l, shape);
	live_begin(l, o);
}

static inline void live_close(struct live *l)
{
	c4_replan_free(l->r);
	c4_fabric_release(&l->f);
	free(l->conns);
	l->conns = NULL;
}

/* ---- the witness ----------------------------------------------------------------------------- */

static inline bool live_same(const struct c4_route *a, const struct c4_route *b)
{
	return a->state == b->state && a->up == b->up && a->core == b->core && a->down == b->down &&
	       a->parallel_up == b->parallel_up && a->parallel_down == b->parallel_down &&
	       a->parallel_core == b->parallel_core;
}

static inline struct c4_conn live_conn_of(const struct live_conn *c)
{
	return (struct c4_conn){
		.src = c->src, .dst = c->dst, .qps = c->qps, .weight = (float)c->weight};
}

static inline bool live_placed(const struct c4_route *r)
{
	return r->state == C4_ROUTE_SPINE || r->state == C4_ROUTE_CORE;
}

/* By this link or one parallel to it. */
static inline bool live_crosses(struct live *l, const struct live_conn *c, const struct c4_route *r,
				uint32_t link)
{
	const struct c4_link *k = &l->f.links[link];
	struct c4_conn conn = live_conn_of(c);
	struct c4_hop hops[C4_HOPS_MAX];
	int n = c4_route_hops(&l->f, &conn, r, hops);

	for (int i = 0; i < n; i++)
		if (l->f.links[hops[i].link].a == k->a && l->f.links[hops[i].link].b == k->b)
			return true;
	return false;
}

/* Every QP is where the moves led, its port kept only if it did not move. Ports are then set. */
static inline void live_arrive(struct live *l)
{
	for (uint32_t h = 0; h < l->n_conns; h++)
		for (uint32_t q = 0; l->conns[h].used && q < l->conns[h].qps; q++) {
			struct c4_route *was = &l->conns[h].was[q];
			struct c4_route *now = c4_replan_route(l->r, h, q);

			if (was->state != C4_ROUTE_NO_PATH && !live_same(was, now))
				live_fail(l, "connection %u QP %u: moved, and no move says so", h,
					  q);
			if (now->sport != was->sport)
				live_fail(l, "connection %u QP %u: port %u, expected %u", h, q,
					  now->sport, was->sport);
			if (live_placed(now))
				now->sport = (uint16_t)(0xc000 + (h + q) % 1000);
			*was = *now;
		}
}

/* Moves of the last event, cause and reasons as they must be. `others`: reason of those that made
 * room, at most the budget; own moves are of QPs that crossed the link `cause`. */
static inline void live_follow(struct live *l, enum c4_move_reason own, enum c4_move_reason others,
			       uint32_t cause)
{
	uint32_t n, room = 0;
	const struct c4_move *m = c4_replan_moves(l->r, &n);

	memset(l->moved, 0, sizeof l->moved);
	l->own = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct live_conn *c = &l->conns[m[i].conn];
		struct c4_route *was = &c->was[m[i].qp];

		if (m[i].conn >= l->n_conns || !c->used || m[i].qp >= c->qps)
			live_fail(l, "move %u: no QP %u of connection %u", i, m[i].qp, m[i].conn);
		if ((was->state != C4_ROUTE_NO_PATH && !live_same(was, &m[i].from)) ||
		    live_same(&m[i].from, &m[i].to))
			live_fail(l, "move %u does not begin where the QP was, or goes nowhere", i);
		if (m[i].reason != own && m[i].reason != others)
			live_fail(l, "move %u: reason %s, expected %s or %s", i,
				  c4_move_reason_name(m[i].reason), c4_move_reason_name(own),
				  c4_move_reason_name(others));
		if (m[i].cause != cause && own != C4_MOVE_MAKE_ROOM)
			live_fail(l, "move %u: cause %u, expected %u", i, m[i].cause, cause);
		if (m[i].reason == own && own != others && own != C4_MOVE_MAKE_ROOM) {
			if (!live_crosses(l, c, was, cause))
				live_fail(l, "move %u: the QP does not cross link %u", i, cause);
			l->own++;
		}
		room += m[i].reason == others;
		l->moved[m[i].reason]++;
		*was = m[i].to;
		was->sport = 0;
	}
	if (room > l->opts.move_budget)
		live_fail(l, "%u moves to make room, the budget is %u", room, l->opts.move_budget);
	c4_replan_clear_moves(l->r);
	live_arrive(l);
}

/* ---- the least limit, by counting ------------------------------------------------------------ */

static inline bool live_planned(const struct live *l, const struct live_conn *c)
{
	uint32_t a = l->f.nics[c->src].leaf, b = l->f.nics[c->dst].leaf;

	return c->used && a != b && l->f.switches[a].net == l->f.switches[b].net;
}

/* The least utilisation at which the leaf's live links carry n whole QPs of this size. */
static inline double live_least(const struct live *l, uint32_t leaf, uint32_t n, double unit)
{
	double fastest = check_fastest(&l->f), util = 0;

	for (uint32_t fit = 0; fit < n;) {
		double next = INFINITY;

		fit = 0;
		for (uint32_t i = l->f.link_at[leaf]; i < l->f.link_at[leaf + 1]; i++) {
			double rate = (double)l->f.links[l->f.link_of[i]].now_gbps / fastest;
			double fits = floor(util * rate / unit + 1e-6);

			fit += (uint32_t)fits;
			if (rate > 0)
				next = fmin(next, (fits + 1) * unit / rate);
		}
		if (next == INFINITY)
			return 0;
		util = fit < n ? next : util;
	}
	return util;
}

/* Of equal QPs: the size, and the limit that some leaf needs. 0: there are several sizes. */
static inline double live_need(const struct live *l)
{
	uint32_t *n = calloc(2 * (size_t)l->f.n_switches + 1, sizeof *n);
	double unit = 0, need = 0;

	for (uint32_t h = 0; h < l->n_conns; h++) {
		const struct live_conn *c = &l->conns[h];

		if (!live_planned(l, c))
			continue;
		if (unit > 0 && fabs(unit - c->weight / c->qps) > 1e-6 * unit)
			unit = INFINITY;
		unit = unit > 0 ? unit : c->weight / c->qps;
		n[2 * l->f.nics[c->src].leaf] += c->qps;
		n[2 * l->f.nics[c->dst].leaf + 1] += c->qps;
	}
	for (uint32_t s = 0; s < l->f.n_switches && isfinite(unit); s++)
		if (l->f.switches[s].tier == C4_LEAF)
			for (uint32_t side = 0; side < 2; side++)
				need = fmax(need, live_least(l, s, n[2 * s + side], unit));
	free(n);
	return isfinite(unit) ? need : 0;
}

static inline void live_limit(struct live *l)
{
	l->limit = fmax(l->limit, live_need(l));
}

/* From here on only what is needed now is allowed; the planner is told by a tick. */
static inline void live_reset(struct live *l)
{
	l->limit = fmax(l->opts.full, live_need(l));
}

/* ---- events ---------------------------------------------------------------------------------- */

static inline struct live_conn *live_slot(struct live *l, uint32_t h)
{
	if (h >= l->n_conns) {
		l->conns = realloc(l->conns, (h + 1) * 2 * sizeof *l->conns);
		memset(l->conns + l->n_conns, 0, ((h + 1) * 2 - l->n_conns) * sizeof *l->conns);
		l->n_conns = (h + 1) * 2;
	}
	return &l->conns[h];
}

static inline uint32_t live_take(struct live *l, int64_t h, struct live_conn c)
{
	if (h < 0)
		live_fail(l, "arrival refused: %d", (int)h);
	if (h > UINT16_MAX * 16 || live_slot(l, (uint32_t)h)->used)
		live_fail(l, "handle %d is in use", (int)h);
	c.used = true;
	for (uint32_t q = 0; q < c.qps; q++)
		c.was[q] = *c4_replan_route(l->r, (uint32_t)h, q);
	l->conns[h] = c;
	l->n_used++;
	live_limit(l);
	live_follow(l, C4_MOVE_ARRIVAL, C4_MOVE_ARRIVAL, (uint32_t)h);
	return (uint32_t)h;
}

static inline uint32_t live_add(struct live *l, uint32_t src, uint32_t dst, double weight,
				uint32_t qps)
{
	int64_t h = c4_replan_add(l->r, src, dst, weight, qps);

	return live_take(l, h,
			 (struct live_conn){.src = src, .dst = dst, .qps = qps, .weight = weight});
}

static inline uint32_t live_adopt(struct live *l, uint32_t src, uint32_t dst, double weight,
				  uint32_t qps, const struct c4_route *routes)
{
	int64_t h = c4_replan_adopt(l->r, src, dst, weight, qps, routes);

	return live_take(l, h,
			 (struct live_conn){.src = src, .dst = dst, .qps = qps, .weight = weight});
}

static inline void live_remove(struct live *l, uint32_t h)
{
	c4_replan_remove(l->r, h);
	l->conns[h].used = false;
	l->n_used--;
	live_follow(l, C4_MOVE_ARRIVAL, C4_MOVE_ARRIVAL, C4_NONE);
	if (l->moved[C4_MOVE_ARRIVAL])
		live_fail(l, "a departure moved others");
}

/* A used handle, chosen by chance. There must be one. */
static inline uint32_t live_any(const struct live *l, struct dice *dice)
{
	uint32_t h = dice_below(dice, l->n_conns);

	while (!l->conns[h].used)
		h = h + 1 == l->n_conns ? 0 : h + 1;
	return h;
}

/* How many QPs now cross the link, and would rather take their backup. */
static inline void live_count_backups(struct live *l, const struct c4_move *m, uint32_t n,
				      struct c4_route **backups)
{
	l->by_backup = 0;
	for (uint32_t i = 0; i < n; i++)
		if (m[i].reason == C4_MOVE_LINK_DOWN)
			l->by_backup += m[i].to.up == backups[m[i].conn][m[i].qp].up;
}

static inline int live_link(struct live *l, uint32_t link, double gbps)
{
	struct c4_route **backups = calloc(l->n_conns + 1, sizeof *backups);
	const struct c4_move *m;
	uint32_t n;
	int rc;

	for (uint32_t h = 0; h < l->n_conns; h++) {
		backups[h] = calloc(LIVE_QPS, sizeof **backups);
		for (uint32_t q = 0; l->conns[h].used && q < l->conns[h].qps; q++)
			backups[h][q] = c4_replan_backup(l->r, h, q);
	}
	rc = c4_replan_link(l->r, link, gbps, l->now_ns);
	m = c4_replan_moves(l->r, &n);
	live_count_backups(l, m, n, backups);
	for (uint32_t h = 0; h < l->n_conns; h++)
		free(backups[h]);
	free(backups);
	live_limit(l);
	live_follow(l, gbps > 0 ? C4_MOVE_LINK_WEAK : C4_MOVE_LINK_DOWN, C4_MOVE_MAKE_ROOM, link);
	return rc;
}

/* Time goes on. Links that return make room for QPs without a path, then come the others. */
static inline uint32_t live_tick(struct live *l, uint64_t ns)
{
	uint32_t told, n;

	l->now_ns += ns;
	told = c4_replan_tick(l->r, l->now_ns);
	c4_replan_moves(l->r, &n);
	if (told != n)
		live_fail(l, "tick tells of %u moves, there are %u", told, n);
	live_follow(l, C4_MOVE_MAKE_ROOM, C4_MOVE_REBALANCE, C4_NONE);
	return told;
}

/* ---- all that must hold ---------------------------------------------------------------------- */

/* Is there a live way by another spine of the source's pod? */
static inline bool live_other_way(struct check *c, const struct live_conn *conn, uint32_t not )
{
	const struct c4_fabric *f = c->f;
	uint32_t src = f->nics[conn->src].leaf, dst = f->nics[conn->dst].leaf;

	for (uint32_t i = f->link_at[src]; i < f->link_at[src + 1]; i++) {
		uint32_t s = f->links[f->link_of[i]].b;

		if (s == not || check_rate(c, src, s) <= 0)
			continue;
		if (f->switches[src].pod == f->switches[dst].pod) {
			if (check_rate(c, dst, s) > 0)
				return true;
			continue;
		}
		for (uint32_t k = f->link_at[dst]; k < f->link_at[dst + 1]; k++) {
			uint32_t t = f->links[f->link_of[k]].b;

			if (check_rate(c, dst, t) <= 0)
				continue;
			for (uint32_t j = f->link_at[s]; j < f->link_at[s + 1]; j++) {
				uint32_t x = f->links[f->link_of[j]].b;

				if (f->switches[x].tier == C4_CORE && check_rate(c, s, x) > 0 &&
				    check_rate(c, t, x) > 0)
					return true;
			}
		}
	}
	return false;
}

static inline void live_check_backup(struct live *l, struct check *c, uint32_t h, uint32_t q)
{
	const struct live_conn *lc = &l->conns[h];
	struct c4_conn conn = live_conn_of(lc);
	const struct c4_route *r = c4_replan_route(l->r, h, q);
	struct c4_route b = c4_replan_backup(l->r, h, q);

	if (!live_placed(r))
		return;
	if (!live_placed(&b)) {
		if (b.state != C4_ROUTE_NO_PATH || live_other_way(c, lc, r->up))
			live_fail(l, "connection %u QP %u: no backup, but there is a way", h, q);
		return;
	}
	if (b.up == r->up || b.state != r->state || b.sport)
		live_fail(l, "connection %u QP %u: the backup is no other way", h, q);
	check_path(c, &conn, h, &b);
}

/* Loads per link, kept and recomputed. */
static inline void live_check_loads(struct live *l, const struct check *c)
{
	double load, util;

	for (uint32_t i = 0; i < l->f.n_links; i++)
		if (fabs(c->up[i] - l->r->load[2 * (size_t)i]) > 1e-5 ||
		    fabs(c->down[i] - l->r->load[2 * (size_t)i + 1]) > 1e-5)
			live_fail(l, "link %u: loads %g and %g are kept, the routes say %g and %g",
				  i, l->r->load[2 * (size_t)i], l->r->load[2 * (size_t)i + 1],
				  c->up[i], c->down[i]);
	c4_replan_measure(l->r, &load, &util);
	if (fabs(load - c->max_load) > 1e-4 || fabs(util - c->max_util) > 1e-4 * fmax(1, util))
		live_fail(l, "measured load %g, utilisation %g; the routes say %g, %g", load, util,
			  c->max_load, c->max_util);
}

/* Sum of parallel links against the limit that counting allowed. */
static inline void live_check_limit(struct live *l, const struct check *c)
{
	double fastest = check_fastest(&l->f);

	for (uint32_t i = 0; i < l->f.n_links; i++) {
		const struct c4_link *k = &l->f.links[i];
		double up = 0, down = 0, rate = check_rate(c, k->a, k->b) / fastest;

		for (uint32_t nth = 0, at; (at = check_find(c, k->a, k->b, nth)) != C4_NONE;
		     nth++) {
			up += c->up[at];
			down += c->down[at];
		}
		if (fmax(up, down) > l->limit * rate + 1e-4)
			live_fail(l, "link %u carries %g, the limit is %g of %g", i, fmax(up, down),
				  l->limit, rate);
	}
}

static inline void live_check_stats(struct live *l, const struct check *c)
{
	const struct c4_replan_stats *s = c4_replan_stats(l->r);
	uint32_t qps = 0;

	for (uint32_t h = 0; h < l->n_conns; h++)
		qps += l->conns[h].used ? l->conns[h].qps : 0;
	if (s->conns != l->n_used || s->qps != qps || s->unplaced != c->unplaced)
		live_fail(l, "%u connections, %u QPs, %u unplaced told; there are %u, %u, %u",
			  s->conns, s->qps, s->unplaced, l->n_used, qps, c->unplaced);
}

/* within: no link above the limit, unless QPs were forced. */
static inline void live_check(struct live *l, bool within)
{
	struct check c, backups;

	check_init(&c, l->name, &l->f, NULL);
	check_init(&backups, l->name, &l->f, NULL);
	for (uint32_t h = 0; h < l->n_conns; h++)
		for (uint32_t q = 0; l->conns[h].used && q < l->conns[h].qps; q++) {
			struct c4_conn conn = live_conn_of(&l->conns[h]);

			check_route(&c, &conn, h, c4_replan_route(l->r, h, q));
			live_check_backup(l, &backups, h, q);
		}
	check_most(&c);
	live_check_loads(l, &c);
	live_check_stats(l, &c);
	if (within)
		live_check_limit(l, &c);
	check_release(&c);
	check_release(&backups);
}

#endif
