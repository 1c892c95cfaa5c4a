// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/eval/rate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * Everything that fills up is a resource: both directions of links, then of NICs. A cell says what
 * a job at rate 1 puts on a resource. A resource is full at the level (room − frozen) / active,
 * which only rises as jobs freeze, so a heap with lazy corrections finds the next one to fill.
 */
struct cell {
	uint32_t job, resource;
	double load;
};

struct resource {
	double room;   /* what it carries, minus what frozen jobs use */
	double active; /* Σ load of jobs still growing … */
	uint32_t jobs; /* … and how many */
};

struct heap_entry {
	double level;
	uint32_t resource;
};

struct filling {
	const struct c4_fabric *f;
	const struct c4_demand *d;
	double *x;
	bool *frozen;
	struct resource *res;
	uint32_t n_res;
	struct cell *cells;    /* by job */
	uint32_t *job_at;      /* n_jobs + 1, into cells */
	uint32_t *cell_of_res; /* cells by resource */
	uint32_t *res_at;      /* n_res + 1, into cell_of_res */
	struct heap_entry *heap;
	uint32_t n_heap;
};

static double fastest(const struct c4_fabric *f)
{
	double most = 0;

	for (uint32_t i = 0; i < f->n_links; i++)
		if ((double)f->links[i].gbps > most)
			most = (double)f->links[i].gbps;
	return most > 0 ? most : 1;
}

static double nic_room(const struct c4_nic *nic, double rate)
{
	return nic->gbps > 0 ? (double)nic->gbps / rate : 1;
}

static void set_rooms(struct filling *w)
{
	const struct c4_fabric *f = w->f;
	double rate = fastest(f);
	struct resource *nics = w->res + 2 * (size_t)f->n_links;

	for (uint32_t i = 0; i < f->n_links; i++)
		w->res[2 * i].room = w->res[2 * i + 1].room = (double)f->links[i].now_gbps / rate;
	for (uint32_t i = 0; i < f->n_nics; i++)
		nics[2 * i].room = nics[2 * i + 1].room = nic_room(&f->nics[i], rate);
}

/* ---- cells ------------------------------------------------------------------------------- */

/* Connections by job: order[at[j] … at[j + 1]). */
static uint32_t *sort_by_job(const struct c4_demand *d, uint32_t *at)
{
	uint32_t *order = malloc(((size_t)d->n_conns + 1) * sizeof *order);

	if (!order)
		return NULL;
	for (uint32_t i = 0; i < d->n_conns; i++)
		at[d->conns[i].job + 1]++;
	for (uint32_t j = 0; j < d->n_jobs; j++)
		at[j + 1] += at[j];
	for (uint32_t i = d->n_conns; i-- > 0;)
		order[--at[d->conns[i].job + 1]] = i;
	/* at[j + 1] is now where j begins: shift back */
	for (uint32_t j = 0; j < d->n_jobs; j++)
		at[j] = at[j + 1];
	at[d->n_jobs] = d->n_conns;
	return order;
}

/* What one job puts where, while its connections are added up. */
struct sum {
	double *load;	   /* per resource, 0 but for those touched */
	uint32_t *touched; /* their indices */
	uint32_t n;
	bool stuck; /* a QP has no route */
};

static void put(struct sum *s, uint32_t resource, double load)
{
	if (s->load[resource] <= 0)
		s->touched[s->n++] = resource;
	s->load[resource] += load;
}

static void put_conn(struct sum *s, const struct c4_fabric *f, const struct c4_conn *c,
		     const struct c4_route *routes)
{
	uint32_t nics = 2 * f->n_links;

	for (uint32_t q = c->first; q < c->first + c->qps; q++) {
		const struct c4_route *r = &routes[q];
		double load = (double)c->weight * (double)r->share;
		struct c4_hop hops[C4_HOPS_MAX];
		int n = c4_route_hops(f, c, r, hops);

		s->stuck |= r->state == C4_ROUTE_NONE || r->state >= C4_ROUTE_NO_PATH;
		for (int h = 0; h < n && load > 0; h++) {
			if (hops[h].link == C4_NONE)
				s->stuck = true;
			else
				put(s, 2 * hops[h].link + !hops[h].up, load);
		}
	}
	put(s, nics + 2 * c->src, (double)c->weight);
	put(s, nics + 2 * c->dst + 1, (double)c->weight);
}

/* Moves the sum into the job's cells. A stuck job is frozen at 0 and uses nothing. */
static int add_cells(struct filling *w, uint32_t job, struct sum *s, uint32_t *n, uint32_t *cap)
{
	if (*n + s->n > *cap) {
		uint32_t more = *cap + *cap / 2 + s->n;
		struct cell *grown = realloc(w->cells, more * sizeof *grown);

		if (!grown)
			return -ENOMEM;
		w->cells = grown;
		*cap = more;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t r = s->touched[i];

		if (!s->stuck) {
			w->cells[(*n)++] = (struct cell){job, r, s->load[r]};
			w->res[r].active += s->load[r];
			w->res[r].jobs++;
		}
		s->load[r] = 0;
	}
	w->frozen[job] = s->stuck;
	s->n = 0;
	s->stuck = false;
	return 0;
}

static int sum_jobs(struct filling *w, const struct c4_plan *p, const uint32_t *order,
		    const uint32_t *at)
{
	struct sum s = {.load = calloc(w->n_res + 1, sizeof *s.load),
			.touched = malloc((w->n_res + 1) * sizeof *s.touched)};
	uint32_t n = 0, cap = 0;
	int rc = s.load && s.touched ? 0 : -ENOMEM;

	for (uint32_t j = 0; rc == 0 && j < w->d->n_jobs; j++) {
		for (uint32_t i = at[j]; i < at[j + 1]; i++)
			put_conn(&s, w->f, &w->d->conns[order[i]], p->routes);
		w->job_at[j] = n;
		rc = add_cells(w, j, &s, &n, &cap);
		w->job_at[j + 1] = n;
	}
	free(s.load);
	free(s.touched);
	return rc;
}

static int make_cells(struct filling *w, const struct c4_plan *p)
{
	uint32_t *at = calloc((size_t)w->d->n_jobs + 2, sizeof *at);
	uint32_t *order = at ? sort_by_job(w->d, at) : NULL;
	int rc = order ? sum_jobs(w, p, order, at) : -ENOMEM;

	free(order);
	free(at);
	return rc;
}

static int index_cells(struct filling *w)
{
	uint32_t n = w->job_at[w->d->n_jobs];

	w->cell_of_res = malloc(((size_t)n + 1) * sizeof *w->cell_of_res);
	if (!w->cell_of_res)
		return -ENOMEM;
	for (uint32_t r = 0; r < w->n_res; r++)
		w->res_at[r + 1] = w->res_at[r] + w->res[r].jobs;
	for (uint32_t i = n; i-- > 0;)
		w->cell_of_res[--w->res_at[w->cells[i].resource + 1]] = i;
	for (uint32_t r = 0; r < w->n_res; r++)
		w->res_at[r] = w->res_at[r + 1];
	w->res_at[w->n_res] = n;
	return 0;
}

/* ---- filling ----------------------------------------------------------------------------- */

static double level_of(const struct resource *r)
{
	return r->room > 0 ? r->room / r->active : 0;
}

static void sift_down(struct filling *w, uint32_t i)
{
	struct heap_entry e = w->heap[i];

	for (uint32_t k = 2 * i + 1; k < w->n_heap; i = k, k = 2 * i + 1) {
		if (k + 1 < w->n_heap && w->heap[k + 1].level < w->heap[k].level)
			k++;
		if (e.level <= w->heap[k].level)
			break;
		w->heap[i] = w->heap[k];
	}
	w->heap[i] = e;
}

static void make_heap(struct filling *w)
{
	for (uint32_t r = 0; r < w->n_res; r++)
		if (w->res[r].jobs)
			w->heap[w->n_heap++] = (struct heap_entry){level_of(&w->res[r]), r};
	for (uint32_t i = w->n_heap / 2; i-- > 0;)
		sift_down(w, i);
}

static void drop_top(struct filling *w)
{
	w->heap[0] = w->heap[--w->n_heap];
	if (w->n_heap)
		sift_down(w, 0);
}

static void freeze(struct filling *w, uint32_t job, double level)
{
	w->frozen[job] = true;
	w->x[job] = level;
	for (uint32_t i = w->job_at[job]; i < w->job_at[job + 1]; i++) {
		struct resource *r = &w->res[w->cells[i].resource];

		r->room -= w->cells[i].load * level;
		r->active -= w->cells[i].load;
		r->jobs--;
	}
}

static void fill(struct filling *w)
{
	while (w->n_heap && w->heap[0].level < 1) {
		uint32_t r = w->heap[0].resource;
		double level;

		if (!w->res[r].jobs) {
			drop_top(w);
			continue;
		}
		level = level_of(&w->res[r]);
		if (level > w->heap[0].level * (1 + 1e-12)) { /* others froze since */
			w->heap[0].level = level;
			sift_down(w, 0);
			continue;
		}
		level = w->heap[0].level;
		for (uint32_t i = w->res_at[r]; i < w->res_at[r + 1]; i++) {
			uint32_t job = w->cells[w->cell_of_res[i]].job;

			if (!w->frozen[job])
				freeze(w, job, level);
		}
		drop_top(w);
	}
	for (uint32_t j = 0; j < w->d->n_jobs; j++)
		if (!w->frozen[j])
			w->x[j] = 1;
}

static void release(struct filling *w)
{
	free(w->frozen);
	free(w->res);
	free(w->cells);
	free(w->job_at);
	free(w->cell_of_res);
	free(w->res_at);
	free(w->heap);
}

int c4_rate_fill(const struct c4_fabric *f, const struct c4_demand *d, const struct c4_plan *p,
		 double *x)
{
	struct filling w = {.f = f, .d = d, .x = x, .n_res = 2 * (f->n_links + f->n_nics)};
	int rc = -ENOMEM;

	w.frozen = calloc((size_t)d->n_jobs + 1, sizeof *w.frozen);
	w.res = calloc((size_t)w.n_res + 1, sizeof *w.res);
	w.job_at = calloc((size_t)d->n_jobs + 1, sizeof *w.job_at);
	w.res_at = calloc((size_t)w.n_res + 2, sizeof *w.res_at);
	w.heap = malloc(((size_t)w.n_res + 1) * sizeof *w.heap);
	if (!w.frozen || !w.res || !w.job_at || !w.res_at || !w.heap)
		goto out;
	set_rooms(&w);
	rc = make_cells(&w, p);
	if (rc == 0)
		rc = index_cells(&w);
	if (rc)
		goto out;
	for (uint32_t j = 0; j < d->n_jobs; j++)
		x[j] = 0;
	make_heap(&w);
	fill(&w);
out:
	release(&w);
	return rc;
}

int c4_rate_bound(const struct c4_fabric *f, const struct c4_demand *d, double util_bound,
		  double *ret)
{
	double *load = calloc(2 * (size_t)f->n_nics + 1, sizeof *load), rate = fastest(f);
	double most = util_bound > 1 ? util_bound : 1;

	if (!load)
		return -ENOMEM;
	for (uint32_t i = 0; i < d->n_conns; i++) {
		load[2 * (size_t)d->conns[i].src] += (double)d->conns[i].weight;
		load[2 * (size_t)d->conns[i].dst + 1] += (double)d->conns[i].weight;
	}
	for (uint32_t i = 0; i < 2 * f->n_nics; i++) {
		double util = load[i] / nic_room(&f->nics[i / 2], rate);

		most = util > most ? util : most;
	}
	free(load);
	*ret = 1 / most;
	return 0;
}
