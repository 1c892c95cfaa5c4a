/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kempe.h - an edge colouring under capacities that is kept up while edges come and go.
 *
 * A bipartite multigraph: side 0 sends, side 1 receives; an edge is one QP, a colour one spine.
 * At most cap(side, vertex, colour) edges of a colour meet in a vertex; capacity 0 is a dead link.
 * An edge that finds no colour with room at both ends moves others along an alternating chain: with
 * colour a free at one end and b at the other, edges of a and b swap along a trail until a vertex
 * has room (Kempe 1879; König 1916 for why it ends). With one capacity per vertex the trail always
 * ends; dead or unequal links can block it, then other pairs of colours are tried.
 *
 * Every change since c4_kempe_mark() is in the log, so that a caller can tell what moved, or undo.
 * Edges of a (vertex, colour) form a ring: a chain takes from its head and adds at its tail, so
 * that nothing is moved twice while there is something fresh. Pure, one thread; 24 bytes per edge.
 */
#ifndef C4_PLANNER_KEMPE_H
#define C4_PLANNER_KEMPE_H

#include <stdbool.h>
#include <stdint.h>

#define C4_UNCOLOURED  UINT16_MAX
#define C4_COLOURS_MAX 4096u /* also the parts that a graph may be split in */

struct c4_kempe_edge {
	uint16_t end[2]; /* vertices: source leaf, destination leaf */
	uint16_t colour; /* C4_UNCOLOURED: in no ring */
	uint16_t moved;	 /* by the present chain */
	uint32_t next[2], prev[2];
};

struct c4_kempe_change {
	uint32_t edge;
	uint16_t from, to; /* C4_UNCOLOURED: was or is without */
	uint16_t end[2];   /* its vertices then: it may have been rejoined since */
};

struct c4_kempe {
	uint32_t n[2]; /* vertices of each side */
	uint32_t colours;
	struct c4_kempe_edge *edges;
	uint32_t n_edges, cap_edges;
	uint32_t free;	   /* first of the removed edges, chained by next[0] */
	uint32_t *head[2]; /* [vertex * colours + colour] */
	uint32_t *load[2];
	uint32_t *cap[2];
	struct c4_kempe_change *log;
	uint32_t n_log, cap_log;
};

/* All capacities 0, no edges. 0 or -ENOMEM. Vertices per side at most 65535. */
int c4_kempe_init(struct c4_kempe *k, uint32_t n0, uint32_t n1, uint32_t colours);
void c4_kempe_release(struct c4_kempe *k);

/* Room for n edges in all, so that adding them cannot fail. 0 or -ENOMEM. */
int c4_kempe_reserve(struct c4_kempe *k, uint32_t n);

/* Room in the log for n changes more, so that painting them can be undone. 0 or -ENOMEM. */
int c4_kempe_reserve_log(struct c4_kempe *k, uint32_t n);

static inline uint32_t *c4_kempe_cap(struct c4_kempe *k, int side, uint32_t vertex, uint32_t colour)
{
	return &k->cap[side][(uint64_t)vertex * k->colours + colour];
}

static inline uint32_t c4_kempe_load(const struct c4_kempe *k, int side, uint32_t vertex,
				     uint32_t colour)
{
	return k->load[side][(uint64_t)vertex * k->colours + colour];
}

/* A new edge without colour; its index or -ENOMEM. Indices of removed edges are used again. */
int64_t c4_kempe_add(struct c4_kempe *k, uint32_t u, uint32_t v);
void c4_kempe_remove(struct c4_kempe *k, uint32_t edge);

/* Other ends for an edge without colour. */
void c4_kempe_rejoin(struct c4_kempe *k, uint32_t edge, uint32_t u, uint32_t v);

/* Gives the edge a colour (or none), whatever the capacities say. Logged. */
void c4_kempe_paint(struct c4_kempe *k, uint32_t edge, uint16_t colour);

/*
 * A colour for an edge without one: one with room at both ends (the emptiest), else by a chain of
 * at most `budget` moves, the shortest of several tried. 0, or -ENOSPC with nothing changed.
 */
int c4_kempe_insert(struct c4_kempe *k, uint32_t edge, uint32_t budget);

/*
 * The same with this colour: what is in its way at either end leaves along a chain. Two chains
 * reach what one cannot, for a caller with time to try colour after colour. 0 or -ENOSPC.
 */
int c4_kempe_insert_as(struct c4_kempe *k, uint32_t edge, uint16_t colour, uint32_t budget);

/* The log so far is forgotten; changes from here on can be told or undone. */
void c4_kempe_mark(struct c4_kempe *k);
void c4_kempe_undo(struct c4_kempe *k);
void c4_kempe_undo_last(struct c4_kempe *k); /* one change; the log must not be empty */

#endif
