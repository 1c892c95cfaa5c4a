/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hot.h - what stands out of one matrix, and what its hot cells have in common. Pure; private to
 * diag.
 *
 *	hot source(s) of one node		TX	that node's sending side
 *	hot destination(s) of one node		RX	its receiving side
 *	hot cells between two nodes		LINK	the path, or either end: cannot
 *							always be told
 *	hot cells into and out of one node	NODE	its interface, direction not known
 *	hot cells of several sources and
 *	destinations, or half of either		BLOCK	something they share
 *
 * Hot means: beyond what is usual by MARGIN at least, and out of the others' spread (MAD, limit
 * grown with how many are looked at). Where the fit has fewer than eight cells more than sources
 * and destinations, one must take twice the time. Cells of a hot source or destination are its
 * cells, whatever is left of them. Connections of ranks on the same two nodes (rails) count as one
 * pair: a node has one cause.
 */
#ifndef C4_COLLECTOR_DIAG_HOT_H
#define C4_COLLECTOR_DIAG_HOT_H

#include "collector/diag/diag.h"
#include "collector/diag/matrix.h"

#define C4_HOT_MARGIN 0.3
#define C4_HOT_MAX    8u  /* findings of one window of one communicator */
#define C4_HOT_RANKS  16u /* of one finding */

enum c4_hot_kind { C4_HOT_TX, C4_HOT_RX, C4_HOT_LINK, C4_HOT_NODE, C4_HOT_BLOCK };

struct c4_hot {
	enum c4_hot_kind kind;
	int32_t src, dst; /* world ranks of the cell that shows it best */
	uint32_t nranks;  /* culprits: sources (TX), destinations (RX), both (LINK), … */
	int32_t ranks[C4_HOT_RANKS];
	uint32_t cells, of;		/* hot ones, and used ones of the matrix */
	uint32_t sources, destinations; /* that the hot cells touch */
	uint64_t where;			/* hot cells, one bit each by hash: are they the same? */
	double slow;			/* of the cell shown */
	double ns_per_kib, usual_ns_per_kib;
	double gpu_share; /* of the sender's time there: waiting for its own GPU */
};

/* What stands out, worst first: into out[C4_HOT_MAX]; their number. */
uint32_t c4_hot_find(const struct c4_diag_job *job, const struct c4_diag_comm *c,
		     const struct c4_matrix *m, struct c4_hot *out);

/* Same node, or, where nodes are not known, the same rank. */
bool c4_same_place(const struct c4_diag_job *job, int32_t a, int32_t b);

#endif
