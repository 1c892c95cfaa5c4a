// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/hot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/diag/robust.h"
#include "common/base/hash.h"

#define PLACES_MAX 64u	/* hot sources, destinations or pairs followed; more are a block */
#define NET_MIN_NS 10e6 /* less network time in a window is nobody's problem */
#define FEW_LINES  4u	/* below it their own spread means nothing */
#define FEW_CELLS  8u	/* likewise: of so few a cell must take twice the time to stand out */
#define FEW_MARGIN 1.0
#define ALIKE	   0.25 /* of the worst excess: slow for the same reason, perhaps */

struct lines { /* hot sources, or destinations */
	uint32_t n, of;
	uint32_t line[PLACES_MAX];
	bool many; /* half of them, or more than fit */
};

struct view {
	const struct c4_diag_job *job;
	const struct c4_diag_comm *c;
	const struct c4_matrix *m;
	bool one_node; /* most connections stay within a node: its ranks are the places */
	double cell_limit;
	double floor; /* excess of a hot cell: what is far less is the noise around */
	const struct lines *tx, *rx; /* hot ones, NULL: not looked for yet */
	struct c4_hot *out;
	uint32_t n;
};

bool c4_same_place(const struct c4_diag_job *job, int32_t a, int32_t b)
{
	const char *x = job->ranks[a].node, *y = job->ranks[b].node;

	return a == b || (x && y && !strcmp(x, y));
}

static bool same(const struct view *v, int32_t a, int32_t b)
{
	return a == b || (!v->one_node && c4_same_place(v->job, a, b));
}

static bool within_nodes(const struct view *v)
{
	uint32_t within = 0;

	for (uint32_t i = 0; i < v->m->n; i++)
		within += v->m->cells[i].used &&
			  c4_same_place(v->job, v->c->members[v->m->cells[i].src],
					v->c->members[v->m->cells[i].dst]);
	return within * 2 > v->m->used;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static double limit(double spread, uint32_t looked_at)
{
	return fmax(C4_HOT_MARGIN, c4_outlier_limit(looked_at) * spread);
}

/* How many lines (sources or destinations) have an effect of their own, and what is outstanding. */
static double line_limit(const struct view *v, const double *effect, const uint32_t *n,
			 uint32_t *ret_lines)
{
	double *scratch = calloc(v->m->size, sizeof *scratch), spread = v->m->spread;
	uint32_t lines = 0;

	for (uint32_t i = 0; scratch && i < v->m->size; i++)
		if (n[i] >= 2)
			scratch[lines++] = effect[i];
	if (lines >= FEW_LINES)
		spread = fmax(spread, c4_lower_spread(scratch, lines, 0));
	free(scratch);
	*ret_lines = lines;
	return limit(spread, lines);
}

/* ---- findings -------------------------------------------------------------------------------- */

static void add_rank(struct c4_hot *h, int32_t rank)
{
	uint32_t at = 0;

	while (at < h->nranks && h->ranks[at] < rank)
		at++;
	if ((at < h->nranks && h->ranks[at] == rank) || h->nranks == C4_HOT_RANKS)
		return;
	memmove(&h->ranks[at + 1], &h->ranks[at], (h->nranks - at) * sizeof *h->ranks);
	h->ranks[at] = rank;
	h->nranks++;
}

static void show_cell(const struct view *v, struct c4_hot *h, const struct c4_matrix_cell *cell)
{
	double all = (double)(cell->busy_ns + cell->gpu_ns + cell->peer_ns);

	h->cells++;
	h->where |= (uint64_t)1 << (c4_mix64((uint64_t)cell->src << 32 | cell->dst) & 63);
	if (h->cells > 1 && cell->slow <= h->slow)
		return;
	h->src = v->c->members[cell->src];
	h->dst = v->c->members[cell->dst];
	h->slow = cell->slow;
	h->ns_per_kib = cell->net_ns / (double)cell->bytes * 1024;
	h->usual_ns_per_kib = v->m->usual_ns_per_byte * 1024;
	h->gpu_share = all > 0 ? (double)cell->gpu_ns / all : 0;
}

static struct c4_hot *add(struct view *v, enum c4_hot_kind kind)
{
	struct c4_hot *h;

	if (v->n == C4_HOT_MAX)
		return NULL;
	h = &v->out[v->n++];
	*h = (struct c4_hot){.kind = kind, .of = v->m->used};
	return h;
}

static bool really_slow(const struct c4_matrix_cell *c)
{
	return c->used && c->slow >= 1 + C4_HOT_MARGIN && c->net_ns >= NET_MIN_NS;
}

/* ---- hot sources and destinations ------------------------------------------------------------ */

static const struct c4_matrix_cell *line_cell(const struct c4_matrix *m, bool tx, uint32_t i)
{
	return &m->cells[tx ? i : m->by_dst[i]];
}

/* Most of the line's cells are slow, and not all of them only by what the far end waited. One that
 * is much slower than the others is itself what is slow: it makes no line of them. */
static bool line_slow(const struct view *v, bool tx, uint32_t line)
{
	const uint32_t *begin = tx ? v->m->row : v->m->col;
	uint32_t slow = 0, strong = 0, used = 0;
	double worst = 0;

	for (uint32_t i = begin[line]; i < begin[line + 1]; i++)
		worst = fmax(worst, line_cell(v->m, tx, i)->slow - 1);
	for (uint32_t i = begin[line]; i < begin[line + 1]; i++) {
		const struct c4_matrix_cell *c = line_cell(v->m, tx, i);
		bool alike = really_slow(c) && c->slow - 1 >= worst * ALIKE;

		used += c->used;
		slow += alike;
		strong += alike && !c->weak;
	}
	return slow * 2 > used && (strong || !tx);
}

static void find_lines(const struct view *v, bool tx, struct lines *l)
{
	const double *effect = tx ? v->m->tx : v->m->rx;
	const uint32_t *n = tx ? v->m->ntx : v->m->nrx;
	double least = line_limit(v, effect, n, &l->of);

	l->n = 0;
	for (uint32_t i = 0; i < v->m->size; i++) {
		if (n[i] < 2 || effect[i] < least || !line_slow(v, tx, i))
			continue;
		if (l->n < PLACES_MAX)
			l->line[l->n] = i;
		l->n++;
	}
	l->many = l->n > PLACES_MAX || (l->n > 1 && l->n * 2 >= l->of);
}

static void show_line(const struct view *v, struct c4_hot *h, bool tx, uint32_t line)
{
	const uint32_t *begin = tx ? v->m->row : v->m->col;

	add_rank(h, v->c->members[line]);
	for (uint32_t i = begin[line]; i < begin[line + 1]; i++) {
		const struct c4_matrix_cell *c = line_cell(v->m, tx, i);

		if (really_slow(c))
			show_cell(v, h, c);
	}
}

/* One finding per node. */
static void add_lines(struct view *v, bool tx, const struct lines *l)
{
	const int32_t *members = v->c->members;

	for (uint32_t i = 0; i < l->n; i++) {
		struct c4_hot *h = NULL;

		for (uint32_t k = 0; k < v->n && !h; k++)
			if (v->out[k].kind == (tx ? C4_HOT_TX : C4_HOT_RX) &&
			    same(v, v->out[k].ranks[0], members[l->line[i]]))
				h = &v->out[k];
		if (!h)
			h = add(v, tx ? C4_HOT_TX : C4_HOT_RX);
		if (h)
			show_line(v, h, tx, l->line[i]);
	}
}

/* ---- hot cells ------------------------------------------------------------------------------- */

struct pair {
	int32_t src, dst; /* world ranks: of its first cell */
};

struct pairs {
	uint32_t n; /* may exceed PLACES_MAX */
	struct pair pair[PLACES_MAX];
};

/* Its source or destination, or another one of that node, is hot as a whole. */
static bool in_line(const struct view *v, const struct lines *l, uint32_t member)
{
	for (uint32_t i = 0; l && i < l->n && i < PLACES_MAX; i++)
		if (same(v, v->c->members[l->line[i]], v->c->members[member]))
			return true;
	return false;
}

/* Noise grows with the time itself: where source or destination are slow, more of it is left. */
static bool hot_cell(const struct view *v, const struct c4_matrix_cell *c)
{
	double fitted = fmax(1, c->slow - c->excess);

	if (!really_slow(c) || c->excess < fmax(v->floor, v->cell_limit * fitted))
		return false;
	if (in_line(v, v->tx, c->src) || in_line(v, v->rx, c->dst))
		return false;
	/* a lone view from the far end may as well show a late source */
	return !c->weak || v->m->ntx[c->src] >= 2;
}

static double worst_excess(const struct view *v)
{
	double worst = 0;

	for (uint32_t i = 0; i < v->m->n; i++)
		if (hot_cell(v, &v->m->cells[i]))
			worst = fmax(worst, v->m->cells[i].excess);
	return worst;
}

static void add_pair(const struct view *v, struct pairs *p, const struct c4_matrix_cell *c)
{
	struct pair one = {v->c->members[c->src], v->c->members[c->dst]};

	for (uint32_t i = 0; i < p->n && i < PLACES_MAX; i++)
		if (same(v, p->pair[i].src, one.src) && same(v, p->pair[i].dst, one.dst))
			return;
	if (p->n < PLACES_MAX)
		p->pair[p->n] = one;
	p->n++;
}

static void find_pairs(const struct view *v, struct pairs *p)
{
	p->n = 0;
	for (uint32_t i = 0; i < v->m->n && p->n <= PLACES_MAX; i++)
		if (hot_cell(v, &v->m->cells[i]))
			add_pair(v, p, &v->m->cells[i]);
}

static bool pairs_share(const struct view *v, const struct pairs *p, bool src)
{
	for (uint32_t i = 1; i < p->n; i++)
		if (!same(v, src ? p->pair[0].src : p->pair[0].dst,
			  src ? p->pair[i].src : p->pair[i].dst))
			return false;
	return true;
}

/* u→v and v→w: the place in the middle; its rank, or -1. */
static int32_t middle(const struct view *v, const struct pairs *p)
{
	if (p->n != 2)
		return -1;
	if (same(v, p->pair[0].dst, p->pair[1].src))
		return p->pair[0].dst;
	return same(v, p->pair[1].dst, p->pair[0].src) ? p->pair[0].src : -1;
}

/* Hot cells of this pair of places (NULL: of all) belong to the finding. */
static void show_pairs(const struct view *v, struct c4_hot *h, const struct pair *only)
{
	for (uint32_t i = 0; i < v->m->n; i++) {
		const struct c4_matrix_cell *c = &v->m->cells[i];
		int32_t src = v->c->members[c->src], dst = v->c->members[c->dst];

		if (!hot_cell(v, c) ||
		    (only && (!same(v, only->src, src) || !same(v, only->dst, dst))))
			continue;
		show_cell(v, h, c);
		if (h->kind == C4_HOT_TX || h->kind == C4_HOT_LINK)
			add_rank(h, src);
		if (h->kind == C4_HOT_RX || h->kind == C4_HOT_LINK)
			add_rank(h, dst);
	}
}

static void add_shared(struct view *v, enum c4_hot_kind kind, int32_t rank)
{
	struct c4_hot *h = add(v, kind);

	if (!h)
		return;
	if (rank >= 0)
		add_rank(h, rank);
	show_pairs(v, h, NULL);
}

static void add_block(struct view *v)
{
	bool *rows = calloc(v->m->size, 1), *cols = calloc(v->m->size, 1);
	struct c4_hot *h = rows && cols ? add(v, C4_HOT_BLOCK) : NULL;

	for (uint32_t i = 0; h && i < v->m->n; i++) {
		const struct c4_matrix_cell *c = &v->m->cells[i];

		if (!really_slow(c) || c->slow - v->m->centre < fmax(v->floor, v->cell_limit))
			continue;
		show_cell(v, h, c);
		h->sources += !rows[c->src];
		h->destinations += !cols[c->dst];
		rows[c->src] = cols[c->dst] = true;
	}
	free(rows);
	free(cols);
}

static void add_pairs(struct view *v, const struct pairs *p)
{
	int32_t node = middle(v, p);

	if (p->n > 1 && p->n <= PLACES_MAX && pairs_share(v, p, true))
		add_shared(v, C4_HOT_TX, -1);
	else if (p->n > 1 && p->n <= PLACES_MAX && pairs_share(v, p, false))
		add_shared(v, C4_HOT_RX, -1);
	else if (node >= 0)
		add_shared(v, C4_HOT_NODE, node);
	else if (p->n > 2)
		add_block(v);
	else
		for (uint32_t i = 0; i < p->n; i++) {
			struct c4_hot *h = add(v, C4_HOT_LINK);

			if (h)
				show_pairs(v, h, &p->pair[i]);
		}
}

/* Cells beyond what the fit takes to be exact: what few leave is no measure of noise. */
static uint32_t left_by_fit(const struct c4_matrix *m)
{
	uint32_t lines = 0;

	for (uint32_t i = 0; i < m->size; i++)
		lines += (m->ntx[i] >= 2) + (m->nrx[i] >= 2);
	return m->used > lines ? m->used - lines : 0;
}

uint32_t c4_hot_find(const struct c4_diag_job *job, const struct c4_diag_comm *c,
		     const struct c4_matrix *m, struct c4_hot *out)
{
	struct view v = {.job = job, .c = c, .m = m, .out = out};
	struct lines tx, rx;
	struct pairs pairs;

	v.one_node = within_nodes(&v);
	v.cell_limit = limit(m->spread, m->used);
	if (left_by_fit(m) < FEW_CELLS)
		v.cell_limit = fmax(v.cell_limit, FEW_MARGIN);
	find_lines(&v, true, &tx);
	find_lines(&v, false, &rx);
	if (tx.many || rx.many) {
		add_block(&v);
		return v.n;
	}
	add_lines(&v, true, &tx);
	add_lines(&v, false, &rx);
	v.tx = &tx;
	v.rx = &rx;
	v.floor = ALIKE * worst_excess(&v);
	find_pairs(&v, &pairs);
	add_pairs(&v, &pairs);
	return v.n;
}
