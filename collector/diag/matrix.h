/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * matrix.h - source × destination: what the network took per byte, and what is left of that when
 * sources and destinations are accounted for. Pure.
 *
 * A cell is all connections from one member to another over the last window of time. Its network
 * time is, per connection and byte, the smaller of
 *	what the sender saw from posting to completion (on sockets that includes a receiver that
 *	does not read), and
 *	what the receiver waited for data with buffers ready (that includes a sender whose GPU has
 *	nothing to send yet),
 * so that neither a late receiver nor a late sender is taken for a slow network. Where one end is
 * not known the other's view is taken; the receiver's alone is `weak`.
 *
 * slow = the smaller of network time per byte and per step, each over what senders usually need
 * (lower median of their time from posting to completion): cells that carry smaller or larger
 * pieces than others are not slow for that, and a network nobody waits for has no slow cells.
 * It is split into centre + tx[source] + rx[destination] + excess by median polish (Tukey 1977) on
 * the cells that exist. A source with one destination cannot be told from its cell: its tx is 0,
 * and all is left to the cell; likewise destinations. With two the smaller counts for both.
 */
#ifndef C4_COLLECTOR_DIAG_MATRIX_H
#define C4_COLLECTOR_DIAG_MATRIX_H

#include "collector/diag/diag.h"

#define C4_CELL_BYTES (1u << 20) /* less in a window says nothing */
#define C4_CELL_STEPS 4u

struct c4_matrix_cell {
	uint32_t src, dst; /* members */
	uint32_t nconns;
	bool weak;	       /* known from the receiving end only */
	bool used;	       /* enough to judge by */
	uint64_t bytes, steps; /* of one end */
	uint64_t busy_ns, gpu_ns, peer_ns;
	double net_ns; /* network time, Σ over connections */
	double slow;   /* times the usual one; 0: not used */
	double excess; /* of slow, over the fit */
};

struct c4_matrix {
	uint32_t size, n, used;
	struct c4_matrix_cell *cells; /* by source, then destination */
	uint32_t *row;		      /* size + 1: where a source's cells begin */
	uint32_t *by_dst;	      /* cells by destination … */
	uint32_t *col;		      /* size + 1: … and where one's begin */
	double *tx, *rx;	      /* by member */
	uint32_t *ntx, *nrx;	      /* used cells by member; tx, rx mean something from 2 on */
	double usual_ns_per_byte, usual_ns_per_step;
	double centre;
	double spread; /* robust, of the excess */
	double *scratch;
};

/* 0 or -ENOMEM; release in any case. */
int c4_matrix_init(struct c4_matrix *m, const struct c4_diag_comm *c);
void c4_matrix_release(struct c4_matrix *m);

/* Largest excess over what is usual of any cell, its source's and destination's part included. */
double c4_matrix_worst(const struct c4_matrix *m);

/* The cell, or NULL. */
const struct c4_matrix_cell *c4_matrix_cell(const struct c4_matrix *m, uint32_t src, uint32_t dst);

#endif
