// SPDX-License-Identifier: BSD-3-Clause
#include "collector/view_matrix.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/diag/matrix.h"
#include "collector/json.h"

bool c4_view_is_comm(const struct c4_comm *c, const char *which)
{
	char id[24];

	snprintf(id, sizeof id, "%016" PRIx64, c->id);
	return !strcmp(which, c->name) || !strcmp(which, id);
}

/* ---- cells ----------------------------------------------------------------------------------- */

static bool has_traffic(const struct c4_matrix_cell *cell)
{
	return cell->bytes > 0;
}

static int slowest_first(const void *a, const void *b)
{
	const struct c4_matrix_cell *x = a, *y = b;

	return x->slow > y->slow ? -1 : x->slow < y->slow;
}

/* Leaves those that carried something: their number. */
static uint32_t drop_idle(struct c4_matrix_cell *cells, uint32_t n)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (has_traffic(&cells[i]))
			cells[kept++] = cells[i];
	return kept;
}

static json_t *node_json(const struct c4_job *j, int32_t rank)
{
	const char *node = rank >= 0 && (uint32_t)rank < j->nranks ? j->now[rank].node : NULL;

	return node ? json_string(node) : json_null();
}

static json_t *ratio(double part, double whole)
{
	return whole > 0 ? c4_json_real(part / whole) : json_null();
}

static json_t *cell_json(const struct c4_job *j, const struct c4_comm *c,
			 const struct c4_matrix_cell *x)
{
	int32_t src = c->ranks ? c->ranks[x->src] : -1, dst = c->ranks ? c->ranks[x->dst] : -1;
	double all = (double)x->busy_ns + (double)x->gpu_ns + (double)x->peer_ns;

	return json_pack("{s:i, s:i, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "src",
			 (int)src, "dst", (int)dst, "src_node", node_json(j, src), "dst_node",
			 node_json(j, dst), "connections", (json_int_t)x->nconns, "bytes",
			 (json_int_t)x->bytes, "gbps", ratio((double)x->bytes * 8, x->net_ns),
			 "ns_per_kib", ratio(x->net_ns * 1024, (double)x->bytes), "gpu_share",
			 ratio((double)x->gpu_ns, all), "peer_share",
			 ratio((double)x->peer_ns, all), "net_share",
			 ratio((double)x->busy_ns, all), "times_usual",
			 x->used ? c4_json_real(x->slow) : json_null(), "excess",
			 x->used ? c4_json_real(x->excess) : json_null());
}

static json_t *cells_json(const struct c4_job *j, const struct c4_comm *c,
			  const struct c4_matrix *m, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, cell_json(j, c, &m->cells[i]));
	return list;
}

/* ---- sources and destinations ---------------------------------------------------------------- */

/* What the fit left to each rank's sending and receiving side. */
static json_t *effects_json(const struct c4_comm *c, const double *effect, const uint32_t *n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; c->ranks && i < c->size; i++)
		if (n[i] >= 2 && fabs(effect[i]) >= 0.05)
			json_array_append_new(list,
					      json_pack("{s:i, s:o}", "rank", (int)c->ranks[i],
							"effect", c4_json_real(effect[i])));
	return list;
}

json_t *c4_view_matrix(const struct c4_job *j, const struct c4_comm *c, uint32_t *left)
{
	struct c4_diag_comm now = {.size = c->size, .nconns = c->conns.n, .conns = c->conns.conns};
	struct c4_matrix m;
	json_t *out = NULL;
	uint32_t cells, shown;

	if (c4_matrix_init(&m, &now)) {
		c4_matrix_release(&m);
		return NULL;
	}
	cells = drop_idle(m.cells, m.n);
	shown = cells < *left ? cells : *left;
	if (shown < cells)
		qsort(m.cells, cells, sizeof *m.cells, slowest_first);
	*left -= shown;
	out = json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:I, s:o, s:I, s:o, s:o, s:o}", "job",
			j->name, "communicator", c->name, "id", c4_json_id(c->id), "size",
			(json_int_t)c->size, "connections", (json_int_t)c->conns.n, "window_s",
			c4_json_real((double)c->conns.window_ns / 1e9), "windows",
			(json_int_t)c->conns.serial, "usual_ns_per_kib",
			c4_json_real(m.usual_ns_per_byte * 1024), "cells_total", (json_int_t)cells,
			"cells", cells_json(j, c, &m, shown), "tx", effects_json(c, m.tx, m.ntx),
			"rx", effects_json(c, m.rx, m.nrx));
	c4_matrix_release(&m);
	return out;
}
