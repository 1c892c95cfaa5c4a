// SPDX-License-Identifier: BSD-3-Clause
/*
 * Plans of damaged and unequal fabrics against what is best: a linear program (GLPK's simplex) for
 * traffic that could be split at will, exhaustive search for whole QPs. Paths are enumerated on the
 * fabric's links here, so that neither the planner's coordinates nor its bounds are trusted.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glpk.h>

#include "tests/unit/plan_case.h"
#include "tests/unit/plan_check.h"

#define HOPS 4

/* One way of a QP: directed links, 2 * link + downwards. */
struct way {
	uint32_t n, hop[HOPS];
};

struct ways {
	struct way *v;
	uint32_t n, cap;
};

static bool live(const struct c4_fabric *f, uint32_t link, uint32_t low, enum c4_tier high)
{
	return f->links[link].a == low && f->links[link].now_gbps > 0 &&
	       f->switches[f->links[link].b].tier == high;
}

static void push(struct ways *w, struct way way)
{
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 16;
		w->v = realloc(w->v, w->cap * sizeof *w->v);
	}
	w->v[w->n++] = way;
}

/* Up by link a, down by link b, from and to different spines: every live core between these. */
static void push_cores(const struct c4_fabric *f, struct ways *w, uint32_t a, uint32_t b)
{
	for (uint32_t x = 0; x < f->n_links; x++)
		for (uint32_t y = 0; y < f->n_links; y++)
			if (live(f, x, f->links[a].b, C4_CORE) &&
			    live(f, y, f->links[b].b, C4_CORE) && f->links[x].b == f->links[y].b)
				push(w, (struct way){4, {2 * a, 2 * x, 2 * y + 1, 2 * b + 1}});
}

static struct ways find_ways(const struct c4_fabric *f, uint32_t src, uint32_t dst)
{
	bool inside = f->switches[src].pod == f->switches[dst].pod;
	struct ways w = {0};

	for (uint32_t a = 0; a < f->n_links; a++)
		for (uint32_t b = 0; b < f->n_links; b++) {
			if (!live(f, a, src, C4_SPINE) || !live(f, b, dst, C4_SPINE))
				continue;
			if (inside && f->links[a].b == f->links[b].b)
				push(&w, (struct way){2, {2 * a, 2 * b + 1}});
			else if (!inside)
				push_cores(f, &w, a, b);
		}
	return w;
}

/* ---- the best for traffic that can be split -------------------------------------------------- */

struct lp {
	glp_prob *p;
	const struct plan_case *c;
	int *index;
	double *value;
};

static double rate_of(const struct c4_fabric *f, uint32_t link)
{
	return (double)f->links[link].now_gbps / check_fastest(f);
}

/* Rows: each directed link (1 + 2 * link + down), then one per connection. Column 1: utilisation.
 */
static void lp_rows(struct lp *lp)
{
	const struct c4_fabric *f = &lp->c->f;

	glp_add_rows(lp->p, (int)(2 * f->n_links));
	glp_add_cols(lp->p, 1);
	glp_set_col_bnds(lp->p, 1, GLP_LO, 0, 0);
	glp_set_obj_coef(lp->p, 1, 1);
	for (uint32_t i = 0; i < 2 * f->n_links; i++) {
		glp_set_row_bnds(lp->p, (int)i + 1, GLP_UP, 0, 0);
		lp->index[i + 1] = (int)i + 1;
		lp->value[i + 1] = -rate_of(f, i / 2);
	}
	glp_set_mat_col(lp->p, 1, (int)(2 * f->n_links), lp->index, lp->value);
}

static void lp_pair(struct lp *lp, uint32_t src, uint32_t dst, double weight)
{
	struct ways w = find_ways(&lp->c->f, src, dst);
	int row = glp_add_rows(lp->p, 1), col = w.n ? glp_add_cols(lp->p, (int)w.n) : 0;

	glp_set_row_bnds(lp->p, row, GLP_FX, w.n ? weight : 0, w.n ? weight : 0);
	for (uint32_t i = 0; i < w.n; i++) {
		for (uint32_t h = 0; h < w.v[i].n; h++) {
			lp->index[h + 1] = (int)w.v[i].hop[h] + 1;
			lp->value[h + 1] = 1;
		}
		lp->index[w.v[i].n + 1] = row;
		lp->value[w.v[i].n + 1] = 1;
		glp_set_col_bnds(lp->p, col + (int)i, GLP_LO, 0, 0);
		glp_set_mat_col(lp->p, col + (int)i, (int)w.v[i].n + 1, lp->index, lp->value);
	}
	free(w.v);
}

/* Weight between two leaves of one net. */
static double weight_of(const struct plan_case *c, uint32_t src, uint32_t dst)
{
	double sum = 0;

	for (uint32_t i = 0; i < c->d.n_conns; i++)
		if (c->f.nics[c->d.conns[i].src].leaf == src &&
		    c->f.nics[c->d.conns[i].dst].leaf == dst)
			sum += (double)c->d.conns[i].weight;
	return sum;
}

static double lp_best(const struct plan_case *c)
{
	const struct c4_fabric *f = &c->f;
	struct lp lp = {glp_create_prob(), c, calloc(2 * f->n_links + 8, sizeof(int)),
			calloc(2 * f->n_links + 8, sizeof(double))};
	glp_smcp options;
	double best;

	lp_rows(&lp);
	for (uint32_t u = 0; u < f->n_switches; u++)
		for (uint32_t v = 0; v < f->n_switches; v++) {
			double weight = u == v || f->switches[u].net != f->switches[v].net
						? 0
						: weight_of(c, u, v);

			if (weight > 0)
				lp_pair(&lp, u, v, weight);
		}
	glp_init_smcp(&options);
	options.msg_lev = GLP_MSG_ERR;
	options.presolve = GLP_ON;
	assert_int_equal(glp_simplex(lp.p, &options), 0);
	assert_int_equal(glp_get_status(lp.p), GLP_OPT);
	best = glp_get_obj_val(lp.p);
	glp_delete_prob(lp.p);
	free(lp.index);
	free(lp.value);
	return best;
}

/* ---- the best for whole QPs ------------------------------------------------------------------ */

#define SEARCH_QPS 8

struct search {
	const struct plan_case *c;
	struct ways ways[SEARCH_QPS];
	double size[SEARCH_QPS];
	uint32_t n;
	double *load, *cost; /* per directed link; cost: what a load of 1 counts there */
	double best;
};

static void search_from(struct search *s, uint32_t qp, double worst)
{
	if (worst >= s->best - 1e-9)
		return;
	if (qp == s->n) {
		s->best = worst;
		return;
	}
	for (uint32_t i = 0; i < s->ways[qp].n; i++) {
		const struct way *w = &s->ways[qp].v[i];
		double now = worst;

		for (uint32_t h = 0; h < w->n; h++) {
			s->load[w->hop[h]] += s->size[qp];
			now = fmax(now, s->load[w->hop[h]] * s->cost[w->hop[h]]);
		}
		search_from(s, qp + 1, now);
		for (uint32_t h = 0; h < w->n; h++)
			s->load[w->hop[h]] -= s->size[qp];
	}
}

static void search_qps(struct search *s)
{
	const struct c4_fabric *f = &s->c->f;

	for (uint32_t i = 0; i < s->c->d.n_conns; i++) {
		const struct c4_conn *conn = &s->c->d.conns[i];
		uint32_t src = f->nics[conn->src].leaf, dst = f->nics[conn->dst].leaf;

		for (uint32_t q = 0; q < conn->qps && src != dst; q++) {
			s->ways[s->n] = find_ways(f, src, dst);
			s->size[s->n] = (double)conn->weight / conn->qps;
			s->n += s->ways[s->n].n > 0;
		}
	}
}

/* The least possible max_util, or max_load. */
static double search_best(const struct plan_case *c, bool util)
{
	const struct c4_fabric *f = &c->f;
	struct search s = {.c = c, .best = INFINITY};

	s.load = calloc(2 * f->n_links, sizeof *s.load);
	s.cost = calloc(2 * f->n_links, sizeof *s.cost);
	for (uint32_t i = 0; i < 2 * f->n_links; i++)
		s.cost[i] = util ? 1 / fmax(rate_of(f, i / 2), 1e-9) : 1;
	search_qps(&s);
	search_from(&s, 0, 0);
	for (uint32_t i = 0; i < s.n; i++)
		free(s.ways[i].v);
	free(s.load);
	free(s.cost);
	return s.best;
}

/* ---- cases ----------------------------------------------------------------------------------- */

enum damage { DEAD = 1, WEAK = 2, UNEQUAL = 4, PARALLEL = 8, PODS = 16, SIZES = 32, MESH = 64 };

static void damage(struct plan_case *c, struct dice *dice, unsigned how)
{
	for (uint32_t i = 0; i < c->f.n_links; i++) {
		struct c4_link *l = &c->f.links[i];

		if (how & UNEQUAL && !dice_below(dice, 4))
			l->gbps = l->now_gbps = 200;
		if (how & WEAK && !dice_below(dice, 6))
			l->now_gbps = l->gbps * (float)(1 + dice_below(dice, 3)) / 4;
		if (how & DEAD && !dice_below(dice, 7))
			l->now_gbps = 0;
	}
}

static bool joined(const struct c4_fabric *f, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < f->n_links; i++)
		if (f->links[i].a == a && f->links[i].b == b)
			return true;
	return false;
}

static void add_parallel(struct plan_case *c, struct dice *dice)
{
	uint32_t n = c->f.n_links;
	struct c4_fault fault;

	for (uint32_t i = 0; i < n; i++)
		if (!dice_below(dice, 3)) {
			struct c4_link l = c->f.links[i];

			assert_true(c4_fabric_join(&c->f, l.a, l.b, 400, 400, &fault) >= 0);
		}
	assert_int_equal(c4_fabric_finish(&c->f, &fault), 0);
}

/* Every spine joins every core: a QP may come down by another spine than that of its core group. */
static void add_mesh(struct plan_case *c)
{
	struct c4_fault fault;

	for (uint32_t a = 0; a < c->f.n_switches; a++)
		for (uint32_t b = 0; b < c->f.n_switches; b++)
			if (c->f.switches[a].tier == C4_SPINE && c->f.switches[b].tier == C4_CORE &&
			    !joined(&c->f, a, b))
				assert_true(c4_fabric_join(&c->f, a, b, 400, 400, &fault) >= 0);
	assert_int_equal(c4_fabric_finish(&c->f, &fault), 0);
}

static void make_fabric(struct plan_case *c, struct dice *dice, unsigned how, uint32_t most)
{
	struct c4_clos shape = {.leaves = 2 + dice_below(dice, most),
				.spines = 1 + dice_below(dice, most),
				.hosts_per_leaf = 4};

	if (how & PODS) {
		shape.pods = 2 + dice_below(dice, 2);
		shape.leaves = shape.pods * (1 + dice_below(dice, most - 1));
		shape.spines = 1 + dice_below(dice, most - 1);
		shape.cores = dice_below(dice, 3);
	}
	case_clos(c, shape);
	if (how & PARALLEL)
		add_parallel(c, dice);
	if (how & MESH)
		add_mesh(c);
	damage(c, dice, how);
}

static void make_demand(struct plan_case *c, struct dice *dice, unsigned how, uint32_t qps)
{
	static const double sizes[] = {1, 0.5, 2, 0.7};
	uint32_t each = 1 + dice_below(dice, 2);

	while (c->d.n_qps + each <= qps) {
		double size = how & SIZES ? sizes[dice_below(dice, 4)] : 1;

		case_add(c, dice_below(dice, c->f.n_nics), dice_below(dice, c->f.n_nics),
			 size * each, each);
	}
}

static void plan(struct plan_case *c, bool weighted)
{
	struct check check;

	assert_int_equal(case_assign_with(c, (struct c4_assign_opts){.weighted = weighted}), 0);
	if (weighted)
		check_weighted_plan(&check, c->name, &c->f, &c->d, &c->p);
	else
		check_plan(&check, c->name, &c->f, &c->d, &c->p);
	check_release(&check);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Largest utilisation that one QP more or less makes: the largest QP on the slowest live link. */
static double unit_of(const struct plan_case *c)
{
	double size = 0, rate = 1;

	for (uint32_t i = 0; i < c->d.n_conns; i++)
		size = fmax(size, (double)c->d.conns[i].weight / c->d.conns[i].qps);
	for (uint32_t i = 0; i < c->f.n_links; i++)
		if (c->f.links[i].now_gbps > 0)
			rate = fmin(rate, rate_of(&c->f, i));
	return size / rate;
}

struct tally {
	const char *name;
	uint32_t n, none, half, whole, more;
	double sum, worst;
};

static void tally(struct tally *t, double gap)
{
	t->n++;
	t->none += gap < 1e-6;
	t->half += gap >= 1e-6 && gap <= 0.5 + 1e-6;
	t->whole += gap > 0.5 + 1e-6 && gap <= 1 + 1e-6;
	t->more += gap > 1 + 1e-6;
	t->sum += gap;
	t->worst = fmax(t->worst, gap);
}

/* Prints, and judges: no gap above `most`, few above one QP. */
static void tell(const struct tally *t, double most)
{
	print_message("%-24s %5u cases: 0 %5.1f %%, to 1/2 %5.1f %%, to 1 %5.1f %%, more %5.1f %%; "
		      "mean %.3f, most %.3f\n",
		      t->name, t->n, 100.0 * t->none / t->n, 100.0 * t->half / t->n,
		      100.0 * t->whole / t->n, 100.0 * t->more / t->n, t->sum / t->n, t->worst);
	assert_true(t->worst <= most + 1e-4);
	assert_true(t->more <= t->n / 50);
}

/* most: the largest gap that is a plan's own fault; with QPs of several sizes the linear program
 * is no near bound. */
static const struct {
	const char *name;
	unsigned how;
	double most;
} kinds[] = {
	{"dead links", DEAD, 1},
	{"degraded links", WEAK, 1},
	{"dead, degraded, unequal", DEAD | WEAK | UNEQUAL, 1},
	{"parallel, dead", PARALLEL | DEAD, 1},
	{"parallel, degraded", PARALLEL | WEAK, 1},
	{"sizes", SIZES, 1},
	{"sizes, dead", SIZES | DEAD, 4},
	{"pods", PODS, 1},
	{"pods, dead", PODS | DEAD, 2},
	{"pods, dead, degraded", PODS | DEAD | WEAK, 2},
	{"pods, sizes, dead", PODS | SIZES | DEAD, 4},
	{"pods, parallel, all", PODS | PARALLEL | SIZES | DEAD | WEAK | UNEQUAL, 4},
};
#define KINDS (sizeof kinds / sizeof *kinds)

static void test_gap_to_linear_program(void **state)
{
	struct dice dice = {1};

	(void)state;
	print_message("largest utilisation above the linear program's, in QPs:\n");
	for (size_t k = 0; k < KINDS; k++) {
		struct tally t = {.name = kinds[k].name};

		for (int i = 0; i < (PLAN_SLOW ? 200 : 600); i++) {
			struct plan_case c;
			double best;

			make_fabric(&c, &dice, kinds[k].how,
				    kinds[k].how & PODS ? 3 : 3 + dice_below(&dice, 6));
			make_demand(&c, &dice, kinds[k].how, 5 + dice_below(&dice, 150));
			plan(&c, false);
			best = lp_best(&c);
			assert_true(c.p.max_util >= best - 1e-4);
			tally(&t, (c.p.max_util - best) / unit_of(&c));
			case_release(&c);
		}
		tell(&t, kinds[k].most);
	}
}

/* Free shares on eight ways each: the bound is below the linear program, the plan not far above. */
static void test_gap_of_unequal_shares(void **state)
{
	struct dice dice = {3};

	(void)state;
	print_message("the same with unequal shares of eight QPs, in connections:\n");
	for (size_t k = 0; k < KINDS; k++) {
		struct tally t = {.name = kinds[k].name};

		for (int i = 0; i < (PLAN_SLOW ? 10 : 40); i++) {
			struct plan_case c;
			double best;

			make_fabric(&c, &dice, kinds[k].how, kinds[k].how & PODS ? 3 : 5);
			make_demand(&c, &dice, kinds[k].how, 5 + dice_below(&dice, 30));
			assert_int_equal(c4_demand_set_qps(&c.d, 8, NULL), 0);
			plan(&c, true);
			best = lp_best(&c);
			if (c.p.util_bound > best + 1e-4)
				check_fail(&c, "%s, case %d: bound %g above the optimum %g",
					   kinds[k].name, i, c.p.util_bound, best);
			assert_true(c.p.max_util >= best - 1e-3);
			tally(&t, (c.p.max_util - best) / unit_of(&c) / 8);
			case_release(&c);
		}
		tell(&t, 0.1);
	}
}

/* The bounds are below every plan there is; the plan is near the best. */
static void test_bounds_and_gap_to_whole_optimum(void **state)
{
	struct dice dice = {2};

	(void)state;
	print_message("largest utilisation above that of the best plan of whole QPs, in QPs:\n");
	for (size_t k = 0; k < KINDS; k++) {
		struct tally t = {.name = kinds[k].name};

		for (int i = 0; i < (PLAN_SLOW ? 500 : 2000); i++) {
			struct plan_case c;
			double best_util, best_load;

			make_fabric(&c, &dice, kinds[k].how, kinds[k].how & PODS ? 2 : 3);
			make_demand(&c, &dice, kinds[k].how, 2 + dice_below(&dice, SEARCH_QPS - 1));
			plan(&c, false);
			best_util = search_best(&c, true);
			best_load = search_best(&c, false);
			if (c.p.util_bound > best_util + 1e-4 || c.p.lower_bound > best_load + 1e-4)
				check_fail(&c,
					   "%s, case %d: bounds %g, %g above the optimum %g, %g",
					   kinds[k].name, i, c.p.util_bound, c.p.lower_bound,
					   best_util, best_load);
			assert_true(c.p.max_util >= best_util - 1e-4);
			tally(&t, (c.p.max_util - best_util) / unit_of(&c));
			case_release(&c);
		}
		tell(&t, 1);
	}
}

/* Where a QP may change colour at its core: bounds that assume it does not would be above these. */
static void test_bounds_of_full_mesh(void **state)
{
	static const unsigned how[] = {DEAD, DEAD | WEAK, DEAD | SIZES};
	struct dice dice = {4};

	(void)state;
	for (int i = 0; i < (PLAN_SLOW ? 500 : 3000); i++) {
		struct plan_case c;
		double best_util, best_load;

		make_fabric(&c, &dice, PODS | MESH | how[i % 3], 2 + dice_below(&dice, 2));
		make_demand(&c, &dice, how[i % 3], 2 + dice_below(&dice, 4));
		assert_int_equal(case_assign(&c, NULL), 0);
		best_util = search_best(&c, true);
		best_load = search_best(&c, false);
		if (c.p.util_bound > best_util + 1e-4 || c.p.lower_bound > best_load + 1e-4)
			check_fail(&c, "case %d: bounds %g, %g above the optimum %g, %g", i,
				   c.p.util_bound, c.p.lower_bound, best_util, best_load);
		case_release(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gap_to_linear_program),
		cmocka_unit_test(test_gap_of_unequal_shares),
		cmocka_unit_test(test_bounds_and_gap_to_whole_optimum),
		cmocka_unit_test(test_bounds_of_full_mesh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
