// SPDX-License-Identifier: BSD-3-Clause
#include "planner/io/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

/* Numbers of the simulator: C4_NONE for what is not in the network. */
struct numbers {
	uint32_t *node; /* per NIC */
	uint32_t n_nodes;
	uint64_t n_conns;
};

static void number_nodes(const struct c4_export *e, struct numbers *n, uint32_t *rank,
			 uint32_t *under)
{
	const struct c4_fabric *f = e->f;
	uint32_t leaves = 0, most = 0;

	for (uint32_t s = 0; s < f->n_switches; s++)
		if (f->switches[s].tier == C4_LEAF && f->switches[s].net == e->net)
			rank[s] = leaves++;
	for (uint32_t i = 0; i < f->n_nics; i++)
		if (f->switches[f->nics[i].leaf].net == e->net && ++under[f->nics[i].leaf] > most)
			most = under[f->nics[i].leaf];
	for (uint32_t s = 0; s < f->n_switches; s++)
		under[s] = 0;
	for (uint32_t i = 0; i < f->n_nics; i++) {
		uint32_t leaf = f->nics[i].leaf;
		bool in = f->switches[leaf].net == e->net;

		n->node[i] = in ? rank[leaf] * most + under[leaf]++ : C4_NONE;
	}
	n->n_nodes = leaves * most;
}

static bool exported(const struct c4_export *e, const struct c4_conn *c, const struct c4_route *r)
{
	return e->f->switches[e->f->nics[c->src].leaf].net == e->net &&
	       (r->state == C4_ROUTE_LOCAL || r->state == C4_ROUTE_SPINE ||
		r->state == C4_ROUTE_CORE);
}

static int open_numbers(const struct c4_export *e, struct numbers *n)
{
	uint32_t *rank, *under;

	*n = (struct numbers){0};
	if (e->net >= e->f->n_nets)
		return -EINVAL;
	rank = calloc((size_t)e->f->n_switches + 1, sizeof *rank);
	under = calloc((size_t)e->f->n_switches + 1, sizeof *under);
	n->node = malloc(((size_t)e->f->n_nics + 1) * sizeof *n->node);
	if (rank && under && n->node)
		number_nodes(e, n, rank, under);
	free(rank);
	free(under);
	if (!rank || !under || !n->node) {
		free(n->node);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < e->d->n_conns; i++)
		for (uint32_t q = 0; q < e->d->conns[i].qps; q++)
			n->n_conns += exported(e, &e->d->conns[i],
					       &e->p->routes[e->d->conns[i].first + q]);
	return 0;
}

typedef void (*writer)(const struct c4_export *e, const struct numbers *n, uint64_t id,
		       const struct c4_conn *c, uint32_t q, FILE *f);

static void each_conn(const struct c4_export *e, const struct numbers *n, writer write, FILE *f)
{
	uint64_t id = 0;

	for (uint32_t i = 0; i < e->d->n_conns; i++) {
		const struct c4_conn *c = &e->d->conns[i];

		for (uint32_t q = 0; q < c->qps; q++)
			if (exported(e, c, &e->p->routes[c->first + q]))
				write(e, n, ++id, c, q, f);
	}
}

static void write_conn(const struct c4_export *e, const struct numbers *n, uint64_t id,
		       const struct c4_conn *c, uint32_t q, FILE *f)
{
	double share = (double)e->p->routes[c->first + q].share;
	double bytes = (double)e->bytes * (double)c->weight * share;

	fprintf(f, "%u->%u id %" PRIu64 " start 0 size %.0f\n", n->node[c->src], n->node[c->dst],
		id, bytes);
}

/* Ids are the user's: what would break the line is not written. */
static void write_id(const char *id, FILE *f)
{
	for (; *id; id++)
		fputc((unsigned char)*id < ' ' ? '?' : *id, f);
}

/* The position of a link among the upward ones of switch s: the port a simulator counts. */
static uint32_t uplink(const struct c4_fabric *f, uint32_t s, uint32_t link)
{
	uint32_t nth = 0;

	for (uint32_t i = f->link_at[s]; i < f->link_at[s + 1] && f->link_of[i] != link; i++)
		nth += f->links[f->link_of[i]].a == s; /* a is in the lower tier */
	return nth;
}

static void write_pin(const struct c4_export *e, const struct numbers *n, uint64_t id,
		      const struct c4_conn *c, uint32_t q, FILE *f)
{
	const struct c4_route *r = &e->p->routes[c->first + q];
	struct c4_hop hops[C4_HOPS_MAX];
	int count = c4_route_hops(e->f, c, r, hops);

	(void)n;
	fprintf(f, "id %" PRIu64 " qp %u sport %u up", id, q, r->sport);
	for (int h = 0; h < count; h++)
		if (hops[h].link != C4_NONE && hops[h].up)
			fprintf(f, " %u", uplink(e->f, e->f->links[hops[h].link].a, hops[h].link));
	fprintf(f, " via");
	for (int h = 0; h + 1 < count; h++) {
		const struct c4_link *l = &e->f->links[hops[h].link];

		if (hops[h].link != C4_NONE)
			fprintf(f, " %s", e->f->switches[hops[h].up ? l->b : l->a].name);
	}
	fprintf(f, " conn ");
	write_id(c->id, f);
	fputc('\n', f);
}

static int finish(struct numbers *n, FILE *f)
{
	free(n->node);
	return fflush(f) || ferror(f) ? -EIO : 0;
}

int c4_export_matrix(const struct c4_export *e, FILE *f)
{
	struct numbers n;
	int rc = open_numbers(e, &n);

	if (rc)
		return rc;
	fprintf(f, "Nodes %u\nConnections %" PRIu64 "\n", n.n_nodes, n.n_conns);
	each_conn(e, &n, write_conn, f);
	return finish(&n, f);
}

int c4_export_pins(const struct c4_export *e, FILE *f)
{
	struct numbers n;
	int rc = open_numbers(e, &n);

	if (rc)
		return rc;
	each_conn(e, &n, write_pin, f);
	return finish(&n, f);
}
