// SPDX-License-Identifier: BSD-3-Clause
#include "collector/diag/matrix.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "collector/diag/robust.h"

#define SWEEPS	  8
#define CONVERGED 1e-3

/* ---- cells ----------------------------------------------------------------------------------- */

static double per_byte(uint64_t ns, uint64_t bytes)
{
	return (double)ns / (double)bytes;
}

static void add_conn(struct c4_matrix_cell *cell, const struct c4_diag_conn *k)
{
	bool sent = k->send.known && k->send.win_bytes, got = k->recv.known && k->recv.win_bytes;
	const struct c4_diag_end *e = sent ? &k->send : &k->recv;
	double ns;

	if (!sent && !got)
		return;
	ns = sent ? per_byte(e->win_busy_ns, e->win_bytes) : per_byte(e->win_peer_ns, e->win_bytes);
	if (sent && got)
		ns = fmin(ns, per_byte(k->recv.win_peer_ns, k->recv.win_bytes));
	cell->nconns++;
	cell->weak |= !sent;
	cell->bytes += e->win_bytes;
	cell->steps += e->win_steps;
	cell->busy_ns += e->win_busy_ns;
	cell->gpu_ns += e->win_gpu_ns;
	cell->peer_ns += e->win_peer_ns;
	cell->net_ns += ns * (double)e->win_bytes;
}

static int by_destination(const void *a, const void *b)
{
	const struct c4_diag_conn *x = *(const struct c4_diag_conn *const *)a;
	const struct c4_diag_conn *y = *(const struct c4_diag_conn *const *)b;

	return x->dst < y->dst ? -1 : x->dst > y->dst;
}

/* Counting sort by source; row[i] ends up where source i's begin. */
static void sort_by_source(const struct c4_matrix *m, const struct c4_diag_comm *c,
			   const struct c4_diag_conn **sorted)
{
	for (uint32_t i = 0; i < c->nconns; i++)
		m->row[c->conns[i].src + 1]++;
	for (uint32_t i = 0; i < m->size; i++)
		m->row[i + 1] += m->row[i];
	for (uint32_t i = 0; i < c->nconns; i++)
		sorted[m->row[c->conns[i].src]++] = &c->conns[i];
	for (uint32_t i = m->size; i; i--)
		m->row[i] = m->row[i - 1];
	m->row[0] = 0;
	for (uint32_t i = 0; i < m->size; i++)
		qsort(sorted + m->row[i], m->row[i + 1] - m->row[i], sizeof *sorted,
		      by_destination);
}

/* Connections, sorted, become cells; row[] is rewritten to count cells. */
static void merge(struct c4_matrix *m, const struct c4_diag_conn *const *sorted)
{
	for (uint32_t src = 0, from = 0; src < m->size; src++) {
		uint32_t to = m->row[src + 1];

		m->row[src] = m->n;
		for (uint32_t i = from; i < to; i++) {
			struct c4_matrix_cell *cell = m->n ? &m->cells[m->n - 1] : NULL;

			if (!cell || m->n == m->row[src] || cell->dst != sorted[i]->dst) {
				cell = &m->cells[m->n++];
				*cell = (struct c4_matrix_cell){.src = src, .dst = sorted[i]->dst};
			}
			add_conn(cell, sorted[i]);
		}
		from = to;
	}
	m->row[m->size] = m->n;
}

static void index_columns(struct c4_matrix *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		m->col[m->cells[i].dst + 1]++;
	for (uint32_t i = 0; i < m->size; i++)
		m->col[i + 1] += m->col[i];
	for (uint32_t i = 0; i < m->n; i++)
		m->by_dst[m->col[m->cells[i].dst]++] = i;
	for (uint32_t i = m->size; i; i--)
		m->col[i] = m->col[i - 1];
	m->col[0] = 0;
}

/* ---- how slow -------------------------------------------------------------------------------- */

/* From posting to completion; of a weak cell the wait for data. */
static double transfer_ns(const struct c4_matrix_cell *c)
{
	return c->weak ? c->net_ns : (double)c->busy_ns;
}

static double transfer_per_byte(const struct c4_matrix_cell *c)
{
	return transfer_ns(c) / (double)c->bytes;
}

static double transfer_per_step(const struct c4_matrix_cell *c)
{
	return transfer_ns(c) / (double)c->steps;
}

static double usual(struct c4_matrix *m, double (*of)(const struct c4_matrix_cell *))
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n; i++)
		if (m->cells[i].used)
			m->scratch[n++] = of(&m->cells[i]);
	return c4_lower_median(m->scratch, n);
}

static void compare(struct c4_matrix *m)
{
	for (uint32_t i = 0; i < m->n; i++) {
		struct c4_matrix_cell *c = &m->cells[i];

		c->used = c->bytes >= C4_CELL_BYTES && c->steps >= C4_CELL_STEPS;
		m->used += c->used;
		m->ntx[c->src] += c->used;
		m->nrx[c->dst] += c->used;
	}
	m->usual_ns_per_byte = usual(m, transfer_per_byte);
	m->usual_ns_per_step = usual(m, transfer_per_step);
	for (uint32_t i = 0; i < m->n; i++) {
		struct c4_matrix_cell *c = &m->cells[i];

		if (c->used && m->usual_ns_per_byte > 0 && m->usual_ns_per_step > 0)
			c->slow = fmin(c->net_ns / (double)c->bytes / m->usual_ns_per_byte,
				       c->net_ns / (double)c->steps / m->usual_ns_per_step);
	}
}

/* ---- the fit --------------------------------------------------------------------------------- */

/* Moves the lower median of a source's (or destination's) cells into its effect. */
static double sweep_line(struct c4_matrix *m, const uint32_t *index, uint32_t from, uint32_t to,
			 double *effect)
{
	uint32_t n = 0;
	double d;

	for (uint32_t i = from; i < to; i++) {
		const struct c4_matrix_cell *c = &m->cells[index ? index[i] : i];

		if (c->used)
			m->scratch[n++] = c->excess;
	}
	if (n < 2)
		return 0;
	d = c4_lower_median(m->scratch, n);
	for (uint32_t i = from; i < to; i++)
		m->cells[index ? index[i] : i].excess -= d;
	*effect += d;
	return fabs(d);
}

static double sweep(struct c4_matrix *m)
{
	double moved = 0;

	for (uint32_t i = 0; i < m->size; i++)
		moved = fmax(moved, sweep_line(m, NULL, m->row[i], m->row[i + 1], &m->tx[i]));
	for (uint32_t i = 0; i < m->size; i++)
		moved = fmax(moved, sweep_line(m, m->by_dst, m->col[i], m->col[i + 1], &m->rx[i]));
	return moved;
}

static double slowness(const struct c4_matrix_cell *c)
{
	return c->slow;
}

static double excess(const struct c4_matrix_cell *c)
{
	return c->excess;
}

static void fit(struct c4_matrix *m)
{
	m->centre = usual(m, slowness);
	for (uint32_t i = 0; i < m->n; i++)
		m->cells[i].excess = m->cells[i].slow - m->centre;
	for (int i = 0; i < SWEEPS && sweep(m) > CONVERGED; i++)
		;
	for (uint32_t i = 0; i < m->n; i++)
		if (!m->cells[i].used)
			m->cells[i].excess = 0;
	(void)usual(m, excess); /* gathers them in scratch */
	m->spread = c4_lower_spread(m->scratch, m->used, 0);
}

/* ---- public ---------------------------------------------------------------------------------- */

static int allocate(struct c4_matrix *m, uint32_t nconns)
{
	size_t n = nconns ? nconns : 1, size = m->size + 1;

	m->cells = calloc(n, sizeof *m->cells);
	m->by_dst = calloc(n, sizeof *m->by_dst);
	m->scratch = calloc(n, sizeof *m->scratch);
	m->row = calloc(size, sizeof *m->row);
	m->col = calloc(size, sizeof *m->col);
	m->tx = calloc(size, sizeof *m->tx);
	m->rx = calloc(size, sizeof *m->rx);
	m->ntx = calloc(size, sizeof *m->ntx);
	m->nrx = calloc(size, sizeof *m->nrx);
	return m->cells && m->by_dst && m->scratch && m->row && m->col && m->tx && m->rx &&
			       m->ntx && m->nrx
		       ? 0
		       : -ENOMEM;
}

int c4_matrix_init(struct c4_matrix *m, const struct c4_diag_comm *c)
{
	const struct c4_diag_conn **sorted = calloc(c->nconns + 1ul, sizeof *sorted);

	*m = (struct c4_matrix){.size = c->size};
	if (!sorted || allocate(m, c->nconns)) {
		free(sorted);
		return -ENOMEM;
	}
	sort_by_source(m, c, sorted);
	merge(m, sorted);
	free(sorted);
	index_columns(m);
	compare(m);
	fit(m);
	return 0;
}

void c4_matrix_release(struct c4_matrix *m)
{
	free(m->cells);
	free(m->by_dst);
	free(m->scratch);
	free(m->row);
	free(m->col);
	free(m->tx);
	free(m->rx);
	free(m->ntx);
	free(m->nrx);
	*m = (struct c4_matrix){0};
}

double c4_matrix_worst(const struct c4_matrix *m)
{
	double worst = 0;

	for (uint32_t i = 0; i < m->n; i++)
		if (m->cells[i].used)
			worst = fmax(worst, m->cells[i].slow - m->centre);
	return worst;
}

const struct c4_matrix_cell *c4_matrix_cell(const struct c4_matrix *m, uint32_t src, uint32_t dst)
{
	uint32_t lo = src < m->size ? m->row[src] : 0, hi = src < m->size ? m->row[src + 1] : 0;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->cells[mid].dst == dst)
			return &m->cells[mid];
		if (m->cells[mid].dst < dst)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}
