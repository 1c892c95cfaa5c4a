// SPDX-License-Identifier: BSD-3-Clause
#include "planner/model/assign/kempe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/ds/vec.h"

#define NO_EDGE UINT32_MAX

/* Colours tried at each end of an edge that needs a chain. */
#define CANDIDATES 12

/* Edges of a vertex and colour looked at for the one to move. */
#define CHOICES 16

static uint64_t place(const struct c4_kempe *k, uint32_t vertex, uint32_t colour)
{
	return (uint64_t)vertex * k->colours + colour;
}

/* ---- life ------------------------------------------------------------------------------------ */

int c4_kempe_init(struct c4_kempe *k, uint32_t n0, uint32_t n1, uint32_t colours)
{
	*k = (struct c4_kempe){.n = {n0, n1}, .colours = colours, .free = NO_EDGE};
	for (int side = 0; side < 2; side++) {
		size_t places = (size_t)k->n[side] * colours + 1; /* never nothing */

		k->head[side] = malloc(places * sizeof(uint32_t));
		k->load[side] = calloc(places, sizeof(uint32_t));
		k->cap[side] = calloc(places, sizeof(uint32_t));
		if (!k->head[side] || !k->load[side] || !k->cap[side]) {
			c4_kempe_release(k);
			return -ENOMEM;
		}
		memset(k->head[side], 0xff, places * sizeof(uint32_t));
	}
	return 0;
}

void c4_kempe_release(struct c4_kempe *k)
{
	for (int side = 0; side < 2; side++) {
		free(k->head[side]);
		free(k->load[side]);
		free(k->cap[side]);
	}
	free(k->edges);
	free(k->log);
	*k = (struct c4_kempe){.free = NO_EDGE};
}

int c4_kempe_reserve(struct c4_kempe *k, uint32_t n)
{
	struct c4_kempe_edge *grown =
		c4_vec_reserve_tight(k->edges, &k->cap_edges, n, UINT32_MAX - 1, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	k->edges = grown;
	return 0;
}

int c4_kempe_reserve_log(struct c4_kempe *k, uint32_t n)
{
	struct c4_kempe_change *log =
		c4_vec_reserve(k->log, &k->cap_log, k->n_log + n, UINT32_MAX, sizeof *log);

	if (!log)
		return -ENOMEM;
	k->log = log;
	return 0;
}

int64_t c4_kempe_add(struct c4_kempe *k, uint32_t u, uint32_t v)
{
	uint32_t e = k->free;

	if (e != NO_EDGE) {
		k->free = k->edges[e].next[0];
	} else {
		if (c4_kempe_reserve(k, k->n_edges + 1))
			return -ENOMEM;
		e = k->n_edges++;
	}
	k->edges[e] = (struct c4_kempe_edge){
		.end = {(uint16_t)u, (uint16_t)v},
		.colour = C4_UNCOLOURED,
	};
	return e;
}

/* ---- rings ----------------------------------------------------------------------------------- */

/* At the tail. */
static void link_in(struct c4_kempe *k, int side, uint32_t e, uint16_t colour)
{
	struct c4_kempe_edge *edge = &k->edges[e];
	uint64_t at = place(k, edge->end[side], colour);
	uint32_t *head = &k->head[side][at];

	if (*head == NO_EDGE) {
		*head = edge->next[side] = edge->prev[side] = e;
	} else {
		struct c4_kempe_edge *first = &k->edges[*head];

		edge->next[side] = *head;
		edge->prev[side] = first->prev[side];
		k->edges[first->prev[side]].next[side] = e;
		first->prev[side] = e;
	}
	k->load[side][at]++;
}

static void link_out(struct c4_kempe *k, int side, uint32_t e)
{
	struct c4_kempe_edge *edge = &k->edges[e];
	uint64_t at = place(k, edge->end[side], edge->colour);
	uint32_t *head = &k->head[side][at];

	if (edge->next[side] == e) {
		*head = NO_EDGE;
	} else {
		k->edges[edge->prev[side]].next[side] = edge->next[side];
		k->edges[edge->next[side]].prev[side] = edge->prev[side];
		if (*head == e)
			*head = edge->next[side];
	}
	k->load[side][at]--;
}

static void recolour(struct c4_kempe *k, uint32_t e, uint16_t colour)
{
	for (int side = 0; side < 2; side++) {
		if (k->edges[e].colour != C4_UNCOLOURED)
			link_out(k, side, e);
		if (colour != C4_UNCOLOURED)
			link_in(k, side, e, colour);
	}
	k->edges[e].colour = colour;
}

/* ---- log ------------------------------------------------------------------------------------- */

/* False when there is no memory to remember the change: it is then not made. */
static bool change(struct c4_kempe *k, uint32_t e, uint16_t colour)
{
	if (c4_kempe_reserve_log(k, 1))
		return false;
	k->log[k->n_log++] = (struct c4_kempe_change){
		e, k->edges[e].colour, colour, {k->edges[e].end[0], k->edges[e].end[1]}};
	recolour(k, e, colour);
	return true;
}

void c4_kempe_undo_last(struct c4_kempe *k)
{
	const struct c4_kempe_change *c = &k->log[--k->n_log];

	recolour(k, c->edge, c->from);
	k->edges[c->edge].moved = 0;
}

static void undo_to(struct c4_kempe *k, uint32_t n_log)
{
	while (k->n_log > n_log)
		c4_kempe_undo_last(k);
}

void c4_kempe_mark(struct c4_kempe *k)
{
	k->n_log = 0;
}

void c4_kempe_undo(struct c4_kempe *k)
{
	undo_to(k, 0);
}

void c4_kempe_paint(struct c4_kempe *k, uint32_t edge, uint16_t colour)
{
	if (k->edges[edge].colour != colour && !change(k, edge, colour))
		recolour(k, edge, colour);
}

void c4_kempe_remove(struct c4_kempe *k, uint32_t edge)
{
	recolour(k, edge, C4_UNCOLOURED);
	k->edges[edge].next[0] = k->free;
	k->free = edge;
}

void c4_kempe_rejoin(struct c4_kempe *k, uint32_t edge, uint32_t u, uint32_t v)
{
	k->edges[edge].end[0] = (uint16_t)u;
	k->edges[edge].end[1] = (uint16_t)v;
}

/* ---- chains ---------------------------------------------------------------------------------- */

static bool over(const struct c4_kempe *k, int side, uint32_t vertex, uint32_t colour)
{
	uint64_t at = place(k, vertex, colour);

	return k->load[side][at] > k->cap[side][at];
}

static bool room(const struct c4_kempe *k, int side, uint32_t vertex, uint32_t colour)
{
	uint64_t at = place(k, vertex, colour);

	return k->load[side][at] < k->cap[side][at];
}

/*
 * An edge of colour a at the vertex to become b: the first of a few that finds room at its other
 * end, else one that may have b there. Moved ones are the last of a ring.
 */
static uint32_t choose(const struct c4_kempe *k, int side, uint32_t vertex, uint16_t a, uint16_t b)
{
	uint32_t head = k->head[side][place(k, vertex, a)], e = head, other = NO_EDGE;
	int far = side ^ 1;

	for (uint32_t i = 0; i < CHOICES && e != NO_EDGE && !k->edges[e].moved; i++) {
		uint64_t at = place(k, k->edges[e].end[far], b);

		if (k->load[far][at] < k->cap[far][at])
			return e;
		if (other == NO_EDGE && k->cap[far][at])
			other = e;
		e = k->edges[e].next[side];
		if (e == head)
			break;
	}
	return other;
}

/*
 * The vertex has one edge too many of colour a: edges of a and b swap along a trail until one fits.
 * At most `limit` moves. False: blocked or too long; the caller undoes.
 */
static bool chain(struct c4_kempe *k, int side, uint32_t vertex, uint16_t a, uint16_t b,
		  uint32_t limit)
{
	while (over(k, side, vertex, a)) {
		uint32_t e = choose(k, side, vertex, a, b);
		uint16_t was = a;

		if (!limit-- || e == NO_EDGE || !change(k, e, b))
			return false;
		k->edges[e].moved = 1;
		/* b had room at the first vertex; at the others one of b leaves for one that came
		 */
		side ^= 1;
		vertex = k->edges[e].end[side];
		a = b;
		b = was;
	}
	return true;
}

static void forget_moved(struct c4_kempe *k, uint32_t from)
{
	for (uint32_t i = from; i < k->n_log; i++)
		k->edges[k->log[i].edge].moved = 0;
}

/* Edge e takes colour a, free at its end `side`; at the other end b is free. */
static bool try_chain(struct c4_kempe *k, uint32_t e, int side, uint16_t a, uint16_t b,
		      uint32_t limit)
{
	uint32_t began = k->n_log;
	int far = side ^ 1;
	uint32_t vertex = k->edges[e].end[far];

	if (!k->cap[far][place(k, vertex, a)] || !change(k, e, a))
		return false;
	k->edges[e].moved = 1;
	if (!chain(k, far, vertex, a, b, limit)) {
		undo_to(k, began);
		return false;
	}
	forget_moved(k, began);
	return true;
}

/* The colours with room at one end, at most CANDIDATES, starting somewhere else for each edge. */
static uint32_t candidates(const struct c4_kempe *k, int side, uint32_t e, uint16_t *ret)
{
	uint32_t n = 0, vertex = k->edges[e].end[side], c = e % k->colours;

	for (uint32_t i = 0; i < k->colours && n < CANDIDATES; i++) {
		if (room(k, side, vertex, c))
			ret[n++] = (uint16_t)c;
		c = c + 1 == k->colours ? 0 : c + 1;
	}
	return n;
}

/* Longer and longer chains: the first that ends is among the shortest. */
static int insert_by_chain(struct c4_kempe *k, uint32_t e, uint32_t budget)
{
	uint16_t a[CANDIDATES], b[CANDIDATES];
	uint32_t n_a = candidates(k, 0, e, a), n_b = candidates(k, 1, e, b);

	if (!n_a || !n_b)
		return -ENOSPC;
	for (uint64_t limit = 4;; limit *= 8) {
		uint32_t now = limit < budget ? (uint32_t)limit : budget;

		for (uint32_t i = 0; i < n_a * n_b; i++)
			if (try_chain(k, e, 0, a[i / n_b], b[i % n_b], now) ||
			    try_chain(k, e, 1, b[i % n_b], a[i / n_b], now))
				return 0;
		if (limit >= budget)
			return -ENOSPC;
	}
}

/* The emptiest colour with room at both ends. */
static uint16_t common(const struct c4_kempe *k, uint32_t e)
{
	const uint64_t u = place(k, k->edges[e].end[0], 0), v = place(k, k->edges[e].end[1], 0);
	const uint32_t *load0 = k->load[0] + u, *cap0 = k->cap[0] + u;
	const uint32_t *load1 = k->load[1] + v, *cap1 = k->cap[1] + v;
	uint32_t best = C4_UNCOLOURED;
	uint64_t most = 0;

	for (uint32_t c = 0; c < k->colours; c++) {
		uint32_t room0, room1;
		uint64_t least;

		if (load0[c] >= cap0[c] || load1[c] >= cap1[c])
			continue;
		room0 = cap0[c] - load0[c];
		room1 = cap1[c] - load1[c];
		least = (uint64_t)(room0 < room1 ? room0 : room1) << 33 | (room0 + room1);
		if (least > most) {
			most = least;
			best = c;
		}
	}
	return (uint16_t)best;
}

int c4_kempe_insert(struct c4_kempe *k, uint32_t edge, uint32_t budget)
{
	uint16_t c = common(k, edge);

	if (c != C4_UNCOLOURED)
		return change(k, edge, c) ? 0 : -ENOSPC;
	return insert_by_chain(k, edge, budget);
}

/* An edge too many of a colour at a vertex, if there is one, leaves along a chain. */
static bool relieve(struct c4_kempe *k, uint32_t e, int side, uint16_t colour, uint32_t limit)
{
	uint32_t vertex = k->edges[e].end[side], began = k->n_log, n;
	uint16_t other[CANDIDATES];

	if (!over(k, side, vertex, colour))
		return true;
	n = candidates(k, side, e, other);
	for (uint32_t i = 0; i < n; i++) {
		if (chain(k, side, vertex, colour, other[i], limit))
			return true;
		undo_to(k, began);
	}
	return false;
}

int c4_kempe_insert_as(struct c4_kempe *k, uint32_t edge, uint16_t colour, uint32_t budget)
{
	const uint16_t *end = k->edges[edge].end;
	uint32_t began = k->n_log;

	if (!k->cap[0][place(k, end[0], colour)] || !k->cap[1][place(k, end[1], colour)] ||
	    !change(k, edge, colour))
		return -ENOSPC;
	k->edges[edge].moved = 1;
	if (!relieve(k, edge, 0, colour, budget) || !relieve(k, edge, 1, colour, budget)) {
		undo_to(k, began);
		return -ENOSPC;
	}
	forget_moved(k, began);
	return 0;
}
